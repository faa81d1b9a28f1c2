"""The rules of the suite laser-tag and what its pictures show."""

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

from arenas import Box, hall
from tag_player import AHEAD, BACK, LEFT, RIGHT, play, play_episode, play_randomly, stand_still

from sb3_distral.tasks.miniworld.bots import CHASES, FLEES, PATROLS, Bots
from sb3_distral.tasks.miniworld.figures import BARRIER_HEIGHT
from sb3_distral.tasks.miniworld.laser_tag import JUMP, N_OBJECTS, RELOAD, TAG, LaserTagEnv
from sb3_distral.tasks.miniworld.world import VIEW

FAR = (5.5, 5.5)

#: East of an agent in the middle.
BAR = (2.0, 0.0, 0.1, 6.0)

Maker = Callable[..., LaserTagEnv]


def without_pictures(env: LaserTagEnv) -> LaserTagEnv:
    nothing = np.zeros((VIEW, VIEW, 3), dtype=np.uint8)
    env.render_obs = lambda frame_buffer=None: nothing  # type: ignore[method-assign]
    return env


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


@pytest.fixture(scope="module")
def player(made: Maker) -> LaserTagEnv:
    return without_pictures(made(0))


@pytest.fixture
def env(player: LaserTagEnv) -> LaserTagEnv:
    """A hall without inner walls, the agent in its middle, which looks east, and one bot in a corner that stands."""
    player.reset(seed=0)
    furnish(player)
    return player


def furnish(env: LaserTagEnv, walls: tuple[Box, ...] = (), barriers: tuple[Box, ...] = ()) -> None:
    env.arena = hall(walls, barriers)
    env.put(env.agent, 0.0, 0.0, 0.0)
    for thing in env.objects:
        env.put(thing, -5.0, -5.0)
    post(env, FAR)


def post(env: LaserTagEnv, *places: tuple[float, float]) -> None:
    """Replace the bots by some that stand, look away from the middle and do not shoot."""
    n_bots = len(places)
    env._add_bots(Bots(np.array(places), np.zeros(n_bots), np.full(n_bots, PATROLS), np.zeros(n_bots)))
    env.bots.waits[:] = 10**6


def act(env: LaserTagEnv, *actions: int) -> list[float]:
    """Return the rewards of some actions."""
    return [env.step(action)[1] for action in actions]


def place_of(env: LaserTagEnv) -> tuple[float, float]:
    x, _, z = env.agent.pos.tolist()
    return x, z


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


def test_moves_and_turns(env: LaserTagEnv) -> None:
    act(env, AHEAD)
    assert place_of(env) == pytest.approx((0.8, 0.0))
    act(env, BACK, BACK)
    assert place_of(env) == pytest.approx((-0.8, 0.0))
    act(env, LEFT)
    assert env.agent.dir == pytest.approx(np.deg2rad(16))
    act(env, RIGHT, RIGHT, TAG)
    assert env.agent.dir == pytest.approx(np.deg2rad(-16)) and place_of(env) == pytest.approx((-0.8, 0.0))


def test_walls_stop_the_agent(env: LaserTagEnv) -> None:
    furnish(env, walls=(BAR,))
    act(env, AHEAD, AHEAD, AHEAD, JUMP, JUMP)
    assert 1.2 < place_of(env)[0] <= 1.5


def test_tag_reaches_the_first_bot_ahead_and_sends_it_away(env: LaserTagEnv) -> None:
    post(env, (4.0, 0.5), (2.0, -0.5), (1.0, 0.7), (-1.0, 0.0))
    assert act(env, LEFT, RIGHT, TAG) == [0.0, 0.0, 1.0]
    places = env.bots.positions.tolist()
    assert places[::2] == [[4.0, 0.5], [1.0, 0.7]] and places[3] == [-1.0, 0.0]
    assert places[1] != [2.0, -0.5] and (np.abs(env.bots.positions[1]) % 3 == 1.5).all()


def test_shots_pass_barriers_but_not_walls(env: LaserTagEnv) -> None:
    furnish(env, walls=(BAR,))
    post(env, (4.0, 0.0))
    assert act(env, TAG) == [0.0]
    furnish(env, barriers=(BAR,))
    post(env, (4.0, 0.0))
    assert act(env, AHEAD, AHEAD, TAG) == [0.0, 0.0, 1.0]


def test_the_gun_takes_three_steps_to_load(env: LaserTagEnv) -> None:
    rewards = []
    for _ in range(8):
        post(env, (4.0, 0.0))
        rewards += act(env, TAG)
    assert rewards == [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]


