"""What tasks may be given as, and their names."""

import re
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

#: Longest name of a task, in characters
LONGEST_NAME = 100
#: What would be a folder, or a column of a CSV log, of its own
SEPARATORS = "/\\,"


def check_task_names(names: Sequence[Any]) -> None:
    """
    Refuse names that no log, file and folder can hold. This is the only rule for names, wherever they come from.

    :param names: Name of each task
    :raises UsageError: If one is no string of 1 to 100 printable characters, holds ``/``, ``\\`` or ``,``, begins with
        a dot, or is there twice
    """
    for name in names:
        if not isinstance(name, str) or name != allowed_name(name):
            shown = repr(name) if len(repr(name)) <= 2 * LONGEST_NAME else f"{name!r:.{LONGEST_NAME}}…"
            raise UsageError(
                f"A task has the name {shown}; expected 1 to {LONGEST_NAME} printable characters, none of them a "
                "slash, a backslash or a comma, the first no dot: names are keys of logs and names of folders. Give "
                "the task another name, as the key of a dict."
            )
    if len(set(names)) < len(names):
        raise UsageError(f"The task names {list(names)} repeat. Give each task a name of its own.")


def allowed_name(text: str) -> str:
    """
    Make a name out of something else, such as a gymnasium id.

    :param text: Any text
    :return: The text where it is allowed as a name, else the nearest to it that is: ``"ALE_Pong-v5"`` for
        ``"ALE/Pong-v5"``
    """
    printable = "".join(own if own.isprintable() and own not in SEPARATORS else "_" for own in text[:LONGEST_NAME])
    return re.sub(r"^\.", "_", printable) or "_"


def allowed_names(texts: Sequence[str]) -> list[str]:
    """
    Make names out of something else, each of its own.

    :param texts: Texts, such as gymnasium ids, or names that earlier versions allowed
    :return: A name for each, the same where it is allowed and the only one of its kind
    """
    names = [allowed_name(text) for text in texts]
    # A number needs room.
    return names if len(set(names)) == len(names) else number_repeats([name[: LONGEST_NAME - 10] for name in names])


def name_tasks(tasks: Tasks) -> dict[str, Task]:
    """
    Give every task a name of its own: the dict's keys, else the ids, changed where a name may not be so, and numbered
    where one repeats.

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
        names = allowed_names([default_name(task) for task in sequence])
        named = dict(zip(names, sequence, strict=True))
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
