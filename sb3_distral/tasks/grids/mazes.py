"""
The suite ``grid-mazes``: fixed mazes with one goal each, to be found again and again from random cells.

A small stand-in for the 3D mazes of the Distral paper (Section 4.2), where seconds matter.
"""

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.checks import check_seed
from sb3_distral.tasks.grids.carving import carve_maze
from sb3_distral.tasks.grids.cells import MOVES, free_cells
from sb3_distral.tasks.grids.layouts import GridEnv, GridTasks, Layout

#: Width and height of the agent's view in cells.
VIEW = 5


def make_maze(task: int, size: int = 13, maze_seed: int = 0) -> Layout:
    """
    Make the maze of one task; it depends on the three arguments and on nothing else.

    :param task: index of the task
    :param size: width and height in cells, border included
    :param maze_seed: seed of the whole suite; other seeds give mazes never seen before
    :return: walls of shape ``(size, size)``, goal, and the features of each cell (see :class:`GridMazes`)
    """
    generator = np.random.default_rng([maze_seed, task])
    walls = carve_maze(size, generator)
    goal = generator.choice(free_cells(walls))
    return Layout(walls, goal, maze_features(walls, goal))


def maze_features(walls: Array, goal: Array) -> Array:
    """
    Tell what is seen in each free cell.

    :param walls: ``bool``, shape ``(size, size)``
    :param goal: (row, column) of the goal
    :return: view of walls, view of goal, one-hot row and column, shape ``(n_cells, 50 + 2 * size)``
    """
    cells, one_hot = free_cells(walls), np.eye(len(walls), dtype=np.float32)
    goal_map = np.zeros(walls.shape, dtype=np.float32)
    goal_map[tuple(goal)] = 1.0
    seen = [views(walls.astype(np.float32), cells, outside=1.0), views(goal_map, cells, outside=0.0)]
    return np.concatenate([*seen, one_hot[cells[:, 0]], one_hot[cells[:, 1]]], axis=1)


def views(grid: Array, cells: Array, outside: float) -> Array:
    """
    Tabulate what an agent sees.

    :param grid: a value for each cell of the maze, shape ``(height, width)``
    :param cells: (row, column) of where it may stand, shape ``(n_cells, 2)``
    :param outside: the value beyond the maze
    :return: its view from each of them, row by row, shape ``(n_cells, VIEW ** 2)``
    """
    padded = np.pad(grid, VIEW // 2, constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (VIEW, VIEW))
    seen: Array = windows[tuple(cells.T)].reshape(len(cells), VIEW * VIEW)
    return seen


class GridMazes(GridTasks):
    """
    Fixed mazes; reaching the goal gives +1 and moves the agent to a random free cell.

    All other rewards are 0. The goal never ends the episode, which is cut off after 200 steps.
    Actions: up, down, left, right; running into a wall leaves the agent where it is.

    Observation, ``float32``, length ``50 + 2 * size + 5``: walls in the 5x5 view around the agent (row by row,
    outside the maze counts as wall), the goal in the same view, one-hot row, one-hot column, one-hot previous action
    (zeros at the start), previous reward.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param size: width and height of the mazes in cells, border included; odd, at least 5
    :param maze_seed: seed of the mazes; another seed gives unseen mazes
    :raises ValueError: if an argument is outside the range above
    """

    task_name = "maze"
    max_episode_steps = 200

    def __init__(self, tasks: Sequence[int], size: int = 13, maze_seed: int = 0) -> None:
        if size < 5 or size % 2 == 0:
            raise UsageError(f"size is {size!r}, expected an odd number of cells >= 5; pass for example size=13.")
        check_seed("maze_seed", maze_seed)
        self.size, self.maze_seed = size, maze_seed
        super().__init__(tasks, lambda task: self._make_layout(task, size, maze_seed), MOVES, lowest_reward=0.0)

    def _make_layout(self, task: int, size: int, maze_seed: int) -> Layout:
        return make_maze(task, size, maze_seed)

    @override
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        reached = self._move(actions)
        self._place(np.flatnonzero(reached))
        self.previous_reward[:] = reached
        return reached.astype(np.float64), np.zeros(self.n_envs, dtype=np.bool_)


class GridMazeEnv(GridEnv):
    """
    One maze as a gymnasium environment, see :class:`GridMazes`; ids ``sb3_distral/GridMaze-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param size: width and height of the maze in cells
    :param maze_seed: seed of the mazes
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    def __init__(self, task: int = 0, size: int = 13, maze_seed: int = 0, render_mode: str | None = None) -> None:
        super().__init__(GridMazes([task], size, maze_seed), render_mode)
