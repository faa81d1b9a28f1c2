"""
The suite ``grid-families``: the mazes of ``grid-mazes``, in half of which every move goes the opposite way.

Two families of tasks with opposite habits, told by nothing but what the moves do: what one distilled policy cannot
serve, and several can.
"""

from collections.abc import Sequence

import numpy as np

from sb3_distral.tasks.grids.layouts import GridEnv
from sb3_distral.tasks.grids.mazes import GridMazes

#: The move that goes the opposite way of up, down, left and right.
OPPOSITES = np.array([1, 0, 3, 2])
#: Keeps the draws of families apart from those of mazes.
_FAMILIES = 2


def is_reversed(task: int, maze_seed: int = 0) -> bool:
    """
    Tell the family of a task: of tasks 0 and 1, of 2 and 3, … one, drawn at random, has its moves reversed.

    :param task: index of the task
    :param maze_seed: seed of the whole suite
    :return: whether every move goes the opposite way
    """
    first_is_reversed = bool(np.random.default_rng([maze_seed, task // 2, _FAMILIES]).integers(2))
    return first_is_reversed == (task % 2 == 0)


class GridFamilies(GridMazes):
    """
    The tasks of :class:`GridMazes`, but up is down and left is right in one of every two.

    Mazes, goals, rewards and observations are those of ``grid-mazes`` with the same seed. The observation holds the
    previous action as it was chosen, so that no single one tells the family.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param size: width and height of the mazes in cells, border included; odd, at least 5
    :param maze_seed: seed of mazes and families; another seed gives unseen mazes
    :raises ValueError: if an argument is outside the range above
    """

    task_name = "family-maze"

    def __init__(self, tasks: Sequence[int], size: int = 13, maze_seed: int = 0) -> None:
        super().__init__(tasks, size, maze_seed)
        reverses = [is_reversed(int(task), maze_seed) for task in np.unique(self.tasks)]
        self._next_cell[reverses] = self._next_cell[reverses][..., OPPOSITES]


class GridFamilyEnv(GridEnv):
    """
    One task as a gymnasium environment, see :class:`GridFamilies`; ids ``sb3_distral/GridFamily-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param size: width and height of the maze in cells
    :param maze_seed: seed of mazes and families
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    def __init__(self, task: int = 0, size: int = 13, maze_seed: int = 0, render_mode: str | None = None) -> None:
        super().__init__(GridFamilies([task], size, maze_seed), render_mode)
