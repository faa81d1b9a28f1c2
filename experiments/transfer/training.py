"""One run: train on the first tasks if nobody has yet, then learn the new ones."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import LinearSchedule

from experiments.common.curves import ReturnRecorder, RewardRecorder
from experiments.transfer.study import ARMS, Array, Run
from experiments.transfer.suites import SUITES
from sb3_distral import ALGORITHMS, DistilledPredictor, DistralA2C, TaskVecEnv, evaluate_tasks, tasks
from sb3_distral.algorithms.evaluation import EVALUATION_SEED

#: The learning rate, which falls linearly to a sixth, in both trainings.
RATE = 4e-3
#: Sub-environments have the seeds that follow that of their training, and no two trainings shall share one.
SEED_DISTANCE = 100
#: Episodes of each task in the evaluation of π0.
N_EPISODES = 8


@dataclass(frozen=True)
class TransferWork:
    """
    Does the runs of the study.

    :param sources: Folder of the models that π0 comes from; several runs of a seed share one
    """

    sources: Path

    def __call__(self, run: Run) -> dict[str, Any]:
        """
        Do one run.

        :param run: The run
        :return: For JSON the return by task and bin of the task policies (``curves``), by task that of π0 before
            learning (``zero_shot``) and KL(πi‖π0) then (``initial_kl``), and what it took (``learn_seconds``)
        """
        th.set_num_threads(1)
        model = self.make_model(run)
        recorder, timesteps = _recorder(run)
        zero_shot, divergence = before_learning(model, run)
        start = time.perf_counter()
        model.learn(timesteps, callback=recorder)
        return {
            "curves": recorder.curves().round(3).tolist(),
            "zero_shot": zero_shot.round(3).tolist(),
            "initial_kl": divergence.round(5).tolist(),
            "learn_seconds": round(time.perf_counter() - start, 1),
        }

    def make_model(self, run: Run) -> DistralA2C:
        """
        Make the model that a run trains on the new tasks.

        :param run: The run
        :return: Its model, not trained yet
        """
        arm = ARMS[run.arm]
        then_on = None if arm.source is None else SUITES[run.suite].frozen_steps
        arguments = {"train_distilled": then_on, **ALGORITHMS[arm.algorithm], **arm.arguments}
        prior = None if arm.source is None else self.distilled_policy(arm.source, run)
        model = _model(_tasks(run), run, distilled_policy=prior, **arguments)
        if not arm.keeps_columns:
            nothing = _model(_tasks(run), run, **ALGORITHMS[arm.algorithm])
            model.policy.task_columns.load_state_dict(nothing.policy.task_columns.state_dict())  # type: ignore[union-attr]
        return model

    def distilled_policy(self, algorithm: str, run: Run) -> ActorCriticPolicy:
        """
        Give the π0 of a training on the first tasks, which is done if it has not been yet.

        :param algorithm: Name of Table 1
        :param run: The run that wants it
        :return: π0; that of A3C_multitask is the network of all tasks
        """
        path = self.sources / f"{algorithm}-seed{run.seed}-steps{run.source_timesteps}.zip"
        if not path.exists():
            model = _model(_tasks(run, is_new=False), run, **ALGORITHMS[algorithm])
            model.learn(run.source_timesteps)
            model.save(path)
        return DistralA2C.load(path, device="cpu").distilled_policy


def _recorder(run: Run) -> tuple[RewardRecorder | ReturnRecorder, int]:
    """What records the learning curves, and for how many steps."""
    suite, n_envs = tasks.SUITES[run.suite], run.n_tasks * run.n_envs_per_task
    if not SUITES[run.suite].ends:
        return RewardRecorder(run.timesteps, run.n_tasks), run.timesteps
    return ReturnRecorder(run.timesteps, run.n_tasks, n_envs), run.timesteps + suite.max_episode_steps * n_envs


def _model(env: TaskVecEnv, run: Run, **arguments: Any) -> DistralA2C:
    rate = LinearSchedule(RATE, RATE / 6, 1.0)
    return DistralA2C(env, learning_rate=rate, seed=SEED_DISTANCE * run.seed, device="cpu", **arguments)


def _tasks(run: Run, is_new: bool = True) -> TaskVecEnv:
    return SUITES[run.suite].make(is_new, run.seed, run.n_tasks, run.n_envs_per_task)


def before_learning(model: DistralA2C, run: Run) -> tuple[Array, Array]:
    """
    Measure what is there before the first step of learning.

    :param model: A model that is not trained yet
    :param run: Its run
    :return: Return of π0 on the new tasks, and KL(πi‖π0) where their episodes begin, each of shape (n_tasks,)
    """
    env = _tasks(run)
    env.seed(EVALUATION_SEED + SEED_DISTANCE * run.seed)
    policy: Any = model.policy
    observations, _ = policy.obs_to_tensor(env.reset())
    with th.no_grad(), th.random.fork_rng():
        evaluation = policy.evaluate(observations, distilled=True)
        divergence = policy.family.kl_divergence(evaluation.task_parameters, evaluation.distilled_parameters)
        returns = evaluate_tasks(DistilledPredictor(model.distilled_policy), env, N_EPISODES)
    by_task = [divergence[evaluation.tasks == task].mean() for task in range(run.n_tasks)]
    return np.array([np.mean(own) for own in returns.values()]), np.array(by_task)
