"""Tasks side by side in one vectorised environment."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.makers import env_makers, make_miniworld_safe
from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.task_id import has_task_key, with_task, with_task_space
from sb3_distral.errors import UsageError

Task = str | gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]] | VecEnv
Tasks = Task | Sequence[Task] | Mapping[str, Task]


class TaskVecEnv(VecEnvWrapper):
    """
    Tell in each observation which task it belongs to: plain observations become ``Dict(obs=…, task=Discrete(n))``.

    :param venv: All sub-environments of all tasks, on plain observations
    :param tasks: Task of each sub-environment, integers in [0, n_tasks), shape (n_envs,)
    :param task_names: Name of each task, unique
    :raises ValueError: If tasks, names and sub-environments do not fit each other
    """

    def __init__(self, venv: VecEnv, tasks: Sequence[int], task_names: Sequence[str]):
        self.tasks = np.asarray(tasks, dtype=np.int64)
        self.task_names = list(task_names)
        if len(self.tasks) != venv.num_envs or set(self.tasks) != set(range(len(self.task_names))):
            raise UsageError(
                f"{venv.num_envs} sub-environments and the tasks {self.task_names} were given with the task indices "
                f"{self.tasks.tolist()}; expected one index for each sub-environment, and every task at least once."
            )
        if len(set(self.task_names)) < len(self.task_names):
            raise UsageError(f"The task names {self.task_names} repeat. Give each task a name of its own.")
        if any("," in name for name in self.task_names):
            raise UsageError(
                f"The task names {self.task_names} hold a comma, which would break the columns of a CSV log. "
                "Give names without commas."
            )
        make_miniworld_safe()
        super().__init__(venv, with_task_space(venv.observation_space, len(self.task_names)))

    def reset(self) -> VecEnvObs:
        """
        :return: First observations of all sub-environments
        """
        return with_task(self.venv.reset(), self.tasks)

    def step_wait(self) -> VecEnvStepReturn:
        """
        :return: As :class:`VecEnv`; ``terminal_observation`` names its task too
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        for index in np.flatnonzero(dones):
            info = infos[index]
            if "terminal_observation" in info:
                info["terminal_observation"] = with_task(info["terminal_observation"], self.tasks[index])
        return with_task(observations, self.tasks), rewards, dones, infos


def make_task_vec_env(
    tasks: Tasks,
    n_envs_per_task: int = 1,
    seed: int | None = None,
    vec_env_cls: type[VecEnv] = DummyVecEnv,
    vec_env_kwargs: dict[str, Any] | None = None,
) -> TaskVecEnv:
    """
    Put tasks side by side. Sub-environment j of all is seeded with seed + j, whatever the kind of VecEnv.

    :param tasks: Gymnasium ids, callables, environments or VecEnvs: a list, or a dict by name. One alone is one task
    :param n_envs_per_task: Sub-environments of each task, for ids and callables
    :param seed: Seed of the first sub-environment
    :param vec_env_cls: ``DummyVecEnv``, ``RemoteVecEnv`` (a process for each task) or ``SubprocVecEnv`` (one for each
        sub-environment), for all but VecEnvs
    :param vec_env_kwargs: Arguments of ``vec_env_cls``
    :return: The tasks as one environment
    :raises ValueError: If there is no task, the spaces differ, or an environment would have to be in two places at once
    """
    make_miniworld_safe()  # before processes are forked, so that these know that they were
    if n_envs_per_task < 1:
        raise UsageError(f"n_envs_per_task={n_envs_per_task} was given; every task needs at least one sub-environment.")
    named = name_tasks(tasks)
    if vec_env_cls is RemoteVecEnv and not holds_vec_envs(named):
        return make_remote_task_vec_env(named, n_envs_per_task, seed, **(vec_env_kwargs or {}))
    if holds_vec_envs(named):
        venv, counts = concatenate_vec_envs(named, n_envs_per_task)
    else:
        makers = [maker for name, task in named.items() for maker in env_makers(name, task, n_envs_per_task)]
        venv, counts = vec_env_cls(makers, **(vec_env_kwargs or {})), [n_envs_per_task] * len(named)  # type: ignore[arg-type]
        check_spaces_of(venv, np.repeat(list(named), n_envs_per_task).tolist())
    task_env = TaskVecEnv(venv, np.repeat(np.arange(len(named)), counts).tolist(), list(named))
    if seed is not None:
        task_env.seed(seed)
    return task_env


def make_remote_task_vec_env(
    named: Mapping[str, Task], n_envs_per_task: int, seed: int | None, **vec_env_kwargs: Any
) -> TaskVecEnv:
    """
    :param named: Tasks by name
    :param n_envs_per_task: Sub-environments of each task
    :param seed: Seed of the first sub-environment
    :param vec_env_kwargs: Arguments of ``RemoteVecEnv``
    :return: The tasks as one environment, each in a process of its own
    """
    venvs: dict[str, Any] = {}
    with ExitStack() as started:
        # A process can take seconds to make its environments, so all do so at the same time.
        for name, task in named.items():
            make_venv = partial(DummyVecEnv, env_makers(name, task, n_envs_per_task))
            venvs[name] = RemoteVecEnv(make_venv, wait=False, **vec_env_kwargs)
            started.callback(venvs[name].close)
        for venv in venvs.values():
            venv.wait_until_made()
        task_env = make_task_vec_env(venvs, seed=seed)
        started.pop_all()
    return task_env


