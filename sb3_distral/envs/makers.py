"""From a task to its sub-environments."""

import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from stable_baselines3.common.base_class import maybe_make_env
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor

from sb3_distral.errors import UsageError


def env_makers(name: str, task: Any, n_envs: int) -> list[Callable[[], gym.Env[Any, Any]]]:
    """
    :param name: Name of the task
    :param task: An id, a callable or an environment
    :param n_envs: How many sub-environments it gets
    :return: A callable for each of them
    :raises ValueError: If the task is none of these, or one environment is asked to be several
    """
    if isinstance(task, str):
        return [lambda: monitored(make_env(task))] * n_envs
    if isinstance(task, gym.Env):
        if n_envs != 1:
            raise UsageError(
                f"Task '{name}' is one environment, but n_envs_per_task={n_envs} were asked for. "
                "Pass a gymnasium id or a callable that makes a new environment at each call."
            )
        return [lambda: monitored(task)]
    if not callable(task):
        raise UsageError(
            f"Task '{name}' is {task!r}; expected a gymnasium id, a callable that makes an environment, "
            "an environment or a VecEnv."
        )
    return [lambda: monitored(task())] * n_envs


def make_env(task: str) -> gym.Env[Any, Any]:
    """
    :param task: A gymnasium id
    :return: The environment; MiniWorld's own tasks need no import before
    """
    if task.removeprefix("miniworld:").startswith("MiniWorld-"):
        from sb3_distral.tasks.miniworld.stock import make_stock  # needs OpenGL

        return make_stock(task)
    return maybe_make_env(task, verbose=0)  # type: ignore[return-value]


def make_miniworld_safe() -> None:
    """Where MiniWorld is in use: without this its environments in one process draw each other's walls."""
    if "miniworld.miniworld" in sys.modules:
        import sb3_distral.tasks.miniworld.rendering  # noqa: F401


def monitored(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """
    :param env: An environment
    :return: The environment in a ``Monitor``, so that its own returns are logged
    """
    make_miniworld_safe()  # it may run in another process than the TaskVecEnv
    return env if is_wrapped(env, Monitor) else Monitor(env)
