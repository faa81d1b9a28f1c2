"""One run: train on the first mazes if nobody has yet, then let PPO learn a new one."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.utils import LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import override

from experiments.common.curves import EPISODE, N_BINS, bin_of
from experiments.warm_start.study import WAYS, Run
from sb3_distral import (
    ALGORITHMS,
    DistralA2C,
    VecDistilledPriorReward,
    distilled_parameters,
    select_tasks,
    tasks,
)
from sb3_distral.algorithms.evaluation import EVALUATION_SEED

SUITE, ALGORITHM = "grid-mazes", "KL+ent_2col"
#: The learning rate of the training that π0 comes from, which falls linearly to a sixth.
RATE = 4e-3
#: Arguments of PPO.
PPO_ARGUMENTS: dict[str, Any] = {
    "n_steps": 32,
    "batch_size": 512,
    "n_epochs": 5,
    "learning_rate": 1e-3,
    "ent_coef": 0.01,
}


@dataclass(frozen=True)
class WarmStartWork:
    """
    Does the runs of the study.

    :param sources: Folder of the model that π0 comes from, the same for all runs
    """

    sources: Path

    def __call__(self, run: Run) -> dict[str, Any]:
        """
        Do one run.

        :param run: The run
        :return: For JSON the return by bin (``curve``), that of π0 before learning (``zero_shot``), the mean entropy of
            the policy in the first and in the last roll-out, in nats, and what it took (``learn_seconds``)
        """
        th.set_num_threads(1)
        source = self.source(run)
        zero_shot = distilled_return(source, run)
        start = time.perf_counter()
        recorder = Recorder(run.timesteps)
        make_ppo(source, run).learn(run.timesteps, callback=recorder)
        return {
            "curve": recorder.curve().round(3).tolist(),
            "zero_shot": round(zero_shot, 3),
            "first_entropy": round(recorder.entropies[0], 3),
            "last_entropy": round(recorder.entropies[-1], 3),
            "learn_seconds": round(time.perf_counter() - start, 1),
        }

    def source(self, run: Run) -> DistralA2C:
        """
        Give the model that π0 comes from, which is trained if it has not been yet.

        :param run: The run that wants it
        :return: The model
        """
        path = self.sources / f"steps{run.source_timesteps}.zip"
        if not path.exists():
            rate = LinearSchedule(RATE, RATE / 6, 1.0)
            arguments: dict[str, Any] = {**ALGORITHMS[ALGORITHM], "learning_rate": rate, "seed": 0, "device": "cpu"}
            DistralA2C(tasks.make(SUITE, 8), **arguments).learn(run.source_timesteps).save(path)
        return DistralA2C.load(path, device="cpu")


def maze(run: Run, n_envs: int) -> VecEnv:
    """
    Make the maze of a run, as a plain environment that knows of no tasks.

    :param run: The run
    :param n_envs: Number of sub-environments
    :return: The maze
    """
    suite = tasks.make(SUITE, n_envs, n_tasks=run.maze + 1, maze_seed=1)
    return select_tasks(suite, [f"maze-{run.maze}"]).venv


def distilled_return(source: DistralA2C, run: Run) -> float:
    """
    Evaluate π0 before anything is learned.

    :param source: The model that it comes from
    :param run: The run
    :return: Its mean return in the maze
    """
    env = maze(run, 16)
    env.seed(EVALUATION_SEED)
    set_random_seed(EVALUATION_SEED)
    return float(np.mean(evaluate_policy(source.distilled_policy, env, 32, deterministic=False)[0]))


def make_ppo(source: DistralA2C, run: Run) -> PPO:
    """
    Make what a run trains.

    :param source: The model that π0 comes from
    :param run: The run
    :return: PPO, not trained yet
    """
    way, env = WAYS[run.way], maze(run, run.n_envs)
    if way.has_prior:
        env = VecDistilledPriorReward(env, source.distilled_policy)
    model = PPO("MlpPolicy", env, seed=run.seed, device="cpu", **PPO_ARGUMENTS)
    if way.temperature is not None:
        model.set_parameters(distilled_parameters(source, way.temperature), exact_match=False)
    return model


class Recorder(BaseCallback):
    """
    Record the maze's own rewards in bins of training steps, and how certain the policy is.

    :param timesteps: Steps of the run
    """

    def __init__(self, timesteps: int):
        super().__init__()
        self.timesteps = timesteps
        self.sums, self.counts = np.zeros(N_BINS), np.zeros(N_BINS)
        self.entropies: list[float] = []

    @override
    def _on_step(self) -> bool:
        place = bin_of(self.num_timesteps, self.timesteps)
        infos, rewards = self.locals["infos"], self.locals["rewards"]
        self.sums[place] += sum(info.get("task_reward", own) for info, own in zip(infos, rewards, strict=True))
        self.counts[place] += len(infos)
        return True

    @override
    def _on_rollout_end(self) -> None:
        policy: Any = self.model.policy
        observations = th.as_tensor(self.locals["rollout_buffer"].observations).flatten(0, 1)
        with th.no_grad():
            self.entropies.append(float(policy.get_distribution(observations).entropy().mean()))

    def curve(self) -> Any:
        """
        Give the learning curve.

        :return: Mean return of an episode by bin
        """
        return EPISODE * self.sums / self.counts
