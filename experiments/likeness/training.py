"""One run: train at one value of the dial."""

import time
from typing import Any

import torch as th
from stable_baselines3.common.utils import LinearSchedule

from experiments.common.curves import RewardRecorder
from experiments.likeness.study import Run
from sb3_distral import ALGORITHMS, DistralA2C, tasks

SUITE = "grid-likeness"
#: The learning rate, which falls linearly to a sixth.
RATE = 4e-3
#: Sub-environments have the seeds that follow that of their training, and no two trainings shall share one.
SEED_DISTANCE = 1000


def train_run(run: Run) -> dict[str, Any]:
    """
    Do one run.

    :param run: The run
    :return: For JSON the mean return over tasks of the task policies by bin (``curve``), and what it took
        (``learn_seconds``)
    """
    th.set_num_threads(1)
    model = make_model(run)
    recorder = RewardRecorder(run.timesteps, run.n_tasks)
    start = time.perf_counter()
    model.learn(run.timesteps, callback=recorder)
    seconds = time.perf_counter() - start
    return {"curve": recorder.curves().mean(axis=0).round(3).tolist(), "learn_seconds": round(seconds, 1)}


def make_model(run: Run) -> DistralA2C:
    """
    Make the model that a run trains. Each seed has another maze, so that results are not about one.

    :param run: The run
    :return: Its model, not trained yet
    """
    arguments: dict[str, Any] = {"n_tasks": run.n_tasks, "likeness": run.likeness, "maze_seed": run.seed}
    env = tasks.make(SUITE, run.n_envs_per_task, **arguments)
    rate = LinearSchedule(RATE, RATE / 6, 1.0)
    seed = SEED_DISTANCE * run.seed
    return DistralA2C(env, learning_rate=rate, seed=seed, device="cpu", **ALGORITHMS[run.algorithm])
