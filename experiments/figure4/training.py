"""One run of a study: train, and record what its figures need."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule
from typing_extensions import override

from experiments.figure4.study import Run
from sb3_distral import DistilledPredictor, DistralA2C, evaluate_tasks, tasks
from sb3_distral.algorithms.evaluation import EVALUATION_SEED
from sb3_distral.algorithms.table1 import algorithm_arguments

Array = npt.NDArray[np.float64]
#: Parts that the learning curve of a run has.
N_BINS = 24
#: Episodes of each task in every evaluation of π0 during training and at the end.
N_EPISODES, N_FINAL_EPISODES = 2, 8
#: Arguments that give a suite tasks that π0 has never seen.
UNSEEN = {"maze_seed": 1, "map_seed": 1}


class RunRecorder(BaseCallback):
    """
    Record the returns of all training episodes in bins of training steps, and evaluate π0 from time to time.

    :param run: The run
    """

    def __init__(self, run: Run):
        super().__init__()
        self.run = run
        self.eval_env = tasks.make(run.suite, N_EPISODES, seed=EVALUATION_SEED + run.seed)
        n_tasks = len(self.eval_env.task_names)
        self.sums = np.zeros((n_tasks, N_BINS))
        self.counts = np.zeros((n_tasks, N_BINS))
        self.distilled: list[Array] = []
        self.evaluation_seconds = np.zeros(2)

    @override
    def _on_step(self) -> bool:
        task_of_env = self.training_env.tasks  # type: ignore[attr-defined]
        bin_of_step = min((self.num_timesteps - 1) * N_BINS // self.run.timesteps, N_BINS - 1)
        for index in np.flatnonzero(self.locals["dones"]):
            self.sums[task_of_env[index], bin_of_step] += self.locals["infos"][index]["episode"]["r"]
            self.counts[task_of_env[index], bin_of_step] += 1
        n_due = self.num_timesteps * self.run.n_evaluations // self.run.timesteps
        if len(self.distilled) < min(n_due, self.run.n_evaluations):
            start = _clocks()
            self.distilled.append(_distilled_returns(self.model, self.eval_env, N_EPISODES))
            self.evaluation_seconds += _clocks() - start
        return True

    def curves(self) -> Array:
        """
        Give the learning curves.

        :return: Mean return by task and bin; a bin in which no episode ended gets what lies between its neighbours
        """
        rows = zip(self.sums, self.counts, strict=True)
        return np.array([_filled(sums / np.maximum(counts, 1), counts > 0) for sums, counts in rows])


def _filled(values: Array, known: npt.NDArray[np.bool_]) -> Array:
    bins = np.arange(len(values))
    return np.asarray(np.interp(bins, bins[known], values[known]))


def _clocks() -> Array:
    """Wall time and time of this process on its core, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def _distilled_returns(model: Any, task_env: Any, n_episodes: int) -> Array:
    """Mean return of π0 by task; π0 of A3C is an untrained network, that of A3C_multitask the shared policy."""
    returns = evaluate_tasks(DistilledPredictor(model.distilled_policy), task_env, n_episodes)
    return np.array([np.mean(values) for values in returns.values()])


def train_run(run: Run) -> dict[str, Any]:
    """
    Train as a run of the study says.

    :param run: The run
    :return: Its results for JSON: returns by task and bin of the task policies (``curves``), by evaluation and task of
        π0 (``distilled_curves``), by task of π0 at the end (``distilled``) and on unseen tasks if the suite has them
        (``distilled_unseen``), and what it cost (``timing``)
    """
    th.set_num_threads(1)
    start, model = _clocks(), make_model(run)
    recorder = RunRecorder(run)
    learn_start = _clocks()
    model.learn(run.timesteps, callback=recorder)
    wall, core = _clocks() - learn_start - recorder.evaluation_seconds
    results = {
        "tasks": model.task_names,
        "curves": _rounded(recorder.curves()),
        "distilled_curves": _rounded(np.array(recorder.distilled)),
        **{name: _rounded(returns) for name, returns in _final_distilled_returns(model, run).items()},
    }
    timing = {"learn_seconds": wall, "learn_core_seconds": core, "steps_per_second": model.num_timesteps / wall}
    timing |= {"steps_per_core_second": model.num_timesteps / core, "wall_seconds": (_clocks() - start)[0]}
    return results | {"timing": {name: round(float(value), 2) for name, value in timing.items()}}


def make_model(run: Run) -> DistralA2C:
    """
    Make the model that a run trains.

    :param run: A run
    :return: Its model, not trained yet
    """
    env = tasks.make(run.suite, run.n_envs_per_task, seed=run.seed)
    rate = run.learning_rate
    arguments = algorithm_arguments(run.algorithm, 1 / run.entropy_cost)
    return DistralA2C(env, learning_rate=LinearSchedule(rate, rate / 6, 1.0), seed=run.seed, device="cpu", **arguments)


def _final_distilled_returns(model: DistralA2C, run: Run) -> dict[str, Array]:
    """Returns of π0 by task at the end, on the tasks of the training and on unseen ones where the suite has them."""
    known = tasks.default_arguments(run.suite)
    unseen: dict[str, Any] = {name: seed for name, seed in UNSEEN.items() if name in known}
    arguments = {"distilled": {}, "distilled_unseen": unseen} if unseen else {"distilled": {}}
    envs = {
        name: tasks.make(run.suite, N_FINAL_EPISODES, seed=EVALUATION_SEED + run.seed, **own)
        for name, own in arguments.items()
    }
    return {name: _distilled_returns(model, env, N_FINAL_EPISODES) for name, env in envs.items()}


def _rounded(values: Array) -> Any:
    return np.round(values, 3).tolist()
