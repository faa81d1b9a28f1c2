"""From a task to its sub-environments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
from stable_baselines3.common.base_class import maybe_make_env
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor

from sb3_distral.envs import hooks
from sb3_distral.envs.encoding import check_observations, encoded
from sb3_distral.envs.named_env import NamedEnv, name_task
from sb3_distral.errors import UsageError


@dataclass(frozen=True)
class EnvMaker:
    """
    Make one sub-environment, in this process or in another, to which it takes along the hooks of this one.

    :param make: Makes the environment itself
    :param task_name: Name of its task
    """

    make: Callable[[], gym.Env[Any, Any]]
    task_name: str
    process_hooks: tuple[Callable[[], None], ...] = field(default_factory=lambda: tuple(hooks.process_hooks))

    def __call__(self) -> gym.Env[Any, Any]:
        """
        Make it, in a ``Monitor``, so that its own returns are logged.

        :return: The environment
        :raises UsageError: If ``make`` gives something else, or its observations cannot be taken
        """
        try:
            return self._make()
        except Exception as error:
            name_task(error, self.task_name)
            raise

    def _make(self) -> gym.Env[Any, Any]:
        for hook in self.process_hooks:
            hook()
        env = self.make()
        if not isinstance(env, gym.Env):
            raise UsageError(
                f"Task '{self.task_name}' is a callable that gave {env!r}; expected an environment of gymnasium. "
                "Return one (a VecEnv is given itself, without a callable)."
            )
        for hook in self.process_hooks:  # making it may have loaded what a hook is about
            hook()
        check_observations(self.task_name, env.observation_space)
        env = NamedEnv(encoded(env), self.task_name)
        return env if is_wrapped(env, Monitor) else Monitor(env)


def env_makers(name: str, task: Any, n_envs: int) -> list[Callable[[], gym.Env[Any, Any]]]:
    """
    Turn a task into what makes its sub-environments.

    :param name: Name of the task
    :param task: An id, a callable or an environment
    :param n_envs: How many sub-environments it gets
    :return: A callable for each of them
    :raises UsageError: If the task is none of these, or one environment is asked to be several
    """
    if isinstance(task, str):
        return [EnvMaker(partial(make_id, task, tuple(hooks.id_makers)), name)] * n_envs
    if isinstance(task, gym.Env):
        if n_envs != 1:
            raise UsageError(
                f"Task '{name}' is one environment, but n_envs_per_task={n_envs} were asked for. "
                "Pass a gymnasium id or a callable that makes a new environment at each call."
            )
        return [EnvMaker(lambda: task, name)]
    if not callable(task):
        raise UsageError(
            f"Task '{name}' is {task!r}; expected a gymnasium id, a callable that makes an environment, "
            "an environment or a VecEnv."
        )
    return [EnvMaker(task, name)] * n_envs


def make_id(env_id: str, id_makers: tuple[Callable[[str], gym.Env[Any, Any] | None], ...]) -> gym.Env[Any, Any]:
    """
    Make the environment of a gymnasium id.

    :param env_id: The id
    :param id_makers: Those of :mod:`sb3_distral.envs.hooks`, asked first
    :return: The environment, which can be drawn where it has pictures
    """
    for make in id_makers:
        env = make(env_id)
        if env is not None:
            return env
    return maybe_make_env(env_id, verbose=0)  # type: ignore[return-value]
