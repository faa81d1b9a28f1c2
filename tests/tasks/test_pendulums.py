"""The rules of the suite ``pendulums``."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from sb3_distral import tasks
from sb3_distral.tasks.pendulums import (
    GRAVITY,
    LENGTHS,
    MASSES,
    MAX_TORQUE,
    PAPER_COLOUR,
    PIVOT_COLOUR,
    ROD_COLOUR,
    TORQUE_COLOUR,
    Pendulums,
    draw_pendulum,
)

Array = np.ndarray[Any, Any]


def assert_equals_gymnasium(batch: Pendulums, mass: float, length: float) -> None:
    """Compare the first sub-environment with gymnasium's pendulum of this mass and length, for two episodes."""
    single: Any = gym.make("Pendulum-v1")
    single.unwrapped.m, single.unwrapped.l = mass, length
    actions = np.random.default_rng(0).uniform(-2.4, 2.4, size=(2, 200, 1))
    for seed, episode in zip((7, 8), actions, strict=True):
        np.testing.assert_array_equal(batch.reset(np.array([0]), [seed])[0], single.reset(seed=seed)[0], strict=True)
        for step, action in enumerate(episode, start=1):
            observations, rewards, terminated = batch.step(action[None])
            observation, reward, _, truncated, _ = single.step(action)
            # Squares of arrays and of numbers may differ in the last bit.
            np.testing.assert_allclose(observations[0], observation, rtol=1e-6, atol=1e-6)
            assert (observations[0].shape, observations[0].dtype) == (observation.shape, observation.dtype)
            assert rewards[0] == pytest.approx(reward, rel=1e-6) and not terminated[0]
            assert truncated == (step == batch.max_episode_steps)


def test_pendulum_of_mass_1_and_length_1_is_that_of_gymnasium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sb3_distral.tasks.pendulums.draw_pendulum", lambda task, pendulum_seed: (1.0, 1.0))
    batch, single = Pendulums([0]), gym.make("Pendulum-v1")
    assert batch.observation_space == single.observation_space
    assert batch.action_space == single.action_space
    assert_equals_gymnasium(batch, 1.0, 1.0)


@pytest.mark.parametrize("task", range(8))
def test_every_task_is_gymnasiums_with_another_mass_and_length(task: int) -> None:
    assert_equals_gymnasium(Pendulums([task]), *draw_pendulum(task))


def test_tasks_differ_within_the_bounds_and_depend_on_the_seed() -> None:
    for bounds, values, others in zip(
        (MASSES, LENGTHS),
        zip(*(draw_pendulum(task) for task in range(64)), strict=True),
        zip(*(draw_pendulum(task, pendulum_seed=1) for task in range(64)), strict=True),
        strict=True,
    ):
        assert bounds[0] <= min(values) < bounds[0] + 0.1 and bounds[1] - 0.1 < max(values) <= bounds[1]
        assert len({*values, *others}) == 128


def test_motor_is_too_weak_to_hold_a_rod_sideways() -> None:
    batch = Pendulums(range(8))  # type: ignore[arg-type]
    assert (batch.mass * GRAVITY * batch.length / 2 > MAX_TORQUE).all()


def swing_up(batch: Pendulums) -> Array:
    """Feed energy until there is enough to stand upright, and catch the rod there."""
    inertia, weight = batch.mass * batch.length**2 / 3, batch.mass * GRAVITY * batch.length / 2
    from_upright = np.arctan2(np.sin(batch.angle), np.cos(batch.angle))
    energy = inertia * batch.velocity**2 / 2 + weight * (np.cos(batch.angle) - 1)
    feed = -np.sign(energy) * np.where(batch.velocity >= 0, MAX_TORQUE, -MAX_TORQUE)
    catch = -(weight + 12 * inertia) * from_upright - 6 * inertia * batch.velocity
    is_near = (np.abs(from_upright) < 0.35) & (np.abs(batch.velocity) < 3)
    return np.where(is_near, catch, feed)[:, None]


def play_randomly(batch: Pendulums) -> Array:
    draws = [generator.uniform(-MAX_TORQUE, MAX_TORQUE) for generator in batch.generators]
    return np.array(draws)[:, None]


def play(batch: Pendulums, player: Callable[[Pendulums], Array]) -> tuple[Array, Array]:
    """Return the return of an episode in each sub-environment, and whether the rod stands in the last 50 steps."""
    batch.reset(np.arange(batch.n_envs), range(batch.n_envs))
    returns, stands = np.zeros(batch.n_envs), np.ones(batch.n_envs, dtype=np.bool_)
    for step in range(batch.max_episode_steps):
        observations, rewards, _ = batch.step(player(batch))
        returns += rewards
        if step >= batch.max_episode_steps - 50:
            stands &= observations[:, 0] > 0.95
    return returns, stands