def test_only_a_jump_passes_a_barrier(env: LaserTagEnv) -> None:
    furnish(env, barriers=(BAR,))
    act(env, *[AHEAD] * 4)
    assert 1.2 < place_of(env)[0] <= 1.5
    act(env, JUMP)
    assert env.agent.pos[1] == 1.0 and env.agent.cam_pos[1] == pytest.approx(2.5)
    act(env, AHEAD, AHEAD)
    assert place_of(env)[0] > 2.5 and env.agent.pos[1] == 0.0
    env.agent.dir = np.pi
    act(env, AHEAD, AHEAD)
    assert place_of(env)[0] > 2.5


def test_who_comes_down_on_a_barrier_stands_on_it_and_walks_off(env: LaserTagEnv) -> None:
    furnish(env, barriers=(BAR,))
    act(env, AHEAD, AHEAD, JUMP, TAG, TAG)
    assert env.agent.pos[1] == BARRIER_HEIGHT and 1.5 < place_of(env)[0] < 2.5
    act(env, JUMP)
    assert env.agent.pos[1] == BARRIER_HEIGHT + 1.0
    act(env, TAG, TAG)
    assert env.agent.pos[1] == 0.0 and place_of(env)[0] > 2.5


def test_nobody_jumps_in_the_air(env: LaserTagEnv) -> None:
    heights = []
    for action in (JUMP, JUMP, JUMP, AHEAD, AHEAD):
        act(env, action)
        heights.append(float(env.agent.pos[1]))
    assert heights == [1.0, 0.0, 1.0, 0.0, 0.0]


def test_objects_pay_and_come_back_after_the_last(env: LaserTagEnv) -> None:
    env.put(env.objects[0], 1.0, 0.0)
    first = env.objects[0]
    assert act(env, AHEAD, AHEAD) == [pytest.approx(0.2), 0.0]
    assert len(env.objects) == N_OBJECTS - 1 and not any(thing is first for thing in env.entities)
    for thing in env.objects[1:]:
        env.entities.remove(thing)
    del env.objects[1:]
    x, z = place_of(env)
    env.put(env.objects[0], x, z)
    assert act(env, TAG) == [pytest.approx(0.2)]
    assert len(env.objects) == N_OBJECTS
    assert sum(any(thing is entity for entity in env.entities) for thing in env.objects) == N_OBJECTS


def test_being_tagged_costs_and_sends_the_agent_away(env: LaserTagEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sb3_distral.tasks.miniworld.bots.SCATTER", 0.0)
    env.put(env.agent, 0.3, 0.3, direction=np.pi)
    post(env, (3.0, 0.3))
    env.bots.headings[:], env.bots.waits[:] = np.pi, 2
    assert act(env, JUMP, AHEAD) == [0.0, -1.0]
    x, z = place_of(env)
    assert abs(x) % 3 == abs(z) % 3 == 1.5 and env.agent.pos[1] == 0.0
    assert np.cos(env.agent.dir - np.arctan2(z, -x)) > 0.7  # it looks towards the middle


def test_success_is_to_lead(env: LaserTagEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sb3_distral.tasks.miniworld.bots.SCATTER", 0.0)
    leads = []
    for bot_shoots in (False, True, True, False, False):
        furnish(env)
        post(env, (0.0, 4.0) if bot_shoots else (4.0, 0.0))
        env.bots.headings[:], env.bots.waits[:], env.loading = np.pi / 2, 1 if bot_shoots else 10**6, 0
        *_, reward, _, _, info = env.step(TAG)
        leads.append((reward, info["is_success"]))
    assert leads == [(1.0, True), (-1.0, False), (-1.0, False), (1.0, False), (1.0, True)]


def test_bots_move_in_every_frame_and_one_picture_is_drawn(env: LaserTagEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = []
    monkeypatch.setattr(env, "render_obs", lambda: pictures.append(0))
    env.bots.positions[:], env.bots.speeds[:] = (-5.0, 3.0), 0.1
    monkeypatch.setattr("sb3_distral.tasks.miniworld.bots.TURN", 0.0)
    act(env, BACK, BACK, BACK)
    there = -5.0 + 3 * 4 * 0.1
    np.testing.assert_allclose(env.bots.positions, [[there, 3.0]])
    np.testing.assert_allclose([env.bodies[0].pos, env.guns[0].pos], [[there, 0.0, 3.0], [there + 0.45, 0.0, 3.0]])
    assert len(pictures) == 3


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
        np.mean([play_episode(env, player, seed) for seed in range(2)]) for player in (play, play_randomly, stand_still)
    )
    assert scripted > 10 and chance < 5 and idle < 2, (scripted, chance, idle)


def test_the_scripted_player_needs_the_jump(made: Maker) -> None:
    envs = [without_pictures(made(task)) for task in range(4, 8)]
    returns = [np.mean([play_episode(env, partial(play, jumps=jumps), 1) for env in envs]) for jumps in (True, False)]
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
    assert RELOAD % 4 == 0
