"""The rules of the suite ``grid-mazes``."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from sb3_distral.tasks.grids.cells import MOVES, next_cells
from sb3_distral.tasks.grids.mazes import GridMazes, make_maze

UP, DOWN, LEFT, RIGHT = range(4)


def put(env: GridMazes, position: tuple[int, int]) -> None:
    """Move the agent of the first sub-environment."""
    cells = np.argwhere(~env.walls[0]).tolist()
    env.cell[0] = cells.index(list(position))


def reachable_cells(walls: np.ndarray) -> int:
    """Count the free cells that can be reached from the first one."""
    free = {tuple(cell) for cell in np.argwhere(~walls).tolist()}
    found = [min(free)]
    for row, column in found:
        for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if cell in free and cell not in found:
                found.append(cell)
    return len(found)


@pytest.mark.parametrize("size", [5, 7, 13, 21])
def test_every_free_cell_can_be_reached(size: int) -> None:
    for task in range(8):
        walls, goal, _ = make_maze(task, size)
        assert walls.shape == (size, size)
        assert walls[[0, -1]].all() and walls[:, [0, -1]].all()
        assert not walls[1::2, 1::2].any()
        assert walls[::2, ::2].all()
        assert not walls[tuple(goal)]
        assert reachable_cells(walls) == (~walls).sum()


def test_eight_percent_of_the_remaining_walls_are_opened() -> None:
    # 36 corridor cells joined by a tree of 35 edges; 60 - 35 = 25 walls remain between them, 8 % of these are 2.
    assert all((~make_maze(task).walls).sum() == 36 + 35 + 2 for task in range(20))


def test_mazes_depend_on_task_and_maze_seed_alone() -> None:
    first = [make_maze(task) for task in range(8)]
    np.random.seed(1)
    for task, maze in enumerate(first):
        again, unseen = make_maze(task), make_maze(task, maze_seed=1)
        np.testing.assert_array_equal(maze.walls, again.walls)
        np.testing.assert_array_equal(maze.goal, again.goal)
        assert not np.array_equal(maze.walls, unseen.walls)
    assert len({maze.walls.tobytes() for maze in first}) == 8
    assert len({tuple(maze.goal) for maze in first}) > 4


def test_each_sub_env_has_the_maze_of_its_task() -> None:
    tasks = [5, 0, 5, 2]
    env = GridMazes(tasks, maze_seed=3)
    for row, task in enumerate(tasks):
        maze = make_maze(task, maze_seed=3)
        np.testing.assert_array_equal(env.walls[row], maze.walls)
        np.testing.assert_array_equal(env.goal[row], maze.goal)


def test_moves_by_hand() -> None:
    walls = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 0, 1], [1, 1, 1, 1]], dtype=bool)
    # Cells: 0 = (1, 1), 1 = (1, 2), 2 = (2, 2); columns: up, down, left, right.
    np.testing.assert_array_equal(next_cells(walls, MOVES), [[0, 0, 0, 1], [1, 2, 0, 1], [1, 2, 2, 2]])


def test_observation_by_hand() -> None:
    env = GridMazes([0], size=5)
    assert env.walls[0].astype(int).tolist() == [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 1],
        [1, 1, 1, 0, 1],
        [1, 0, 0, 0, 1],
        [1, 1, 1, 1, 1],
    ]
    assert tuple(env.goal[0]) == (3, 1)
    env.reset(np.array([0]), [0])
    put(env, (3, 3))
    observations, rewards, terminated = env.step(np.array([UP]))
    view_of_walls = [
        [1, 1, 1, 1, 1],
        [0, 0, 0, 1, 1],
        [1, 1, 0, 1, 1],
        [0, 0, 0, 1, 1],
        [1, 1, 1, 1, 1],
    ]
    view_of_goal = np.zeros((5, 5))
    view_of_goal[3, 0] = 1  # one row down, two columns to the left of the centre
    row, column, action = [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0]
    expected = np.concatenate([np.ravel(view_of_walls), view_of_goal.ravel(), row, column, action, [0]])
    np.testing.assert_array_equal(observations[0], expected.astype(np.float32), strict=True)
    assert rewards[0] == 0 and not terminated[0]


def test_first_observation_has_no_previous_action_and_reward() -> None:
    observation = GridMazes([0, 1]).reset(np.array([0, 1]))
    assert observation.shape == (2, 50 + 26 + 5)
    assert not observation[:, -5:].any()


def test_goal_pays_and_relocates_without_ending() -> None:
    env = GridMazes([0] * 200, size=5)
    env.reset(np.arange(200), range(200))
    env.cell[:] = np.argwhere(~env.walls[0]).tolist().index([3, 2])
    observations, rewards, terminated = env.step(np.full(200, LEFT))
    assert (rewards == 1).all() and not terminated.any()
    assert (observations[:, -1] == 1).all()
    assert (observations[:, -5:-1] == [0, 0, 1, 0]).all()
    # Seven free cells, one of them the goal: the agents are spread over the other six.
    assert {tuple(position) for position in env.position} == {(1, 1), (1, 2), (1, 3), (2, 3), (3, 2), (3, 3)}
    assert (env.step(np.full(200, UP))[1] == 0).all()


def test_episodes_start_anywhere_but_at_the_goal() -> None:
    env = GridMazes([0] * 200, size=5)
    env.reset(np.arange(200), range(200))
    assert {tuple(position) for position in env.position} == {(1, 1), (1, 2), (1, 3), (2, 3), (3, 2), (3, 3)}


def test_reset_leaves_the_other_rows_alone() -> None:
    env = GridMazes([0, 1, 2])
    env.step(np.array([UP, UP, UP]))
    before = env.get_state()
    env.reset(np.array([1]))
    after = env.get_state()
    for name in ("cell", "previous_action", "previous_reward"):
        np.testing.assert_array_equal(after[name][[0, 2]], before[name][[0, 2]])
    assert after["generators"][0] == before["generators"][0]
    assert after["generators"][1] != before["generators"][1]


def test_single_env_tells_where_everything_is() -> None:
    env: Any = gym.make("sb3_distral/GridMaze-3-v0", maze_seed=1, size=9).unwrapped
    env.reset(seed=0)
    maze = make_maze(3, size=9, maze_seed=1)
    np.testing.assert_array_equal(env.walls, maze.walls, strict=True)
    assert env.goal == tuple(maze.goal)
    assert not env.walls[env.position] and env.position != env.goal
    assert all(type(value) is int for value in env.position + env.goal)


@pytest.mark.parametrize("size", [3, 4, 12, -1])
def test_invalid_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="odd number of cells >= 5"):
        GridMazes([0], size=size)


@pytest.mark.parametrize("maze_seed", [-1, 0.5, "a"])
def test_invalid_maze_seed_is_refused(maze_seed: Any) -> None:
    with pytest.raises(ValueError, match=r"maze_seed is .*, expected an integer >= 0"):
        GridMazes([0], maze_seed=maze_seed)
