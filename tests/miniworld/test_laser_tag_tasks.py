"""The tasks of the suite laser-tag: what differs between them, what their pictures show, whether they can be solved."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_sb3

from sb3_distral import tasks
from sb3_distral.tasks.batched import Array

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from tag_player import LEFT, play, play_randomly, stand_still, without_pictures
from world_players import episode_return

from sb3_distral.tasks.miniworld.bots import CHASES, FLEES, PATROLS
from sb3_distral.tasks.miniworld.laser_tag import N_OBJECTS, TAG, LaserTagEnv
from sb3_distral.tasks.miniworld.world import VIEW

Maker = Callable[..., LaserTagEnv]


@pytest.fixture(scope="module")
def made() -> Iterator[Maker]:
    """Makes environments, which are closed in the end."""
    envs: list[LaserTagEnv] = []

    def make(*arguments: Any, **keywords: Any) -> LaserTagEnv:
        envs.append(LaserTagEnv(*arguments, **keywords))
        return envs[-1]

    yield make
    for env in envs:
        env.close()


@pytest.mark.filterwarnings("ignore:.*render_modes.*", "ignore:.*not within the.*")
@pytest.mark.parametrize("task", range(8))
def test_checkers_of_gymnasium_and_stable_baselines3_accept_every_task(task: int) -> None:
    env = gym.make(f"sb3_distral/LaserTag-{task}-v0")
    try:
        check_sb3(env)
        check_gymnasium(env.unwrapped, skip_render_check=True)
        assert env.observation_space == gym.spaces.Box(0, 255, (84, 84, 3), np.uint8)
        assert env.action_space == gym.spaces.Discrete(6)
    finally:
        env.close()


@pytest.mark.parametrize("task", [0, 7])
def test_a_seed_decides_everything_whatever_the_neighbours_do(made: Maker, task: int) -> None:
    first, second, other = made(task), made(task), made(task)
    starts = [env.reset(seed=seed)[0] for env, seed in ((first, 5), (second, 5), (other, 6))]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert (starts[0] != starts[2]).any()
    generator = np.random.default_rng(0)
    for _ in range(60):
        action = int(generator.integers(6))
        observation, *rest = first.step(action)
        other.step(int(generator.integers(6)))
        expected, *expected_rest = second.step(action)
        np.testing.assert_array_equal(observation, expected)
        assert rest == expected_rest
        np.testing.assert_array_equal(first.bots.positions, second.bots.positions)


def test_properties_of_the_tasks(made: Maker) -> None:
    for task in range(8):
        env, maps, teams = without_pictures(made(task)), set(), set()
        for seed in range(6):
            env.reset(seed=seed)
            maps.add(env.arena.solid.centres.tobytes())
            teams.add((tuple(env.bots.kinds.tolist()), tuple(env.bots.speeds.tolist())))
            assert len(env.objects) == N_OBJECTS
            assert len(np.unique([*env.bots.positions, env.agent.pos[::2]], axis=0)) == 1 + len(env.bots.kinds)
        assert (len(maps) == 1) == (task not in (2, 3, 6, 7))
        assert (len(env.arena.barriers.centres) > 0) == (task >= 4)
        if task % 2 == 0:
            assert teams == {((FLEES, PATROLS, CHASES), (0.1, 0.1, 0.1))}
        else:
            assert {len(kinds) for kinds, _ in teams} <= {2, 3, 4} and len(teams) == 6
            assert {kind for kinds, _ in teams for kind in kinds} == {FLEES, PATROLS, CHASES}
            assert all(0.05 <= speed <= 0.15 for _, speeds in teams for speed in speeds)


def test_fixed_maps_depend_on_task_and_map_seed(made: Maker) -> None:
    envs = [made(task, map_seed=seed) for seed in (0, 1) for task in (0, 1, 4, 5)]
    assert len({env.arena.walls.centres.tobytes() for env in envs}) == 8
    again = made(5, map_seed=1)
    np.testing.assert_array_equal(again.arena.walls.centres, envs[-1].arena.walls.centres)


def share(picture: Array, colour: tuple[int, int, int]) -> float:
    """Return which part of a picture has about a colour, in any light."""
    pixels = picture.reshape(-1, 3) / np.linalg.norm(picture.reshape(-1, 3), axis=1, keepdims=True).clip(1)
    return float((pixels @ np.array(colour) / np.linalg.norm(colour) > 0.99).mean())


def test_pictures_show_bots_objects_barriers_and_the_gun(made: Maker) -> None:
    env = made(4)
    env.reset(seed=0)
    env.bots.positions[:] = [[0.0, 3.0], [0.0, 3.0], [4.0, 0.0]]
    env.bots.speeds[:] = 0.0
    for thing in env.objects:
        env.put(thing, 0.0, -3.0)
    env.entities = [thing for thing in env.entities if type(thing).__name__ != "Obstacles"]
    env._render_static()
    for angle, colour, expected in (
        (0.0, (153, 25, 204), True),
        (np.pi / 2, (153, 25, 204), False),
        (np.pi / 2, (255, 217, 25), True),
        (np.pi, (255, 217, 25), False),
    ):
        env.put(env.agent, 0.0, 0.0, angle)
        env._show_bots()
        assert (share(env.render_obs(), colour) > 0.004) == expected
    env.reset(seed=0)
    observation, *_ = env.step(TAG)
    middle = VIEW // 2
    assert observation[-1, : VIEW // 4].tolist() == observation[middle, middle - 3 : middle + 3].tolist()[:1] * 21
    for _ in range(2):
        observation, *_ = env.step(LEFT)
    assert (observation[-1, :63] == observation[-1, 0]).all() and observation[-1, 0].tolist() != [255] * 3
    observation, *_ = env.step(LEFT)
    assert (observation[-1] == 255).all() and (observation[middle, middle] == 255).all()


def test_the_arena_is_drawn_from_above(made: Maker) -> None:
    env = made(4, render_mode="rgb_array", view="top")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (256, 256, 3)
    without = made(0, render_mode="rgb_array", view="top")
    without.reset(seed=0)
    orange = (255, 115, 0)
    assert share(picture, orange) > 0.003 > 0.001 > share(without.render(), orange)


@pytest.mark.parametrize("task", range(8))
def test_scripted_player_solves_every_task(made: Maker, task: int) -> None:
    env = without_pictures(made(task))
    scripted, chance, idle = (
        np.mean([episode_return(env, player, seed) for seed in range(2)])
        for player in (play, play_randomly, stand_still)
    )
    assert scripted > 10 and chance < 5 and idle < 2, (scripted, chance, idle)


def test_the_scripted_player_needs_the_jump(made: Maker) -> None:
    envs = [without_pictures(made(task)) for task in range(4, 8)]
    returns = [np.mean([episode_return(env, partial(play, jumps=jumps), 1) for env in envs]) for jumps in (True, False)]
    assert returns[1] < 0.75 * returns[0], returns


@pytest.mark.parametrize("task", [-1, 8, 0.5, None])
def test_unknown_task_is_refused(task: Any) -> None:
    with pytest.raises(ValueError, match=r"task is .*, expected an integer from 0 to 7"):
        LaserTagEnv(task)


@pytest.mark.parametrize("map_seed", [-1, 0.5, None])
def test_invalid_map_seed_is_refused(map_seed: Any) -> None:
    with pytest.raises(ValueError, match=r"map_seed is .*, expected an integer >= 0"):
        LaserTagEnv(0, map_seed=map_seed)


def test_the_suite_is_listed() -> None:
    assert tasks.SUITES["laser-tag"].n_tasks == LaserTagEnv.n_tasks == 8
