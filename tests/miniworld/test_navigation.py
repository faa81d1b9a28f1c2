"""The rules of the suite ``navigation``."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from world_players import AHEAD, TURN_LEFT, episode_return, hall, look, navigate, play_random, shortest_way

from sb3_distral.tasks.miniworld import navigation
from sb3_distral.tasks.miniworld.block_world import APPLE
from sb3_distral.tasks.miniworld.blocks import CELL
from sb3_distral.tasks.miniworld.navigation import (
    CARRY,
    CLOSED,
    COLLECT,
    DOORS,
    FIND,
    HELD,
    N_APPLES,
    N_DOORS,
    OPEN,
    NavigationEnv,
)
from sb3_distral.tasks.miniworld.things import Thing

NOTHING = np.zeros((84, 84, 3), dtype=np.uint8)


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    made = []

    def make(task: int, pictures: bool = False) -> Any:
        env: Any = NavigationEnv(task)
        if not pictures:
            env.render_obs = lambda: NOTHING
            env._render_static = lambda: None
        env.reset(seed=0)
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


def add_apple(env: Any, row: int, column: int) -> Thing:
    apple = Thing(APPLE)
    env.put_in((row, column), apple)
    env.apples.append(apple)
    return apple


def step_onto(env: Any, cell: tuple[int, int]) -> tuple[float, bool]:
    """Put the agent into a cell, let it turn there, and return the reward and whether the task is solved."""
    env.put_in(cell, env.agent)
    _, reward, terminated, truncated, info = env.step(TURN_LEFT)
    assert not terminated and not truncated
    return reward, info["is_success"]


def test_every_episode_has_a_new_maze_without_dead_cells(make: Any) -> None:
    env, mazes = make(FIND), set()
    for _ in range(50):
        env.reset()
        free = list(map(tuple, np.argwhere(~env.walls).tolist()))
        # 16 rooms joined by a tree of 15 passages; 24 - 15 = 9 walls remain, 30 % of these are 3.
        assert env.walls.shape == (9, 9) and len(free) == 16 + 15 + 3
        assert all(shortest_way(env.walls, (1, 1), {cell}) for cell in free[1:])
        mazes.add(env.walls.tobytes())
    assert len(mazes) == 50


def test_collected_apples_pay_and_come_back_after_the_last(make: Any) -> None:
    env = make(COLLECT)
    assert len(env.apples) == N_APPLES
    for left in range(N_APPLES - 1, 0, -1):
        assert step_onto(env, env.cell_of(env.apples[0])) == (1.0, False)
        assert len(env.apples) == left
    last = env.cell_of(env.apples[0])
    assert step_onto(env, last) == (1.0, True)
    cells = {env.cell_of(apple) for apple in env.apples}
    assert len(cells) == N_APPLES and last not in cells and env.start_cell not in cells
    assert sum(isinstance(entity, Thing) for entity in env.entities) == N_APPLES
    assert step_onto(env, last) == (0.0, True)


def test_carried_apple_pays_at_the_start_only(make: Any) -> None:
    env = make(CARRY)
    hall(env)
    start = env.start_cell
    assert step_onto(env, start) == (0.0, False)
    far = (7, 7) if start != (7, 7) else (1, 1)
    first, second = add_apple(env, *far), add_apple(env, 4, 4)
    assert step_onto(env, far) == (0.0, False)
    assert env.held in env.entities and first not in env.entities
    assert step_onto(env, (4, 4)) == (0.0, False) and second in env.entities  # one at a time
    assert step_onto(env, start) == (10.0, True)
    assert env.held is None and env.apples == [second]
    assert step_onto(env, start) == (0.0, True)
    assert step_onto(env, (4, 4)) == (0.0, True) and not env.apples
    assert step_onto(env, start) == (10.0, True)
    cells = {env.cell_of(apple) for apple in env.apples}
    assert len(cells) == N_APPLES and start not in cells  # after the last, new ones


def test_held_apple_is_seen_even_at_a_wall(make: Any) -> None:
    env = make(CARRY, pictures=True)
    hall(env)
    env.put_in((4, 4), env.agent, np.pi / 2)
    assert not look(env, HELD.colour).any()
    env.held = Thing(HELD)
    for _ in range(8):
        env.step(AHEAD)
        seen = look(env, HELD.colour)
        assert seen[:, 42].any() and seen[50:].sum() == seen.sum() > 100
    assert env.agent.pos[2] < 1.5 * CELL


@pytest.mark.parametrize("task", [FIND, DOORS])
def test_goal_pays_and_relocates_but_stays_for_the_episode(make: Any, task: int) -> None:
    env = make(task)
    goal, starts, allowed = env.cell_of(env.goal), set(), set(map(tuple, np.argwhere(~env.walls).tolist()))
    for _ in range(300):
        assert step_onto(env, goal) == (10.0, True)
        env.step_count = 0
        assert env.cell_of(env.goal) == goal
        starts.add(env.cell_of(env.agent))
    assert starts == allowed - {goal, *env.doors}
    env.reset()
    assert env.cell_of(env.goal) != goal and env.is_success is False


def test_closed_doors_stop_the_agent_and_the_view(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "TOGGLE", 0.0)
    env = make(DOORS, pictures=True)
    hall(env)
    for cell, door in [*env.doors.items()]:
        env.blocked[cell] = False
        env.entities.remove(door)
    env.doors = {(4, row): Thing(OPEN) for row in range(5, 5 + N_DOORS)}
    door = env.doors[4, 5]
    env.put_in((4, 5), door)
    env.put_in((4, 7), env.goal)
    for closed in (True, False):
        env.put_in((4, 3), env.agent)  # looks along x, at the door
        env._set_door((4, 5), door, closed)
        assert door.shape is (CLOSED if closed else OPEN)
        assert look(env, CLOSED.colour).mean() > 0.15 if closed else 0 < look(env, CLOSED.colour).mean() < 0.1
        assert look(env, (0.1, 0.9, 0.2)).any() != closed
        for _ in range(5):
            env.step(AHEAD)
        if closed:
            np.testing.assert_allclose(env.agent.pos[0], 5 * CELL - 0.4, atol=0.2)
        else:
            assert env.agent.pos[0] > 5 * CELL


def test_doors_toggle_but_never_on_the_agent(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(DOORS)
    cells = list(env.doors)
    monkeypatch.setattr(navigation, "TOGGLE", 1.0)
    env._set_door(cells[0], env.doors[cells[0]], False)
    for offset in ([0.0, 0.0, 0.0], [1.3, 0.0, 0.0], [0.0, 0.0, -1.3]):  # in the door, or with a part of the body
        env.put_in(cells[0], env.agent)
        env.agent.pos += offset
        before = env.blocked.copy()
        env._play_frame(TURN_LEFT)
        assert not env.blocked[cells[0]]
        assert [env.blocked[cell] != before[cell] for cell in cells[1:]] == [True] * (N_DOORS - 1)
    env.put_in((1, 1), env.agent)
    env._play_frame(TURN_LEFT)
    assert env.blocked[cells[0]] and env.doors[cells[0]].shape is CLOSED


def test_doors_are_closed_half_of_the_time_and_change_at_their_rate(make: Any) -> None:
    env, closed = make(DOORS), []
    for _ in range(20):
        env.reset()
        assert len(env.doors) == N_DOORS and all(sum(cell) % 2 == 1 for cell in env.doors)
        assert all(env.blocked[cell] == (door.shape is CLOSED) for cell, door in env.doors.items())
        assert not set(env.doors) & {env.cell_of(env.agent), env.cell_of(env.goal)}
        for _ in range(400):
            closed.append([env.blocked[cell] for cell in env.doors])
            env._play_frame(TURN_LEFT)
    states = np.reshape(closed, (20, 400, N_DOORS))
    assert abs(states.mean() - 0.5) < 0.1
    assert abs((states[:, 1:] != states[:, :-1]).mean() - 0.01) < 0.001
    env.render_obs()
    assert not make(FIND).doors


#: Least return of the scripted player, and most of a random one, in the mean of the episodes.
BOUNDS = {COLLECT: (20, 8), CARRY: (40, 25), FIND: (80, 20), DOORS: (50, 20)}


@pytest.mark.parametrize("task", BOUNDS)
def test_scripted_player_solves_every_task(make: Any, task: int) -> None:
    env = make(task)
    scripted = []
    for seed in range(3):
        scripted.append(episode_return(env, navigate, seed))
        assert env.is_success
    chance = [episode_return(env, play_random, seed) for seed in range(6)]
    least, most = BOUNDS[task]
    assert min(scripted) >= least and np.mean(chance) < most, (scripted, chance)


def test_tasks_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="task is 4, expected an integer from 0 to 3"):
        NavigationEnv(4)
