"""One run: the first group if nobody has learned it yet, then the others, one after the other."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from typing_extensions import override

from experiments.continual.study import ARMS, N_BINS, N_MAZES, Array, Run
from sb3_distral import (
    ALGORITHMS,
    DistilledPredictor,
    DistralA2C,
    TaskVecEnv,
    evaluate_tasks,
    select_tasks,
    tasks,
)
from sb3_distral.algorithms.evaluation import EVALUATION_SEED

SUITE = "grid-mazes"
EPISODE = tasks.SUITES[SUITE].max_episode_steps
ALGORITHM = "KL+ent_2col"
#: The learning rate: constant, since nobody knows how many tasks will come.
RATE = 4e-3
#: Sub-environments have the seeds that follow that of their training, and no two trainings shall share one.
SEED_DISTANCE = 1000
#: Episodes of each maze in the evaluation of π0.
N_EPISODES = 16


@dataclass(frozen=True)
class ContinualWork:
    """
    Does the runs of the study.

    :param sources: Folder of the models of the first group; all ways of a seed go on with one
    """

    sources: Path

    def __call__(self, run: Run) -> dict[str, Any]:
        """
        Do one run.

        :param run: The run
        :return: For JSON the return of π0 by group and maze after each group (``distilled``), that of the task policies
            by group and bin for all groups but the first (``curves``), and what it took (``learn_seconds``)
        """
        th.set_num_threads(1)
        start = time.perf_counter()
        model = self.first_model(run)
        distilled, curves = [distilled_returns(model, run)], []
        for number in range(1, run.n_groups):
            earlier = model.task_names
            model.add_tasks(group(run, number)).remove_tasks(earlier)
            recorder = RewardRecorder(run.timesteps)
            model.learn(run.timesteps, callback=recorder, reset_num_timesteps=False)
            curves.append(recorder.curve().round(3).tolist())
            distilled.append(distilled_returns(model, run))
        return {
            "curves": curves,
            "distilled": [returns.round(3).tolist() for returns in distilled],
            "learn_seconds": round(time.perf_counter() - start, 1),
        }

    def first_model(self, run: Run) -> DistralA2C:
        """
        Give the model of the first group, which is trained if it has not been yet.

        :param run: The run that wants it
        :return: The model, with the weight of the run's rehearsal
        """
        path = self.sources / f"seed{run.seed}-groups{run.n_groups}-steps{run.timesteps}.zip"
        if not path.exists():
            arguments: dict[str, Any] = {"learning_rate": RATE, "seed": SEED_DISTANCE * (run.seed + 1), "device": "cpu"}
            DistralA2C(group(run, 0), **ALGORITHMS[ALGORITHM], **arguments).learn(run.timesteps).save(path)
        coefficient = ARMS[run.arm].rehearsal_coef
        return DistralA2C.load(path, env=group(run, 0), device="cpu", rehearsal_coef=coefficient)


def group(run: Run, number: int) -> TaskVecEnv:
    """
    Make the mazes of a group.

    :param run: The run
    :param number: Which group
    :return: Its mazes
    """
    size = N_MAZES // run.n_groups
    suite = tasks.make(SUITE, run.n_envs_per_task, n_tasks=N_MAZES)
    return select_tasks(suite, suite.task_names[number * size : (number + 1) * size])


def distilled_returns(model: DistralA2C, run: Run) -> Array:
    """
    Evaluate π0 in all mazes, whether they are there, have been or will be.

    :param model: The model
    :param run: Its run
    :return: Mean return by maze, shape (n_mazes,)
    """
    env = tasks.make(SUITE, N_EPISODES, n_tasks=N_MAZES, seed=EVALUATION_SEED + SEED_DISTANCE * run.seed)
    with th.random.fork_rng():
        th.manual_seed(EVALUATION_SEED + run.seed)
        returns = evaluate_tasks(DistilledPredictor(model.distilled_policy), env, N_EPISODES)
    return np.array([np.mean(own) for own in returns.values()])


class RewardRecorder(BaseCallback):
    """
    Record the tasks' own rewards in bins of training steps, see the study of transfer.

    :param timesteps: Steps of the training
    """

    def __init__(self, timesteps: int):
        super().__init__()
        self.timesteps, self.first = timesteps, 0
        self.sums, self.counts = np.zeros(N_BINS), np.zeros(N_BINS)

    @override
    def _on_training_start(self) -> None:
        self.first = self.num_timesteps

    @override
    def _on_step(self) -> bool:
        place = min((self.num_timesteps - self.first - 1) * N_BINS // self.timesteps, N_BINS - 1)
        rewards = [info["task_reward"] for info in self.locals["infos"]]
        self.sums[place] += np.sum(rewards)
        self.counts[place] += len(rewards)
        return True

    def curve(self) -> Array:
        """
        Give the learning curve.

        :return: Mean return of an episode by bin
        """
        return np.asarray(EPISODE * self.sums / self.counts)
