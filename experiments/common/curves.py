"""Learning curves of suites whose goals end no episode."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.callbacks import BaseCallback
from typing_extensions import override

from sb3_distral import tasks
from sb3_distral.errors import UsageError

#: Parts that the learning curve of a run has.
N_BINS = 24
EPISODE = tasks.SUITES["grid-mazes"].max_episode_steps


class Sizes(Protocol):
    """Sizes of a run."""

    @property
    def timesteps(self) -> int:
        """Steps of all tasks together."""

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""

    @property
    def n_envs_per_task(self) -> int:
        """Sub-environments of each task."""


def check_bins(run: Sizes) -> None:
    """
    Refuse a run in which a bin of the learning curve would hold no step.

    :param run: The run, or a study that says what its runs are like
    :raises UsageError: If it is too short
    """
    least = N_BINS * run.n_tasks * run.n_envs_per_task
    if run.timesteps < least:
        raise UsageError(
            f"--timesteps is {run.timesteps}, expected at least {least}: a step of all sub-environments in each of the "
            f"{N_BINS} bins of a learning curve. Pass more steps."
        )


def bin_of(n_steps: int, run: Sizes) -> int:
    """
    Find the bin of a step; what comes after the last step of the run belongs to the last bin.

    :param n_steps: Steps of all tasks until it, itself included
    :param run: The run
    :return: The bin
    """
    return min((n_steps - 1) * N_BINS // run.timesteps, N_BINS - 1)


class RewardRecorder(BaseCallback):
    """
    Record the tasks' own rewards in bins of training steps.

    A goal ends no episode in these mazes, so that the mean reward of a step times the length of an episode is the
    return of an episode, known at times when none has ended.

    :param run: The run
    """

    def __init__(self, run: Sizes):
        super().__init__()
        self.run = run
        self.sums, self.counts = np.zeros((run.n_tasks, N_BINS)), np.zeros(N_BINS)

    @override
    def _on_step(self) -> bool:
        place = bin_of(self.num_timesteps, self.run)
        rewards = [info["task_reward"] for info in self.locals["infos"]]
        np.add.at(self.sums[:, place], self.training_env.tasks, rewards)  # type: ignore[attr-defined]
        self.counts[place] += self.run.n_envs_per_task
        return True

    def curves(self) -> npt.NDArray[Any]:
        """
        Give the learning curves.

        :return: Mean return of an episode by task and bin
        """
        return np.asarray(EPISODE * self.sums / self.counts)