def has_tasks(env: Any) -> bool:
    """
    :param env: Anything
    :return: Whether it is a vectorised environment whose observations name their task
    """
    return isinstance(env, VecEnv) and has_task_key(env.observation_space)


def holds_vec_envs(tasks: Tasks) -> bool:
    """
    :param tasks: As :func:`make_task_vec_env`
    :return: Whether there are VecEnvs among them
    """
    return any(isinstance(task, VecEnv) for task in name_tasks(tasks).values())


def as_task_vec_env(env: Any, n_envs_per_task: int = 1) -> VecEnv:
    """
    :param env: Tasks in any form, made or to be made
    :param n_envs_per_task: Sub-environments of each, where ids or callables are given
    :return: An environment whose observations name their task
    :raises ValueError: If it is made already and ``n_envs_per_task`` asks for another number
    """
    if not has_tasks(env):
        return make_task_vec_env(env, n_envs_per_task)
    if n_envs_per_task != 1:
        raise UsageError(
            f"n_envs_per_task={n_envs_per_task} was given with an environment that holds {env.num_envs} "
            "sub-environments already. Leave n_envs_per_task out, or give it to make_task_vec_env."
        )
    return env  # type: ignore[no-any-return]


def name_tasks(tasks: Tasks) -> dict[str, Task]:
    """
    :param tasks: As :func:`make_task_vec_env`
    :return: Tasks by name: the dict's keys, else the ids, numbered where one repeats
    :raises ValueError: If there is no task, or two of one name
    """
    if isinstance(tasks, Mapping):
        named = {str(name): task for name, task in tasks.items()}
        if len(named) < len(tasks):
            raise UsageError(
                f"The task names {[str(name) for name in tasks]} repeat. Give each task a name of its own."
            )
    else:
        sequence: list[Any] = list(tasks) if isinstance(tasks, (list, tuple)) else [tasks]
        names = [default_name(task) for task in sequence]
        named = dict(zip(number_repeats(names), sequence, strict=True))
    if not named:
        raise UsageError(
            f"No task was given (got {tasks!r}); expected at least one. "
            "Pass a list or a dict of gymnasium ids, callables, environments or VecEnvs."
        )
    return named


def number_repeats(names: Sequence[str]) -> list[str]:
    """
    :param names: Names, some of them perhaps equal
    :return: Names that are all different: those that repeat are numbered
    """
    repeats = Counter(names)
    numbered = [f"{name}-{names[:i].count(name)}" if repeats[name] > 1 else name for i, name in enumerate(names)]
    # A number may give the name of another task; numbering all by their place cannot.
    return numbered if len(set(numbered)) == len(names) else [f"{name}-{i}" for i, name in enumerate(names)]


def default_name(task: Any) -> str:
    """
    :param task: A task
    :return: Its gymnasium id where it has one, else ``"task"``
    """
    if isinstance(task, str):
        return task
    spec = None if isinstance(task, VecEnv) else getattr(task, "spec", None)
    return "task" if spec is None else str(spec.id)


def concatenate_vec_envs(named: Mapping[str, Task], n_envs_per_task: int) -> tuple[VecEnv, list[int]]:
    """
    :param named: VecEnvs by name
    :param n_envs_per_task: Must be 1: a VecEnv says itself how many it holds
    :return: All sub-environments in one, and how many belong to each task
    :raises ValueError: If a task is no VecEnv, one is given twice, or their number was asked to be another
    """
    others = [name for name, task in named.items() if not isinstance(task, VecEnv)]
    if others:
        raise UsageError(f"Tasks {others} are no VecEnvs but the others are. Pass all tasks in one form.")
    if n_envs_per_task != 1:
        raise UsageError(
            f"n_envs_per_task={n_envs_per_task} was given with VecEnvs, which hold as many sub-environments as they "
            "were made with. Leave n_envs_per_task out, or pass ids or callables."
        )
    venvs = list(named.values())
    if len({id(venv) for venv in venvs}) < len(venvs):
        raise UsageError(f"The same VecEnv was given for several of the tasks {list(named)}. Make one for each task.")
    counts = [venv.num_envs for venv in venvs]  # type: ignore[union-attr]
    names = list(named)
    check_equal_spaces(names, "observation", [venv.observation_space for venv in venvs])  # type: ignore[union-attr]
    check_equal_spaces(names, "action", [venv.action_space for venv in venvs])  # type: ignore[union-attr]
    return ConcatVecEnv(venvs), counts  # type: ignore[arg-type]


def check_spaces_of(venv: VecEnv, names: Sequence[str]) -> None:
    """
    Compare the spaces of all sub-environments: a VecEnv takes those of its first and never looks at the others.

    :param venv: A VecEnv, closed if it is refused
    :param names: Task of each of its sub-environments
    :raises ValueError: If a space differs from the first
    """
    try:
        check_equal_spaces(names, "observation", venv.get_attr("observation_space"))
        check_equal_spaces(names, "action", venv.get_attr("action_space"))
    except ValueError:
        venv.close()
        raise


def check_equal_spaces(names: Sequence[str], kind: str, spaces: Sequence[gym.Space[Any]]) -> None:
    """
    :param names: Task of each space
    :param kind: ``"observation"`` or ``"action"``
    :param spaces: A space of each task
    :raises ValueError: If a space differs from the first
    """
    for name, space in zip(names, spaces, strict=True):
        if space != spaces[0]:
            raise UsageError(
                f"The {kind} space of task '{name}' is {space}, that of task '{names[0]}' is {spaces[0]}. "
                "All tasks share the distilled policy, so their spaces must be equal: wrap the environments."
            )
