"""One run: a training on mazes of different rewards, as they are or normalised."""

import time
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.utils import LinearSchedule

from experiments.common.curves import RewardRecorder
from experiments.scales.study import Run
from experiments.transfer.training import SEED_DISTANCE
from sb3_distral import ALGORITHMS, DistralA2C, tasks
from sb3_distral.tasks.grids.scales import goal_rewards

SUITE = "grid-scales"
#: The learning rate, which falls linearly to a sixth.
RATE = 4e-3


def train(run: Run) -> dict[str, Any]:
    """
    Do one run.

    :param run: The run
    :return: For JSON the goals of an episode by task and bin (``goals``) and what it took (``learn_seconds``)
    """
    th.set_num_threads(1)
    model, recorder = make_model(run), RewardRecorder(run.timesteps, run.n_tasks)
    start = time.perf_counter()
    model.learn(run.timesteps, callback=recorder)
    goals = recorder.curves() / goal_rewards(range(run.n_tasks), run.ratio)[:, None]
    return {
        "goals": np.round(goals, 3).tolist(),
        "learn_seconds": round(time.perf_counter() - start, 1),
    }


def make_model(run: Run) -> DistralA2C:
    """
    Make the model that a run trains.

    :param run: The run
    :return: Its model, not trained yet
    """
    return DistralA2C(
        tasks.make(SUITE, run.n_envs_per_task, n_tasks=run.n_tasks, ratio=run.ratio),
        learning_rate=LinearSchedule(RATE, RATE / 6, 1.0),
        seed=SEED_DISTANCE * run.seed,
        device="cpu",
        normalize_returns=run.normalizes,
        **ALGORITHMS[run.algorithm],
    )
