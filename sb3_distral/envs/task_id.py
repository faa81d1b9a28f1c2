"""How the identity of a task travels: inside the observation, under a key that the distilled policy never sees.

Stable-Baselines3's own loop, buffer, time-limit bootstrap and minibatches then carry it to the policy unchanged.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from gymnasium import spaces

from sb3_distral.errors import UsageError

TASK_KEY = "task"
MASK_KEY = "action_mask"
OBSERVATION_KEY = "obs"

Value = TypeVar("Value")


def with_task_space(space: spaces.Space[Any], n_tasks: int) -> spaces.Dict:
    """
    Space of observations that say which task they belong to.

    :param space: Space of the plain observations
    :param n_tasks: Number of tasks
    :return: ``Dict(obs=space, task=Discrete(n_tasks))``, or the Dict space with ``task`` added
    :raises ValueError: If a Dict space uses a reserved key
    """
    if not isinstance(space, spaces.Dict):
        return spaces.Dict({OBSERVATION_KEY: space, TASK_KEY: spaces.Discrete(n_tasks)})
    if TASK_KEY in space.spaces or set(space.spaces) == {OBSERVATION_KEY}:
        raise UsageError(
            f"The observation space has the keys {sorted(space.spaces)}, but '{TASK_KEY}', and '{OBSERVATION_KEY}' as "
            "the only key, are reserved for telling tasks apart. Rename the key in your environment."
        )
    return spaces.Dict({**space.spaces, TASK_KEY: spaces.Discrete(n_tasks)})


def has_task_key(space: spaces.Space[Any]) -> bool:
    """
    :param space: An observation space
    :return: Whether its observations say which task they belong to
    """
    return isinstance(space, spaces.Dict) and TASK_KEY in space.spaces


def plain_space(space: spaces.Dict) -> spaces.Space[Any]:
    """
    Inverse of :func:`with_task_space`.

    :param space: Space of observations with a task
    :return: Space of the plain observations
    """
    plain = plain_observation(space.spaces)
    return spaces.Dict(plain) if isinstance(plain, dict) else plain


def with_task(observation: Any, task: Any) -> dict[str, Any]:
    """
    Add the task to a plain observation, single or batched.

    :param observation: An array, or a dict of arrays
    :param task: The task, or one for each row
    :return: The observation as in :func:`with_task_space`
    """
    if isinstance(observation, Mapping):
        return {**observation, TASK_KEY: task}
    return {OBSERVATION_KEY: observation, TASK_KEY: task}


def plain_observation(observation: Mapping[str, Value]) -> Value | dict[str, Value]:
    """
    Inverse of :func:`with_task`.

    :param observation: Observation with a task
    :return: The plain observation: all that the distilled policy may see
    """
    rest = {key: value for key, value in observation.items() if key not in (TASK_KEY, MASK_KEY)}
    return rest[OBSERVATION_KEY] if set(rest) == {OBSERVATION_KEY} else rest
