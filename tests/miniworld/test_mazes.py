"""The rules of the suite ``mazes``."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from world_players import AHEAD, TURN_LEFT, episode_return, play_maze, play_random, shortest_way

from sb3_distral.tasks.miniworld.mazes import N_APPLES, TEXTURES, MazeEnv, draw_maze

NOTHING = np.zeros((84, 84, 3), dtype=np.uint8)


@pytest.fixture
def env() -> Iterator[MazeEnv]:
    env = MazeEnv(2)
    env.reset(seed=0)
    yield env
    env.close()


def without_pictures(env: MazeEnv) -> MazeEnv:
    env.render_obs = lambda: NOTHING  # type: ignore[method-assign]
    env._render_static = lambda: None
    return env


def test_mazes_depend_on_their_arguments_alone() -> None:
    mazes = [draw_maze(task, 0, 9) for task in range(8)]
    np.random.seed(1)
    for task, (walls, goal) in enumerate(mazes):
        again, same_goal = draw_maze(task, 0, 9)
        np.testing.assert_array_equal(walls, again)
        assert goal == same_goal and not walls[goal]
        assert not np.array_equal(walls, draw_maze(task, 1, 9)[0])
        assert all(cell == goal or shortest_way(walls, goal, {cell}) for cell in map(tuple, np.argwhere(~walls)))
    assert len({walls.tobytes() for walls, _ in mazes}) == 8 and len({goal for _, goal in mazes}) > 4


def test_each_task_has_its_maze_goal_and_texture_in_every_episode() -> None:
    frames, textures = [], set()
    for task in (0, 5, 9):
        env: Any = MazeEnv(task, maze_seed=3, size=7)
        walls, goal = draw_maze(task, 3, 7)
        assert walls.shape == (7, 7)
        for seed in range(3):
            env.reset(seed=seed)
            np.testing.assert_array_equal(env.walls, walls)
            assert env.cell_of(env.goal) == goal
        textures.add(env.rooms[0].wall_tex_name)
        frames.append(env.render_obs())
        env.close()
    assert textures == {TEXTURES[0], TEXTURES[5], TEXTURES[1]}
    assert not np.array_equal(frames[0], frames[1])


def test_start_and_apples_are_drawn_for_each_episode(env: MazeEnv) -> None:
    without_pictures(env)
    starts, directions, apples = set(), set(), set()
    goal = env.cell_of(env.goal)
    for _ in range(150):
        env.reset()
        start, own = env.cell_of(env.agent), [env.cell_of(apple) for apple in env.apples]
        assert len({*own, start, goal}) == N_APPLES + 2
        assert not any(env.walls[cell] for cell in (*own, start))
        starts.add(start)
        apples |= set(own)
        directions.add(int(env.agent.dir // (np.pi / 4)))
    free = set(map(tuple, np.argwhere(~env.walls).tolist())) - {goal}
    assert starts == apples == free and directions == set(range(8))


def test_apples_pay_once(env: MazeEnv) -> None:
    apple = env.apples[2]
    env.put(env.agent, *apple.pos[[0, 2]])
    assert apple in env.entities
    assert env.step(TURN_LEFT)[1] == 1.0
    assert len(env.apples) == N_APPLES - 1 and apple not in env.entities
    _, reward, terminated, _, info = env.step(TURN_LEFT)
    assert (reward, terminated, info) == (0.0, False, {"is_success": False})
    assert len(env.reset()[0]) and len(env.apples) == N_APPLES


def test_goal_pays_and_relocates_without_ending(env: MazeEnv) -> None:
    without_pictures(env)
    goal, starts = env.cell_of(env.goal), set()
    env.apples.clear()
    for _ in range(150):
        env.put_in(goal, env.agent)
        _, reward, terminated, _, info = env.step(TURN_LEFT)
        assert (reward, terminated, info) == (10.0, False, {"is_success": True})
        assert env.cell_of(env.goal) == goal
        starts.add(env.cell_of(env.agent))
    assert starts == set(map(tuple, np.argwhere(~env.walls).tolist())) - {goal}
    _, reward, _, _, info = env.step(TURN_LEFT)
    assert reward == 0.0 and info["is_success"]  # once solved, solved for the episode
    assert env.reset()[1] == {"is_success": False}


def test_what_is_out_of_reach_does_not_count(env: MazeEnv) -> None:
    env.apples.clear()
    x, _, z = env.goal.pos
    for distance, reward in ((0.81, 0.0), (0.79, 10.0)):
        env.put(env.agent, x - distance, z)
        assert env.step(TURN_LEFT)[1] == reward


@pytest.mark.parametrize("task", range(8))
def test_scripted_player_solves_every_task(task: int) -> None:
    env = without_pictures(MazeEnv(task))
    scripted = [episode_return(env, play_maze, seed) for seed in range(2)]
    assert env.is_success
    chance = [episode_return(env, play_random, seed) for seed in range(4)]
    assert min(scripted) >= 60 and np.mean(chance) < 25, (scripted, chance)
    env.close()


def test_standing_still_pays_nothing(env: MazeEnv) -> None:
    without_pictures(env)
    assert episode_return(env, lambda _: TURN_LEFT, 0) == 0
    assert AHEAD == 0


@pytest.mark.parametrize("size", [5, 8, -1])
def test_invalid_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="odd number of cells >= 7"):
        MazeEnv(size=size)


@pytest.mark.parametrize("maze_seed", [-1, 0.5])
def test_invalid_maze_seed_is_refused(maze_seed: Any) -> None:
    with pytest.raises(ValueError, match=r"maze_seed is .*, expected an integer >= 0"):
        MazeEnv(maze_seed=maze_seed)
