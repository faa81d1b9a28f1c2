"""Learning curves of suites whose episodes no success ends."""

from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.callbacks import BaseCallback
from typing_extensions import override

from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]
#: Parts that the learning curve of a run has.
N_BINS = 24
#: Those at the end whose mean is the final return.
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
