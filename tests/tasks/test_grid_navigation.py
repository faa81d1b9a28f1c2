"""The rules of the suite ``grid-navigation`` and of mazes made of layers."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from players import first_move, navigate, play_random, returns

from sb3_distral.tasks.adapters import BatchedVecEnv
from sb3_distral.tasks.grids import navigation
from sb3_distral.tasks.grids.layered import (
    BARRIER,
    BETWEEN,
    FADING,
    ITEM,
    ROOMS,
    STEPS,
    TRAIL,
    WALL,
    WIDTH,
    carve,
    choose_passages,
    choose_rooms,
    coordinates,
)
from sb3_distral.tasks.grids.navigation import (
    CARRY,
    COLLECT,
    DOORS,
    FIND,
    N_DOORS,
    N_REWARDS,
    START,
    GridNavigation,
)

UP, DOWN, LEFT, RIGHT = range(4)


def cell_at(row: int, column: int) -> int:
    return (row + 1) * WIDTH + column + 1


def hall(task: int, position: tuple[int, int] = (5, 5)) -> GridNavigation:
    """One task in a hall without walls or doors, without items, and the start or goal in a corner."""
    env = GridNavigation([task])
    env.reset(np.array([0]), [0])
    env.layers[0] = 0.0
    env.layers[0, WALL] = 1.0
    env.layers[0, WALL].reshape(WIDTH, WIDTH)[2:-2, 2:-2] = 0.0
    env.cell[0] = cell_at(*position)
    env.destination[0] = cell_at(9, 9)
    env.doors[0] = cell_at(1, 1)
    return env


def step(env: GridNavigation, action: int) -> tuple[np.ndarray, float]:
    observations, rewards, terminated = env.step(np.array([action]))
    assert not terminated[0]
    return observations[0], float(rewards[0])


def view(observation: np.ndarray, layer: int) -> np.ndarray:
    return observation[25 * layer : 25 * (layer + 1)].reshape(5, 5)


@pytest.mark.parametrize("openings", [0.0, 0.3, 0.5])
def test_mazes_are_connected_with_the_right_number_of_passages(openings: float) -> None:
    for seed in range(20):
        walls = carve(openings, np.random.default_rng(seed))
        grid = walls.reshape(WIDTH, WIDTH)[1:-1, 1:-1]
        assert grid.shape == (11, 11) and grid[[0, -1]].all() and grid[:, [0, -1]].all()
        assert not grid[1::2, 1::2].any() and grid[::2, ::2].all()
        # 25 rooms joined by a tree of 24 passages; 40 - 24 = 16 walls remain between rooms.
        assert (walls[BETWEEN] == 0).sum() == 24 + round(openings * 16)
        layers = np.stack([walls, np.zeros_like(walls)])
        assert all(first_move(layers, int(ROOMS[0]), [room], (WALL,)) >= 0 for room in ROOMS[1:])


def test_chosen_passages_and_rooms_are_different_and_free() -> None:
    generator = np.random.default_rng(0)
    walls = carve(0.3, generator)
    for _ in range(20):
        passages = choose_passages(walls, 12, generator)
        assert len(set(passages)) == 12 and set(passages) <= set(BETWEEN) and not walls[passages].any()
        rooms = choose_rooms(20, ROOMS[:5], generator)
        assert set(rooms) == set(ROOMS[5:])


def test_every_episode_has_a_new_maze() -> None:
    env = GridNavigation([0, 3])
    mazes = [env.layers[row, WALL].tobytes() for _ in range(50) for row in [0, 1] if env.reset(np.array([row])).any()]
    assert len(set(mazes)) == 100


def test_moves_bumps_and_footprints_by_hand() -> None:
    env = hall(FIND, position=(1, 1))
    observation, reward = step(env, RIGHT)
    assert tuple(env.position[0]) == (1, 2) and reward == 0
    assert view(observation, TRAIL)[2].tolist() == [0, 0, 1, 0, 0]  # the hall was entered without a footprint
    observation, _ = step(env, UP)
    assert tuple(env.position[0]) == (1, 2)
    observation, _ = step(env, DOWN)
    np.testing.assert_array_equal(np.argwhere(view(observation, TRAIL)), [[1, 2], [2, 2]])
    assert view(observation, TRAIL)[1, 2] == np.float32(FADING)
    np.testing.assert_array_equal(view(observation, WALL)[:, 0], np.ones(5))  # the border, two to the left
    assert observation[-5:].tolist() == [0, 1, 0, 0, 0]


def test_view_and_compass_by_hand() -> None:
    env = hall(FIND)
    env.layers[0, ITEM, cell_at(4, 7)] = 1.0
    env.destination[0] = cell_at(4, 7)
    observation = env._observe(np.array([0]))[0]
    assert observation.shape == env.observation_space.shape == (133,)
    assert np.argwhere(view(observation, ITEM)).tolist() == [[1, 4]]
    # Not carrying; one row up for two columns to the right.
    assert observation[125:128].tolist() == [0, -0.5, 1]


def test_collected_rewards_pay_and_come_back_after_the_last() -> None:
    env = hall(COLLECT)
    env.layers[0, ITEM, [cell_at(5, 6), cell_at(5, 7)]] = 1.0
    observation, reward = step(env, RIGHT)
    assert reward == 1 and observation[-1] == 1 and not observation[125:128].any()
    assert env.layers[0, ITEM].sum() == 1
    assert step(env, LEFT)[1] == 0
    step(env, RIGHT)
    assert step(env, RIGHT)[1] == 1
    assert env.layers[0, ITEM].sum() == N_REWARDS
    assert not env.layers[0, ITEM, env.cell[0]]


def test_carried_reward_pays_at_the_start_only() -> None:
    env = hall(CARRY)
    env.destination[0] = cell_at(5, 5)
    env.layers[0, START, cell_at(5, 5)] = 1.0
    env.layers[0, ITEM, [cell_at(5, 6), cell_at(5, 7)]] = 1.0
    observation, reward = step(env, RIGHT)
    assert reward == 0 and env.carrying[0]
    assert observation[125:128].tolist() == [1, 0, -1]  # the start is straight to the left
    assert view(observation, START)[2, 1] == 1
    observation, reward = step(env, RIGHT)
    assert reward == 0 and env.layers[0, ITEM, cell_at(5, 7)] == 1  # one at a time
    step(env, LEFT)
    observation, reward = step(env, LEFT)
    assert reward == 1 and not env.carrying[0] and not observation[125:128].any()
    assert step(env, UP)[1] == 0 and step(env, DOWN)[1] == 0
    assert env.layers[0, ITEM].sum() == 1
    assert [step(env, action)[1] for action in (RIGHT, RIGHT, LEFT, LEFT)] == [0, 0, 0, 1]
    assert env.layers[0, ITEM].sum() == N_REWARDS and not env.layers[0, ITEM, cell_at(5, 5)]


@pytest.mark.parametrize("task", [FIND, DOORS])
def test_goal_pays_and_relocates_but_stays(task: int) -> None:
    starts = set()
    for seed in range(300):
        env = hall(task)
        env.generators[0] = np.random.default_rng(seed)
        env.destination[0] = cell_at(5, 7)
        env.layers[0, ITEM, cell_at(5, 7)] = 1.0
        env.cell[0] = cell_at(5, 6)
        assert step(env, RIGHT)[1] == 1
        assert env.layers[0, ITEM, cell_at(5, 7)] == 1 and env.destination[0] == cell_at(5, 7)
        starts.add(int(env.cell[0]))
    assert starts == set(ROOMS) - {cell_at(5, 7)}


def test_closed_doors_stop_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "TOGGLE", 0.0)
    env = hall(DOORS)
    env.doors[0] = cell_at(5, 6)
    env.layers[0, BARRIER, cell_at(5, 6)] = 1.0
    observation, _ = step(env, RIGHT)
    assert tuple(env.position[0]) == (5, 5)
    assert np.argwhere(view(observation, BARRIER)).tolist() == [[2, 3]]
    env.layers[0, BARRIER, cell_at(5, 6)] = 0.0
    step(env, RIGHT)
    assert tuple(env.position[0]) == (5, 6)


def test_doors_toggle_but_never_on_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "TOGGLE", 1.0)
    env = hall(DOORS)
    env.doors[0] = [cell_at(5, 6), cell_at(1, 2), *range(cell_at(7, 1), cell_at(7, 1) + N_DOORS - 2)]
    env.layers[0, BARRIER, cell_at(1, 2)] = 1.0
    step(env, RIGHT)  # all doors change but the one in which the agent stands
    assert env.layers[0, BARRIER, cell_at(5, 6)] == 0 and env.layers[0, BARRIER, cell_at(1, 2)] == 0
    assert env.layers[0, BARRIER].sum() == N_DOORS - 2
    step(env, LEFT)
    assert env.layers[0, BARRIER, cell_at(5, 6)] == 1 and env.layers[0, BARRIER, cell_at(1, 2)] == 1


def test_doors_are_closed_half_of_the_time_and_change_at_their_rate() -> None:
    env = GridNavigation([DOORS] * 50)
    env.reset(np.arange(50), range(50))
    closed = []
    for _ in range(100):
        closed.append(env.layers[env._rows[:, None], BARRIER, env.doors])
        env.step(np.full(50, UP))
    assert abs(np.mean(closed) - 0.5) < 0.02
    assert abs(np.abs(np.diff(closed, axis=0)).mean() - 0.05) < 0.005
    assert not GridNavigation([COLLECT, CARRY, FIND]).layers[:, BARRIER].any()


def test_reset_leaves_the_other_rows_alone() -> None:
    env = GridNavigation([0, 1, 3])
    env.step(np.zeros(3, dtype=np.int64))
    before = env.get_state()
    env.reset(np.array([1]))
    after = env.get_state()
    for name in env.state_arrays:
        np.testing.assert_array_equal(after[name][[0, 2]], before[name][[0, 2]])
    assert [a == b for a, b in zip(after["generators"], before["generators"], strict=True)] == [True, False, True]


def test_state_of_other_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="other tasks"):
        GridNavigation([0, 1]).set_state(GridNavigation([1, 0]).get_state())


def test_scripted_player_solves_every_task() -> None:
    env = GridNavigation(np.repeat(np.arange(4), 8).tolist())
    scripted, chance = returns(env, navigate), returns(env, play_random)
    assert (scripted > [35, 10, 15, 8]).all(), scripted
    assert (chance < [6, 2, 1.5, 1.5]).all(), chance


def test_picture_shows_where_everything_is() -> None:
    env: Any = gym.make("sb3_distral/GridNavigation-3-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (24 * 11, 24 * 11, 3) and picture.dtype == np.uint8
    centres = picture[12::24, 12::24]
    colours = {"wall": (45, 50, 60), "agent": (215, 70, 50), "goal": (70, 170, 90), "closed door": (150, 90, 40)}
    cells = {name: np.argwhere((centres == colour).all(axis=-1)).tolist() for name, colour in colours.items()}
    batch = env.batch
    assert cells["wall"] == np.argwhere(batch.walls[0]).tolist()
    assert cells["agent"] == batch.position.tolist()
    assert cells["goal"] == coordinates(batch.destination).tolist()
    assert cells["closed door"] == coordinates(np.flatnonzero(batch.layers[0, BARRIER])).tolist()
    carry = BatchedVecEnv(GridNavigation([CARRY]), render_mode="rgb_array")
    before = carry.get_images()[0]
    carry.batch.carrying[0] = True  # type: ignore[attr-defined]
    after: Any = carry.get_images()[0]
    row, column = 24 * carry.batch.position[0] + 12  # type: ignore[attr-defined]
    assert after[row, column].tolist() == [240, 190, 40]
    assert not np.array_equal(before, after)


def test_steps_are_the_moves() -> None:
    np.testing.assert_array_equal(STEPS, [-WIDTH, WIDTH, -1, 1])
