"""
The suite ``grid-scales``: the mazes of ``grid-mazes`` with goals whose rewards differ by orders of magnitude.

One task's rewards must not drown another's: what the abstract of the Distral paper says against one network for all.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.layouts import GridEnv
from sb3_distral.tasks.grids.mazes import GridMazes

#: Tasks go through so many rewards of a goal in turn.
N_SCALES = 4


def goal_rewards(tasks: Sequence[int], ratio: int) -> Array:
    """
    Give the reward of a goal, powers of ten where the ratio is 1000: 0.1, 1, 10, 100, 0.1, …

    :param tasks: tasks
    :param ratio: the largest reward divided by the smallest
    :return: the reward of each, ``float64``, shape ``(n_tasks,)``
    """
    steps = np.asarray(tasks) % N_SCALES
    return np.asarray(float(ratio) ** ((steps - 1) / (N_SCALES - 1)))


class GridScales(GridMazes):
    """
    :class:`GridMazes` with another reward of a goal in each of four tasks in turn, see :func:`goal_rewards`.

    The previous reward in the observation is 1 after a goal in every task: the networks see what they see in
    ``grid-mazes``, and nothing tells the scale.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param size: width and height of the mazes in cells, border included; odd, at least 5
    :param maze_seed: seed of the mazes
    :param ratio: the largest reward of a goal divided by the smallest, at least 1; 1 is ``grid-mazes``
    :raises ValueError: if an argument is outside the range above
    """

    task_name = "scale"
    row_attributes: ClassVar[tuple[str, ...]] = (*GridMazes.row_attributes, "goal_reward")

    def __init__(self, tasks: Sequence[int], size: int = 13, maze_seed: int = 0, ratio: int = 1000) -> None:
        if ratio < 1:
            raise UsageError(f"ratio is {ratio!r}, expected a number of at least 1; pass for example ratio=1000.")
        super().__init__(tasks, size, maze_seed)
        self.ratio = ratio
        #: reward of a goal in each sub-environment, shape ``(n_envs,)``
        self.goal_reward = goal_rewards(self.tasks.tolist(), ratio)

    @property
    @override
    def fingerprint(self) -> str:
        return f"{super().fingerprint} {self.goal_reward.tolist()}"

    @override
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        goals, terminated = super()._advance(actions)
        return goals * self.goal_reward, terminated


class GridScaleEnv(GridEnv):
    """
    One maze as a gymnasium environment, see :class:`GridScales`; ids ``sb3_distral/GridScale-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param size: width and height of the maze in cells
    :param maze_seed: seed of the mazes
    :param ratio: the largest reward of a goal divided by the smallest
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    def __init__(
        self,
        task: int = 0,
        size: int = 13,
        maze_seed: int = 0,
        ratio: int = 1000,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(GridScales([task], size, maze_seed, ratio), render_mode)
