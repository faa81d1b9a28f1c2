"""The rules of the suite laser-tag."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from arenas import Box, hall
from tag_player import AHEAD, BACK, LEFT, RIGHT, without_pictures

from sb3_distral.tasks.miniworld.bots import PATROLS, Bots
from sb3_distral.tasks.miniworld.figures import BARRIER_HEIGHT
from sb3_distral.tasks.miniworld.laser_tag import JUMP, N_OBJECTS, TAG, LaserTagEnv

FAR = (5.5, 5.5)

#: East of an agent in the middle.
BAR = (2.0, 0.0, 0.1, 6.0)


@pytest.fixture(scope="module")
def player() -> Iterator[LaserTagEnv]:
    env = LaserTagEnv(0)
    yield without_pictures(env)
    env.close()


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
