"""The suites of MiniWorld, described without loading MiniWorld."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium as gym

from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.task_vec_env import Task, TaskVecEnv, make_task_vec_env
from sb3_distral.tasks.adapters import check_render_mode
from sb3_distral.tasks.previous import PreviousActionAndReward


@dataclass(frozen=True)
class WorldSuite:
    """
    A suite of MiniWorld.

    :param prefix: what its gymnasium ids are called, before the index of the task
    :param entry_point: ``"module:class"`` of a single task, which takes ``task``, ``render_mode`` and the suite's own
        arguments, and truncates its episodes itself
    :param task_name: what a single task is called, before its index
    :param n_tasks: how many tasks the suite has unless told otherwise
    :param arguments: the suite's own arguments with their defaults
    """

    prefix: str
    entry_point: str
    task_name: str
    n_tasks: int
    arguments: Mapping[str, int]

    def make(
        self,
        n_tasks: int,
        n_envs_per_task: int,
        seed: int | None,
        render_mode: str | None,
        previous_action_and_reward: bool = False,
        **arguments: Any,
    ) -> TaskVecEnv:
        """
        Start a process for each task, which holds all sub-environments of it, each in a ``Monitor``.

        :param n_tasks: number of tasks
        :param n_envs_per_task: number of sub-environments of each task
        :param seed: sub-environment j over all tasks is seeded with ``seed + j``; ``None``: not seeded
        :param render_mode: ``None`` or ``"rgb_array"``
        :param previous_action_and_reward: whether observations hold them, see :class:`PreviousActionAndReward`
        :param arguments: the suite's own arguments
        :return: ``n_tasks * n_envs_per_task`` sub-environments, those of a task side by side
        :raises ValueError: if an argument is outside its range
        :raises ImportError: if MiniWorld is not installed, or there is no OpenGL
        """
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
