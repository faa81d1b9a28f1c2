"""From tasks to vectorised environments of their sub-environments, still on plain observations."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.link import CLOSE_TIMEOUT
from sb3_distral.envs.makers import env_makers
from sb3_distral.envs.names import Task, check_distinct
from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.workers import close_within, end_processes, first_dead, name_workers, workers_of
from sb3_distral.errors import UsageError

Makers = Mapping[str, list[Callable[[], gym.Env[Any, Any]]]]


def check_number(named: Mapping[str, Task], n_envs_per_task: int) -> None:
    """
    Refuse a number of sub-environments where none are made.

    :param named: Tasks by name
    :param n_envs_per_task: The number
    :raises UsageError: If it is not 1, and all tasks are VecEnvs, which say themselves how many they hold
    """
    if n_envs_per_task != 1 and all(isinstance(task, VecEnv) for task in named.values()):
        raise UsageError(
            f"n_envs_per_task={n_envs_per_task} was given with VecEnvs, which hold as many sub-environments as they "
            "were made with. Leave n_envs_per_task out, or pass ids or callables."
        )


def make_vec_env(
    named: Mapping[str, Task], n_envs_per_task: int, vec_env_cls: type[VecEnv], vec_env_kwargs: dict[str, Any]
) -> VecEnv:
    """
    Make the sub-environments of all tasks.

    :param named: Ids, callables, environments or VecEnvs by name
    :param n_envs_per_task: Sub-environments of each task but VecEnvs
    :param vec_env_cls: As :func:`make_task_vec_env`
    :param vec_env_kwargs: Its arguments
    :return: All of them, those of a task side by side
    :raises UsageError: If a task is none, or an environment would have to be in two places at once
    """
    if any(isinstance(task, VecEnv) for task in named.values()):
        return make_beside_vec_envs(named, n_envs_per_task, vec_env_cls, vec_env_kwargs)
    makers = {name: env_makers(name, task, n_envs_per_task) for name, task in named.items()}
    if issubclass(vec_env_cls, DummyVecEnv):
        return make_in_this_process(makers, vec_env_cls, vec_env_kwargs)
    if issubclass(vec_env_cls, RemoteVecEnv):
        return make_remotely(makers, vec_env_cls, vec_env_kwargs)
    # Ids can be drawn, callables may not be; Stable-Baselines3 refuses both in one.
    if len({isinstance(task, str) for task in named.values()}) > 1:
        return make_beside_vec_envs(named, n_envs_per_task, vec_env_cls, vec_env_kwargs)
    return make_in_processes(makers, vec_env_cls, vec_env_kwargs)


def make_beside_vec_envs(
    named: Mapping[str, Task], n_envs_per_task: int, vec_env_cls: type[VecEnv], vec_env_kwargs: dict[str, Any]
) -> VecEnv:
    """
    Make a VecEnv for each task that is none, and put all side by side.

    :param named: Tasks by name, VecEnvs among them
    :param n_envs_per_task: Sub-environments of each of the others
    :param vec_env_cls: As :func:`make_task_vec_env`
    :param vec_env_kwargs: Its arguments
    :return: A VecEnv for each task, side by side
    """
    check_number(named, n_envs_per_task)
    with ExitStack() as made:
        venvs: list[VecEnv] = []
        for name, task in named.items():
            if isinstance(task, VecEnv):
                venvs.append(task)
            else:
                venvs.append(make_vec_env({name: task}, n_envs_per_task, vec_env_cls, vec_env_kwargs))
                made.callback(close_within, venvs[-1], CLOSE_TIMEOUT)
        made.pop_all()
    return ConcatVecEnv(venvs)


def make_in_this_process(makers: Makers, vec_env_cls: type[DummyVecEnv], vec_env_kwargs: dict[str, Any]) -> VecEnv:
    """
    Make the sub-environments of all tasks in this process.

    :param makers: Makers of the sub-environments of each task
    :param vec_env_cls: ``DummyVecEnv``, or one derived from it
    :param vec_env_kwargs: Its arguments
    :return: One of that class, or one for each task where these differ: its buffers are of its first environment's kind
    :raises UsageError: If an environment is in two tasks
    """
    with ExitStack() as made:
        envs: dict[str, list[gym.Env[Any, Any]]] = {name: [] for name in makers}
        for name, own_makers in makers.items():
            for maker in own_makers:
                envs[name].append(maker())
                made.callback(envs[name][-1].close)
        check_distinct(envs)
        together = [env for own in envs.values() for env in own]
        kinds = [(env.observation_space, env.action_space, env.get_wrapper_attr("render_mode")) for env in together]
        groups = [together] if all(kind == kinds[0] for kind in kinds) else list(envs.values())
        venvs = [vec_env_cls([partial(already_made, env) for env in own], **vec_env_kwargs) for own in groups]
        made.pop_all()
    return venvs[0] if len(venvs) == 1 else ConcatVecEnv(venvs)


def already_made(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """
    Stand for a function that makes an environment.

    :param env: An environment
    :return: The same
    """
    return env


def make_in_processes(makers: Makers, vec_env_cls: type[VecEnv], vec_env_kwargs: dict[str, Any]) -> VecEnv:
    """
    Make each sub-environment in a process of its own.

    :param makers: Makers of the sub-environments of each task
    :param vec_env_cls: ``SubprocVecEnv``, or one that is made like it
    :param vec_env_kwargs: Its arguments
    :return: One of that class
    :raises WorkerError: If a process ends
    """
    venv = vec_env_cls.__new__(vec_env_cls)  # its processes are known where its constructor fails
    with ExitStack() as started:
        if isinstance(venv, SubprocVecEnv):
            started.callback(end_processes, venv)
        names = [name for name, own in makers.items() for _ in own]
        try:
            together = [maker for own in makers.values() for maker in own]
            venv.__init__(together, **vec_env_kwargs)  # type: ignore[misc]
        except (EOFError, ConnectionError) as error:
            if not isinstance(venv, SubprocVecEnv):
                raise
            name_workers(venv, names)
            raise first_dead([worker.link for worker in workers_of(venv)]).ended() from error
        name_workers(venv, names)
        started.pop_all()
    return venv


def make_remotely(makers: Makers, vec_env_cls: type[RemoteVecEnv], vec_env_kwargs: dict[str, Any]) -> VecEnv:
    """
    Make the sub-environments of each task in a process of its own.

    :param makers: Makers of the sub-environments of each task
    :param vec_env_cls: ``RemoteVecEnv``, or one derived from it
    :param vec_env_kwargs: Its arguments
    :return: All of them
    """
    with ExitStack() as started:
        venvs = []
        # A process can take seconds to make its environments, so all do so at the same time.
        for name, own in makers.items():
            venvs.append(vec_env_cls(partial(DummyVecEnv, own), wait=False, **vec_env_kwargs))
            venvs[-1].link.task_names = [name]
            started.callback(venvs[-1].close)
        for venv in venvs:
            started.callback(venv.link.close)  # all of them end at the same time
        for venv in venvs:
            venv.wait_until_made()
        started.pop_all()
    return ConcatVecEnv(venvs)
