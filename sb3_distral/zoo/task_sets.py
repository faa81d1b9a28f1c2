"""Suites as environments of the zoo, which knows ids of gymnasium."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from sb3_distral import tasks
from sb3_distral.envs.task_id import with_task, with_task_space
from sb3_distral.errors import UsageError


class NamedTask(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """
    One task of a suite, whose observations say which one it is, so that a model of the suite acts with its policy.

    :param env: The task
    :param task: Its index
    :param n_tasks: Number of tasks of the suite
    """

    def __init__(self, env: gym.Env[Any, Any], task: int, n_tasks: int):
        gym.utils.RecordConstructorArgs.__init__(self, task=task, n_tasks=n_tasks)
        super().__init__(env)
        self.task = np.int64(task)
        self.observation_space = with_task_space(env.observation_space, n_tasks)

    def observation(self, observation: Any) -> dict[str, Any]:
        """
        Add the task.

        :param observation: A plain observation
        :return: The observation with the task
        """
        return with_task(observation, self.task)


def make_task(
    suite: str, task: int = 0, n_tasks: int | None = None, render_mode: str | None = None, **arguments: Any
) -> NamedTask:
    """
    Make one task of a suite, which is what :func:`gymnasium.make` gives for the suite's name.

    :param suite: Name of the suite
    :param task: Index of the task
    :param n_tasks: Number of tasks of the suite, as in :func:`sb3_distral.tasks.make`
    :param render_mode: ``None``, or what a single task takes
    :param arguments: The suite's own arguments
    :return: The task
    :raises UsageError: If there is no such task
    """
    known = tasks.SUITES[suite]
    n_tasks = known.n_tasks if n_tasks is None else n_tasks
    if task not in range(n_tasks):
        raise UsageError(
            f"task={task!r} was given for the suite {suite!r} of {n_tasks} tasks; expected an index from 0 to "
            f"{n_tasks - 1}. Give for example --env-kwargs task:0."
        )
    return NamedTask(gym.make(known.ids[0], task=task, render_mode=render_mode, **arguments), task, n_tasks)


def make_all_tasks(
    env_fns: Sequence[Callable[[], Any]],
    suite: str,
    seed: int | None = None,
    log_folder: str | None = None,
    **arguments: Any,
) -> VecEnv:
    """
    Make all tasks of a suite where the zoo makes a VecEnv out of functions that make environments.

    :param env_fns: As many as there should be sub-environments, all tasks together; they are not called
    :param suite: Name of the suite
    :param seed: As in :func:`sb3_distral.tasks.make`
    :param log_folder: Where a ``monitor.csv`` of all episodes is written, which the zoo draws; ``None``: nowhere
    :param arguments: The suite's own arguments, and ``n_tasks``
    :return: Sub-environments of all tasks, at least one of each
    :raises UsageError: If the sub-environments cannot be dealt to the tasks
    """
    n_tasks = arguments.get("n_tasks") or tasks.SUITES[suite].n_tasks
    # The zoo evaluates in one environment unless told otherwise, and makes one to look at its spaces.
    n_envs = n_tasks if len(env_fns) == 1 else len(env_fns)
    if n_envs % n_tasks:
        raise UsageError(
            f"{n_envs} environments were asked for, and the suite {suite!r} has {n_tasks} tasks; expected a multiple "
            f"of {n_tasks}. Give for example -params n_envs:{8 * n_tasks} (--n-eval-envs {n_tasks} for evaluation)."
        )
    task_env = tasks.make(suite, n_envs // n_tasks, seed, **{**arguments, "n_tasks": n_tasks})
    return VecMonitor(task_env, None if log_folder is None else str(Path(log_folder) / "0"))


def register() -> None:
    """Register every suite with gymnasium by its name, for this process alone."""
    for suite in tasks.SUITES:
        if suite not in gym.registry:
            gym.register(suite, partial(make_task, suite))
