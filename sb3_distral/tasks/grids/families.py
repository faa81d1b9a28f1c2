"""
The suite ``grid-families``: the maze of ``grid-likeness``, with two families of tasks that want opposite switches.

What the families differ in is what is best to do in the same states: what one distilled policy cannot serve, and what
the actions of a task tell.
"""

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.adapters import SingleTaskEnv
from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.likeness import N_PASSAGES, GridLikeness, n_common, wishes

#: Keeps the draws of families apart from those of the maze and of wishes.
_FAMILIES = 2


def family_of(task: int, n_families: int = 2, maze_seed: int = 0) -> int:
    """
    Tell the family of a task: with two, one of tasks 0 and 1, of 2 and 3, …, drawn at random, is of each.

    :param task: index of the task
    :param n_families: number of families, 1 or 2
    :param maze_seed: seed of the suite
    :return: 0 or 1; with one family always 0
    """
    first = int(np.random.default_rng([maze_seed, task // 2, _FAMILIES]).integers(2))
    return (first + task) % 2 * (n_families - 1)


class GridFamilies(GridLikeness):
    """
    The tasks of :class:`GridLikeness`, where those of one family have wishes in common.

    In the first ``likeness * N_PASSAGES`` passages a task wants what its family wants, and the two families want
    opposite switches. The other wishes are those of ``grid-likeness``. No observation tells the family, nor the task.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param n_families: number of families, 1 or 2; with 1 the tasks are those of ``grid-likeness``
    :param likeness: part of the pairs of switches of which all tasks of a family want the same one, from 0 to 1 in
        eighths
    :param maze_seed: seed of maze, wishes and families
    :raises ValueError: if an argument is outside its range
    """

    task_name = "family"

    def __init__(self, tasks: Sequence[int], n_families: int = 2, likeness: float = 0.75, maze_seed: int = 0) -> None:
        if n_families not in (1, 2):
            raise UsageError(f"n_families is {n_families!r}, expected 1 or 2; pass for example n_families=2.")
        self.n_families = n_families
        super().__init__(tasks, likeness, maze_seed)

    @override
    def _wishes(self, task: int) -> Array:
        own = wishes(task, self.likeness, self.maze_seed)
        is_opposite = family_of(task, self.n_families, self.maze_seed) == 1
        is_common = np.arange(N_PASSAGES) < n_common(self.likeness)
        return np.where(is_common & is_opposite, 1 - own, own)


class GridFamilyEnv(SingleTaskEnv):
    """
    One task as a gymnasium environment, see :class:`GridFamilies`; ids ``sb3_distral/GridFamily-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param n_families: number of families
    :param likeness: part of the wishes that a family has in common
    :param maze_seed: seed of maze, wishes and families
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    def __init__(
        self,
        task: int = 0,
        n_families: int = 2,
        likeness: float = 0.75,
        maze_seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(GridFamilies([task], n_families, likeness, maze_seed), render_mode)
