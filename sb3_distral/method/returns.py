"""Rewards in units of the spread of their returns, task by task."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
#: Largest absolute value of a normalised reward: the first of a sparse one is rare, and so large beside the spread.
LARGEST = 10.0


class ReturnScales:
    """
    Divide the rewards of each task by the standard deviation of its discounted returns so far.

    It is what ``VecNormalize`` does for all sub-environments together, with statistics for each task and nothing that
    has a unit: whatever factor a task's rewards have, the normalised ones are the same.

    :param tasks: Task of each sub-environment, shape (n_envs,)
    :param gamma: Discount factor
    """

    def __init__(self, tasks: npt.NDArray[np.int64], gamma: float):
        self.tasks, self.gamma = tasks.copy(), gamma
        self.counts, self.means, self.squares = np.zeros((3, int(tasks.max()) + 1))
        self.returns = np.zeros(len(tasks))

    def restart(self, tasks: npt.NDArray[np.int64] | None = None) -> None:
        """
        Begin new episodes everywhere; what is known of the tasks stays.

        :param tasks: Task of each sub-environment, where they are others now
        """
        self.tasks = self.tasks if tasks is None else tasks.copy()
        self.returns = np.zeros(len(self.tasks))

    def keep(self, kept: Sequence[int], rows: npt.NDArray[np.int64], tasks: npt.NDArray[np.int64]) -> None:
        """
        Forget all tasks but some; new ones come after these. Episodes of tasks that stay go on.

        :param kept: Their indices, in their new order
        :param rows: Their sub-environments, which are the first ones then
        :param tasks: Task of each sub-environment then, shape (n_envs,)
        """
        n_tasks = int(tasks.max()) + 1
        old = (self.counts, self.means, self.squares)
        self.counts, self.means, self.squares = (
            np.concatenate([own[list(kept)], np.zeros(n_tasks - len(kept))]) for own in old
        )
        self.returns = np.concatenate([self.returns[rows], np.zeros(len(tasks) - len(rows))])
        self.tasks = tasks.copy()

    def normalize(self, rewards: Array, dones: npt.NDArray[np.bool_]) -> Array:
        """
        Learn from the rewards of a step and normalise them.

        :param rewards: Reward of each sub-environment, shape (n_envs,)
        :param dones: Whether its episode has ended, shape (n_envs,)
        :return: Normalised rewards, shape (n_envs,)
        """
        self.returns = self.gamma * self.returns + rewards
        self._learn(self.returns)
        self.returns[dones] = 0.0
        return np.clip(rewards / self.scales[self.tasks], -LARGEST, LARGEST)

    @property
    def scales(self) -> Array:
        """What the rewards of each task are divided by, shape (n_tasks,); 1 where all were 0."""
        deviations = np.sqrt(self.squares / np.maximum(self.counts, 1.0))
        # Returns that are all alike have no spread, but a size.
        scales = np.where(deviations > 0.0, deviations, np.abs(self.means))
        return np.where(scales > 0.0, scales, 1.0)

    def _learn(self, returns: Array) -> None:
        """Add numbers of each task to its mean and sum of squared deviations (Chan et al., 1983)."""
        n_tasks = len(self.counts)
        counts = np.bincount(self.tasks, minlength=n_tasks)
        means = np.bincount(self.tasks, returns, n_tasks) / np.maximum(counts, 1)
        squares = np.bincount(self.tasks, (returns - means[self.tasks]) ** 2, n_tasks)
        totals, distances = self.counts + counts, means - self.means
        shares = counts / np.maximum(totals, 1.0)
        self.means = self.means + distances * shares
        self.squares = self.squares + squares + distances**2 * self.counts * shares
        self.counts = totals
