"""Learning curves of suites whose episodes no success ends."""

from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.callbacks import BaseCallback
from typing_extensions import override

Array = npt.NDArray[np.float64]
#: Parts that the learning curve of a run has.
N_BINS = 24
#: Those at the end whose mean is the final return.
LAST_BINS = 3
#: Steps of an episode in all suites that are recorded so.
EPISODE = 200


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
        place = min((self.num_timesteps - 1) * N_BINS // self.timesteps, N_BINS - 1)
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
