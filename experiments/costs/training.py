"""One run: a training on the mazes with fixed costs, or with costs that a controller sets."""

import time
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule
from typing_extensions import override

from experiments.common.curves import N_BINS, RewardRecorder, bin_of
from experiments.costs.study import Run
from experiments.transfer.study import Array
from experiments.transfer.training import SEED_DISTANCE
from sb3_distral import CostController, DistralA2C, tasks
from sb3_distral.algorithms.table1 import algorithm_arguments

SUITE = "grid-mazes"


def train(run: Run) -> dict[str, Any]:
    """
    Do one run.

    :param run: The run
    :return: For JSON the return by bin, mean of the tasks (``curve``), c_KL and c_Ent by bin, likewise (``costs``), and
        what it took (``learn_seconds``)
    """
    th.set_num_threads(1)
    model, rewards, costs = make_model(run), RewardRecorder(run.timesteps, run.n_tasks), CostRecorder(run)
    start = time.perf_counter()
    model.learn(run.timesteps, callback=[rewards, costs])
    return {
        "curve": rewards.curves().mean(axis=0).round(3).tolist(),
        "costs": [[float(f"{cost:.4g}") for cost in own] for own in costs.means()],
        "learn_seconds": round(time.perf_counter() - start, 1),
    }


def make_model(run: Run) -> DistralA2C:
    """
    Make the model that a run trains.

    :param run: The run
    :return: Its model, not trained yet
    """
    arguments = algorithm_arguments(run.algorithm, 1 / run.inverse_beta)
    if run.is_controlled:
        arguments["beta"] = CostController(beta=1 / run.inverse_beta)
    rate = LinearSchedule(run.rate, run.rate / 6, 1.0)
    env = tasks.make(SUITE, run.n_envs_per_task, n_tasks=run.n_tasks)
    return DistralA2C(env, learning_rate=rate, seed=SEED_DISTANCE * run.seed, device="cpu", **arguments)


class CostRecorder(BaseCallback):
    """
    Record the costs in bins of training steps.

    :param run: The run
    """

    model: DistralA2C

    def __init__(self, run: Run):
        super().__init__()
        self.run = run
        self.sums, self.counts = np.zeros((2, N_BINS)), np.zeros(N_BINS)

    @override
    def _on_step(self) -> bool:
        place = bin_of(self.num_timesteps, self.run.timesteps)
        self.sums[:, place] += [float(self.model.costs.kl.mean()), float(self.model.costs.entropy.mean())]
        self.counts[place] += 1
        return True

    def means(self) -> Array:
        """
        Give the costs.

        :return: c_KL and c_Ent by bin, mean of the tasks, shape (2, n_bins)
        """
        return np.asarray(self.sums / self.counts)
