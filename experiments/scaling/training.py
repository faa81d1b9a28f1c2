"""One run: train on so many mazes, and look at what π0 is worth there and in mazes that it has never seen."""

import time
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.utils import LinearSchedule

from experiments.common.curves import RewardRecorder
from experiments.scaling.study import Run
from sb3_distral import ALGORITHMS, DistilledPredictor, DistralA2C, evaluate_tasks, tasks
from sb3_distral.algorithms.evaluation import EVALUATION_SEED

SUITE = "grid-mazes"
#: The learning rate, which falls linearly to a sixth.
RATE = 4e-3
#: Sub-environments have the seeds that follow that of their training, and no two trainings shall share one.
SEED_DISTANCE = 1000
#: Mazes of an evaluation in which π0 has never been, and episodes of an evaluation in all mazes together, at least.
N_UNSEEN, N_EPISODES = 64, 64


def train_run(run: Run) -> dict[str, Any]:
    """
    Do one run.

    :param run: The run
    :return: For JSON the mean return over mazes of the task policies by bin (``curve``), that of π0 at the end in the
        mazes of the training (``distilled``) and in others (``unseen``), and what it took (``learn_seconds``)
    """
    th.set_num_threads(1)
    model = make_model(run)
    recorder = RewardRecorder(run.timesteps, run.n_tasks)
    start = time.perf_counter()
    model.learn(run.timesteps, callback=recorder)
    seconds = time.perf_counter() - start
    return {
        "curve": recorder.curves().mean(axis=0).round(3).tolist(),
        "distilled": distilled_return(model, run, run.n_tasks, seen_mazes(run)),
        "unseen": distilled_return(model, run, N_UNSEEN, seen_mazes(run) + 1),
        "learn_seconds": round(seconds, 1),
    }


def seen_mazes(run: Run) -> int:
    """
    Say which mazes a run trains on: others for each seed, so that results are not about a few of them.

    :param run: The run
    :return: ``maze_seed``; the next number gives mazes that no run trains on
    """
    return 2 * run.seed


def make_model(run: Run) -> DistralA2C:
    """
    Make the model that a run trains.

    :param run: The run
    :return: Its model, not trained yet
    """
    env = tasks.make(SUITE, run.n_envs // run.n_tasks, n_tasks=run.n_tasks, maze_seed=seen_mazes(run))
    rate = LinearSchedule(RATE, RATE / 6, 1.0)
    arguments = ALGORITHMS[run.algorithm]
    return DistralA2C(env, learning_rate=rate, seed=SEED_DISTANCE * run.seed, device="cpu", **arguments)


def distilled_return(model: DistralA2C, run: Run, n_tasks: int, maze_seed: int) -> float:
    """
    Evaluate π0, with actions drawn from it.

    :param model: A trained model
    :param run: Its run
    :param n_tasks: Number of mazes
    :param maze_seed: Which mazes
    :return: Mean return
    """
    n_episodes = -(-N_EPISODES // n_tasks)
    env = tasks.make(
        SUITE, n_episodes, EVALUATION_SEED + SEED_DISTANCE * run.seed, n_tasks=n_tasks, maze_seed=maze_seed
    )
    returns = evaluate_tasks(DistilledPredictor(model.distilled_policy), env, n_episodes)
    return round(float(np.mean(list(returns.values()))), 3)
