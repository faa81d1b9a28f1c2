"""What a suite of tasks is: one record for each, made without loading what its tasks need."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecMonitor
from typing_extensions import Self, override

from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.task_vec_env import Task, TaskVecEnv, make_task_vec_env
from sb3_distral.tasks.adapters import BatchedVecEnv
from sb3_distral.tasks.batched import BatchedTasks
from sb3_distral.tasks.checks import check_render_mode
from sb3_distral.tasks.previous import PreviousActionAndReward


@dataclass(frozen=True)
class Suite(ABC):
    """
    A suite of tasks.

    :param name: what it is called
    :param prefix: what its gymnasium ids are called, before the index of the task
    :param entry_point: ``"module:class"`` of a single task, which takes ``task``, ``render_mode`` and the suite's own
        arguments
    :param task_name: what a single task is called, before its index
    :param n_tasks: how many tasks the suite has unless told otherwise
    :param max_episode_steps: after how many steps an episode is cut off
    :param arguments: the suite's own arguments of :meth:`make` with their defaults
    """

    name: str
    prefix: str
    entry_point: str
    task_name: str
    n_tasks: int
    max_episode_steps: int
    arguments: Mapping[str, float]

    #: Whether all sub-environments are one array program, so that many cost hardly more time than one.
    is_array_program: ClassVar[bool]

    @abstractmethod
    def make(
        self, n_tasks: int, n_envs_per_task: int, seed: int | None, render_mode: str | None, **arguments: Any
    ) -> TaskVecEnv:
        """
        Make the vec env of all tasks.

        :param n_tasks: number of tasks
        :param n_envs_per_task: number of sub-environments of each task
        :param seed: sub-environment j over all tasks is seeded with ``seed + j``; ``None``: not seeded
        :param render_mode: ``None`` or ``"rgb_array"``
        :param arguments: the suite's own arguments
        :return: ``n_tasks * n_envs_per_task`` sub-environments, those of a task side by side
        :raises ValueError: if an argument is outside its range
        :raises ImportError: if what the tasks need is not installed
        """

    @property
    def ids(self) -> list[str]:
        """Gymnasium ids of the single tasks."""
        return [f"sb3_distral/{self.prefix}-{task}-v0" for task in range(self.n_tasks)]

    def register(self) -> None:
        """Register the single tasks with gymnasium, which cuts off the episodes of an array program."""
        max_episode_steps = self.max_episode_steps if self.is_array_program else None
        for task, task_id in enumerate(self.ids):
            gym.register(task_id, self.entry_point, max_episode_steps=max_episode_steps, kwargs={"task": task})


@dataclass(frozen=True)
class ArraySuite(Suite):
    """
    A suite that is an array program.

    :param batch: the program, a class that takes the task of each sub-environment, then the suite's own arguments
    """

    batch: type[BatchedTasks]

    is_array_program = True

    @classmethod
    def of(cls, name: str, prefix: str, batch: type[BatchedTasks]) -> Self:
        """
        Describe an array program; the class of a single task lies beside it and is called by the prefix and ``Env``.

        :param name: what the suite is called
        :param prefix: what its gymnasium ids are called
        :param batch: the program
        :return: the suite
        """
        parameters = inspect.signature(batch).parameters.values()
        arguments = {parameter.name: parameter.default for parameter in parameters if parameter.name != "tasks"}
        entry_point = f"{batch.__module__}:{prefix}Env"
        return cls(name, prefix, entry_point, batch.task_name, batch.n_tasks, batch.max_episode_steps, arguments, batch)

    @override
    def make(
        self, n_tasks: int, n_envs_per_task: int, seed: int | None, render_mode: str | None, **arguments: Any
    ) -> TaskVecEnv:
        tasks = np.repeat(np.arange(n_tasks), n_envs_per_task).tolist()
        venv = VecMonitor(BatchedVecEnv(self.batch(tasks, **arguments), render_mode))
        task_env = TaskVecEnv(venv, tasks, [f"{self.task_name}-{task}" for task in range(n_tasks)])
        if seed is not None:
            task_env.seed(seed)
        return task_env


@dataclass(frozen=True)
class WorldSuite(Suite):
    """
    A suite of MiniWorld, with a process for each task, in which are all sub-environments of it, each in a ``Monitor``.

    The last of its arguments, ``previous_action_and_reward``, tells whether observations hold them, see
    :class:`PreviousActionAndReward`; the others reach the tasks, which truncate their episodes themselves.
    """

    is_array_program = False

    @classmethod
    def of(cls, name: str, prefix: str, place: str, task_name: str, n_tasks: int, **arguments: int) -> Self:
        """
        Describe a suite of MiniWorld.

        :param name: what the suite is called
        :param prefix: what its gymnasium ids are called
        :param place: ``"module:class"`` of a single task within the package ``miniworld``
        :param task_name: what a single task is called
        :param n_tasks: how many tasks the suite has
        :param arguments: the arguments of its own with their defaults
        :return: the suite
        """
        arguments |= {"action_repeat": 4, "previous_action_and_reward": False}
        return cls(name, prefix, f"sb3_distral.tasks.miniworld.{place}", task_name, n_tasks, 300, arguments)

    @override
    def make(
        self,
        n_tasks: int,
        n_envs_per_task: int,
        seed: int | None,
        render_mode: str | None,
        previous_action_and_reward: bool = False,
        **arguments: Any,
    ) -> TaskVecEnv:
        arguments["render_mode"] = check_render_mode(render_mode)
        tasks: dict[str, Task] = {
            f"{self.task_name}-{task}": partial(self.make_single, task, previous_action_and_reward, arguments)
            for task in range(n_tasks)
        }
        return make_task_vec_env(tasks, n_envs_per_task, seed, vec_env_cls=RemoteVecEnv)

    def make_single(
        self, task: int, previous_action_and_reward: bool, arguments: Mapping[str, Any]
    ) -> gym.Env[Any, Any]:
        """
        Make a single task in this process.

        :param task: index of the task
        :param previous_action_and_reward: whether observations hold them
        :param arguments: the suite's own arguments, and ``render_mode``
        :return: the environment
        """
        module, _, name = self.entry_point.partition(":")
        env: gym.Env[Any, Any] = getattr(import_module(module), name)(task=task, **arguments)
        return PreviousActionAndReward(env) if previous_action_and_reward else env
