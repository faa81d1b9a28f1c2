"""
The suite ``grid-families``: goals in one maze, in half of whose tasks every move goes the opposite way.

Two families of tasks with opposite habits, told by nothing but what the moves do: what one distilled policy cannot
serve, and several can.
"""

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.grids.cells import free_cells
from sb3_distral.tasks.grids.layouts import GridEnv, Layout
from sb3_distral.tasks.grids.mazes import GridMazes, make_maze, maze_features

#: The move that goes the opposite way of up, down, left and right.
OPPOSITES = np.array([1, 0, 3, 2])
#: Keep the draws of families and goals apart from those of mazes.
_FAMILIES, _GOALS = 2, 3


def is_reversed(task: int, maze_seed: int = 0) -> bool:
    """
    Tell the family of a task: of tasks 0 and 1, of 2 and 3, … one, drawn at random, has its moves reversed.

    :param task: index of the task
    :param maze_seed: seed of the whole suite
    :return: whether every move goes the opposite way
    """
    first_is_reversed = bool(np.random.default_rng([maze_seed, task // 2, _FAMILIES]).integers(2))
    return first_is_reversed == (task % 2 == 0)


def make_family_maze(task: int, size: int, maze_seed: int, n_mazes: int) -> Layout:
    """
    Make the maze of one task; two tasks that follow each other, of different families, share it.

    :param task: index of the task
    :param size: width and height in cells, border included
    :param maze_seed: seed of the whole suite
    :param n_mazes: number of different mazes, those of the first tasks of ``grid-mazes``
    :return: walls, goal and features of each cell as of :func:`~sb3_distral.tasks.grids.mazes.make_maze`
    """
    walls = make_maze(task // 2 % n_mazes, size, maze_seed).walls
    goal = np.random.default_rng([maze_seed, task, _GOALS]).choice(free_cells(walls))
    return Layout(walls, goal, maze_features(walls, goal))


class GridFamilies(GridMazes):
    """
    The tasks of :class:`GridMazes` in few mazes, but up is down and left is right in one of every two.

    Each task has a goal of its own. Rewards and observations are those of ``grid-mazes``. The observation holds the
    previous action as it was chosen, so that no single one tells the family.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param size: width and height of the mazes in cells, border included; odd, at least 5
    :param maze_seed: seed of mazes, goals and families; another seed gives unseen ones
    :param n_mazes: number of different mazes, at least 1; with one, no observation tells the task but for the goal
    :raises ValueError: if an argument is outside the range above
    """

    task_name = "family-maze"

    def __init__(self, tasks: Sequence[int], size: int = 13, maze_seed: int = 0, n_mazes: int = 1) -> None:
        if n_mazes < 1:
            raise UsageError(f"n_mazes is {n_mazes!r}, expected at least 1; pass for example n_mazes=1.")
        self.n_mazes = n_mazes
        super().__init__(tasks, size, maze_seed)
        reverses = [is_reversed(int(task), maze_seed) for task in np.unique(self.tasks)]
        self._next_cell[reverses] = self._next_cell[reverses][..., OPPOSITES]

    @override
    def _make_layout(self, task: int, size: int, maze_seed: int) -> Layout:
        return make_family_maze(task, size, maze_seed, self.n_mazes)


class GridFamilyEnv(GridEnv):
    """
    One task as a gymnasium environment, see :class:`GridFamilies`; ids ``sb3_distral/GridFamily-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param size: width and height of the maze in cells
    :param maze_seed: seed of mazes, goals and families
    :param n_mazes: number of different mazes
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    def __init__(
        self, task: int = 0, size: int = 13, maze_seed: int = 0, n_mazes: int = 1, render_mode: str | None = None
    ) -> None:
        super().__init__(GridFamilies([task], size, maze_seed, n_mazes), render_mode)