def test_every_task_can_be_solved_from_every_start() -> None:
    batch = Pendulums(np.arange(8).repeat(16).tolist())
    returns, stands = play(batch, swing_up)
    assert stands.all()
    random_returns, random_stands = play(batch, play_randomly)
    assert not random_stands.any()
    assert returns.min() > -700 and random_returns.reshape(8, -1).mean(axis=1).max() < -1000


def test_heaviest_and_longest_and_lightest_and_shortest_can_be_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = [(mass, length) for mass in MASSES for length in LENGTHS]
    monkeypatch.setattr("sb3_distral.tasks.pendulums.draw_pendulum", lambda task, pendulum_seed: corners[task])
    assert play(Pendulums(np.arange(4).repeat(16).tolist()), swing_up)[1].all()


def test_torque_of_the_other_sign_mirrors_the_swing() -> None:
    batch = Pendulums([3, 3])
    batch.reset(np.array([0, 1]), [0, 0])
    batch.angle[1] *= -1
    batch.velocity[1] *= -1
    for torque in np.random.default_rng(0).uniform(-2, 2, size=100):
        observations, rewards, _ = batch.step(np.array([[torque], [-torque]]))
        np.testing.assert_allclose(observations[0], observations[1] * [1, -1, -1], rtol=1e-6, atol=1e-6)
        assert rewards[0] == pytest.approx(rewards[1])


def is_colour(picture: Array, colour: tuple[int, int, int]) -> Array:
    return np.asarray((picture == colour).all(axis=-1))


@pytest.mark.parametrize(("angle", "beside"), [(0.0, (-1, 0)), (np.pi, (1, 0)), (np.pi / 2, (0, -1)), (-1.57, (0, 1))])
def test_picture_shows_the_rod_at_its_angle(angle: float, beside: tuple[int, int]) -> None:
    batch = Pendulums([0])
    batch.angle[0] = angle
    picture = batch.render(0)
    assert picture.dtype == np.uint8 and picture.shape == (192, 192, 3)
    middle = np.array([95, 95])
    assert is_colour(picture, PIVOT_COLOUR)[tuple(middle)]
    place = middle + 40 * np.array(beside)
    assert is_colour(picture, ROD_COLOUR)[tuple(place)]
    place = middle - 40 * np.array(beside)
    assert is_colour(picture, PAPER_COLOUR)[tuple(place)]


def test_picture_shows_mass_length_and_torque() -> None:
    batch = Pendulums([0, 0, 0])
    batch.mass[:], batch.length[:] = (1.0, 2.0, 1.0), (0.7, 0.7, 1.4)
    batch.angle[:] = 0.0
    pictures = [batch.render(row) for row in range(3)]
    heights = [np.ptp(np.flatnonzero(is_colour(picture, ROD_COLOUR).any(axis=1))) for picture in pictures]
    widths = [np.ptp(np.flatnonzero(is_colour(picture, ROD_COLOUR).any(axis=0))) for picture in pictures]
    assert heights[2] > 1.5 * heights[0] and widths[1] > 1.5 * widths[0] > 1.5 * widths[2]
    assert not is_colour(pictures[0], TORQUE_COLOUR).any()
    batch.step(np.array([[2.0], [-1.0], [0.0]]))
    bars = [np.flatnonzero(is_colour(batch.render(row), TORQUE_COLOUR).any(axis=0)) for row in range(3)]
    assert (bars[0].min(), bars[0].max()) == (96, 191)
    assert (bars[1].min(), bars[1].max()) == (48, 95)
    assert bars[2].size == 0


def test_episode_is_monitored_and_cut_off() -> None:
    env = tasks.make("pendulums", n_tasks=2, n_envs_per_task=2, seed=0, pendulum_seed=3)
    env.reset()
    total = np.zeros(4)
    for _ in range(200):
        _, rewards, dones, infos = env.step(np.full((4, 1), 0.5, dtype=np.float32))
        total += rewards
    assert dones.all()
    for row, info in enumerate(infos):
        assert info["TimeLimit.truncated"] and info["episode"]["l"] == 200
        assert info["episode"]["r"] == pytest.approx(total[row], rel=1e-5)
        assert info["terminal_observation"]["task"] == row // 2


def test_seed_that_is_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="pendulum_seed is -1, expected an integer >= 0"):
        tasks.make("pendulums", pendulum_seed=-1)
