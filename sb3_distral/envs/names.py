"""What tasks may be given as, and their names."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from sb3_distral.envs.gymnasium_vec_env import is_envpool, is_vector_env
from sb3_distral.errors import UsageError

Task = str | gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]] | VecEnv | VectorEnv[Any, Any, Any]
Tasks = Task | Sequence[Task] | Mapping[str, Task]


def name_tasks(tasks: Tasks) -> dict[str, Task]:
    """
    Give every task a name of its own: the dict's keys, else the ids, numbered where one repeats.

    :param tasks: Gymnasium ids, callables, environments or VecEnvs: a list, or a dict by name. One alone is one task
    :return: Tasks by name
    :raises UsageError: If there is no task, or two of one name
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
    Number names that repeat.

    :param names: Names, some of them perhaps equal
    :return: Names that are all different
    """
    repeats = Counter(names)
    numbered = [f"{name}-{names[:i].count(name)}" if repeats[name] > 1 else name for i, name in enumerate(names)]
    # A number may give the name of another task; numbering all by their place cannot.
    return numbered if len(set(numbered)) == len(names) else [f"{name}-{i}" for i, name in enumerate(names)]


def default_name(task: Any) -> str:
    """
    Name a task by its gymnasium id where it has one.

    :param task: A task
    :return: The id, else ``"task"``
    """
    if isinstance(task, str):
        return task
    spec = None if isinstance(task, VecEnv) else getattr(task, "spec", None)
    # Specifications of envpool have no id.
    return str(getattr(spec, "id", "task"))


def holds_vec_envs(tasks: Tasks) -> bool:
    """
    Tell whether all tasks are VecEnvs or vector environments, which say themselves how many they hold.

    :param tasks: As :func:`name_tasks`
    :return: Whether they are
    """
    return all(isinstance(task, VecEnv) or is_vector_env(task) for task in name_tasks(tasks).values())


def check_distinct(tasks: Mapping[str, Any]) -> None:
    """
    Refuse an environment that is in two tasks, where each would move it under the other's feet.

    :param tasks: Tasks by name, or the environments of each in a list
    :raises UsageError: If two tasks share an environment or a VecEnv
    """
    owners: dict[int, str] = {}
    for name, task in tasks.items():
        for part in environments_of(task):
            owner = owners.setdefault(id(part), name)
            if owner != name:
                raise UsageError(
                    f"The tasks '{owner}' and '{name}' hold the same environment, {part}. Make one for each task."
                )


def environments_of(task: Any) -> list[Any]:
    """
    List what a task is made of, without its wrappers.

    :param task: A task, or a list of its environments
    :return: Those environments and VecEnvs that exist already
    """
    if isinstance(task, list):
        return [part for env in task for part in environments_of(env)]
    if isinstance(task, gym.Env | VectorEnv):
        return [task.unwrapped]
    if is_envpool(task):
        return [task]
    if isinstance(task, VecEnv):
        inner = task.unwrapped
        return [inner, *(environments_of(inner.envs) if isinstance(inner, DummyVecEnv) else [])]
    return []
