"""Learning curves in bins of training steps."""

from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.callbacks import BaseCallback
from typing_extensions import override

from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]
#: Parts that the learning curve of a run has.
N_BINS = 24
#: Those at the end whose mean is the final return: whole episodes, where all sub-environments begin theirs together.
LAST_BINS = 3
#: Steps of an episode in all suites that are recorded so.
EPISODE = 200


def check_bins(timesteps: int, n_envs: int) -> None:
    """
    Refuse a run in which a bin of the learning curve would hold no step.

    :param timesteps: Steps of the run, all tasks together
    :param n_envs: Sub-environments of all tasks
    :raises UsageError: If it is too short
    """
    least = N_BINS * n_envs
    if timesteps < least:
        raise UsageError(
            f"--timesteps is {timesteps}, expected at least {least}: a step of all sub-environments in each of the "
            f"{N_BINS} bins of a learning curve. Pass more steps."
        )


def bin_of(n_steps: int, timesteps: int) -> int:
    """
    Find the bin of a step; what comes after the last step of the run belongs to the last bin.

    :param n_steps: Steps of all tasks until it, itself included
    :param timesteps: Steps of the run
    :return: The bin
    """
    return min((n_steps - 1) * N_BINS // timesteps, N_BINS - 1)


class RewardRecorder(BaseCallback):
    """
    Record the tasks' own rewards in bins of training steps.

    No success ends an episode in these suites, so that the mean reward of a step times the length of an episode is the
    return of an episode, known at times when none has ended.

    :param timesteps: Steps of the run, all tasks together
    :param n_tasks: Number of tasks, all with as many sub-environments
    """

    def __init__(self, timesteps: int, n_tasks: int):
        super().__init__()
        self.timesteps = timesteps
        self.sums, self.counts = np.zeros((n_tasks, N_BINS)), np.zeros(N_BINS)

    @override
    def _on_step(self) -> bool:
        place = bin_of(self.num_timesteps, self.timesteps)
        infos: list[dict[str, Any]] = self.locals["infos"]
        np.add.at(self.sums[:, place], self.training_env.tasks, [info["task_reward"] for info in infos])  # type: ignore[attr-defined]
        self.counts[place] += len(infos) // len(self.sums)
        return True

    def curves(self) -> Array:
        """
        Give the learning curves.

        :return: Mean return of an episode by task and bin
        """
        return np.asarray(EPISODE * self.sums / self.counts)


class ReturnRecorder(BaseCallback):
    """
    Record the returns of the episodes that begin in bins of training steps, where a success ends an episode.

    By their ends short episodes would be there first. The training goes on after the last bin until every episode of
    it has ended.

    :param timesteps: Steps of the bins, all tasks together
    :param n_tasks: Number of tasks
    :param n_envs: Sub-environments of all tasks
    """

    def __init__(self, timesteps: int, n_tasks: int, n_envs: int):
        super().__init__()
        self.timesteps = timesteps
        self.begun = np.zeros(n_envs, dtype=np.int64)
        self.sums, self.counts = np.zeros((n_tasks, N_BINS)), np.zeros((n_tasks, N_BINS))

    @override
    def _on_step(self) -> bool:
        for row in np.flatnonzero(self.locals["dones"]):
            place = self.begun[row] * N_BINS // self.timesteps
            self.begun[row] = self.num_timesteps
            if place < N_BINS:
                task = self.training_env.tasks[row]  # type: ignore[attr-defined]
                self.sums[task, place] += self.locals["infos"][row]["episode"]["r"]
                self.counts[task, place] += 1
        return True

    def curves(self) -> Array:
        """
        Give the learning curves.

        :return: Mean return of an episode by task and bin; where none begins, what lies between its neighbours
        """
        bins, means = np.arange(N_BINS), self.sums / np.maximum(self.counts, 1)
        rows = zip(means, self.counts > 0, strict=True)
        return np.array([np.interp(bins, bins[known], own[known]) for own, known in rows])
