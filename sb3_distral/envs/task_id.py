"""How the identity of a task travels: inside the observation, under a key that the distilled policy never sees.

Stable-Baselines3's own loop, buffer, time-limit bootstrap and minibatches then carry it to the policy unchanged. Where
tasks tell which actions are valid, this travels beside it, for the same reason.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from gymnasium import spaces

from sb3_distral.errors import UsageError

TASK_KEY = "task"
MASK_KEY = "action_mask"
OBSERVATION_KEY = "obs"
#: Keys that are no part of the plain observation.
TASK_KEYS = (TASK_KEY, MASK_KEY)

Value = TypeVar("Value")


def with_task_space(space: spaces.Space[Any], n_tasks: int, n_choices: int | None = None) -> spaces.Dict:
    """
    Space of observations that say which task they belong to.

    :param space: Space of the plain observations
    :param n_tasks: Number of tasks
    :param n_choices: Entries of a mask of valid actions; ``None``, there are no masks
    :return: ``Dict(obs=space, task=Discrete(n_tasks))``, or the Dict space with ``task`` added; with masks also
        ``action_mask=MultiBinary(n_choices)``
    :raises UsageError: If a Dict space uses a reserved key
    """
    own: dict[str, spaces.Space[Any]] = {TASK_KEY: spaces.Discrete(n_tasks)}
    if n_choices is not None:
        own[MASK_KEY] = spaces.MultiBinary(n_choices)
    if not isinstance(space, spaces.Dict):
        return spaces.Dict({OBSERVATION_KEY: space, **own})
    if any(key in space.spaces for key in TASK_KEYS) or set(space.spaces) == {OBSERVATION_KEY}:
        raise UsageError(
            f"The observation space has the keys {sorted(space.spaces)}, but '{TASK_KEY}', '{MASK_KEY}', and "
            f"'{OBSERVATION_KEY}' as the only key, are reserved for telling tasks and valid actions apart. Rename the "
            "key in your environment. Masks of valid actions belong into a method action_masks() of it."
        )
    return spaces.Dict({**space.spaces, **own})


def has_task_key(space: spaces.Space[Any]) -> bool:
    """
    Tell whether observations of a space say which task they belong to.

    :param space: An observation space
    :return: Whether they do
    """
    return isinstance(space, spaces.Dict) and TASK_KEY in space.spaces


def names_task(observation: Any) -> bool:
    """
    Tell whether an observation says which task it belongs to.

    :param observation: An observation, single or batched
    :return: Whether it does
    """
    return isinstance(observation, Mapping) and TASK_KEY in observation


def plain_space(space: spaces.Dict) -> spaces.Space[Any]:
    """
    Give the space of the plain observations, the inverse of :func:`with_task_space`.

    :param space: Space of observations with a task
    :return: The space without task and mask
    """
    plain = plain_observation(space.spaces)
    return spaces.Dict(plain) if isinstance(plain, dict) else plain


def with_task(observation: Any, task: Any, action_mask: Any = None) -> dict[str, Any]:
    """
    Add the task to a plain observation, single or batched.

    :param observation: An array, or a dict of arrays
    :param task: The task, or one for each row
    :param action_mask: The mask of valid actions, or one for each row; ``None``, there are no masks
    :return: The observation as in :func:`with_task_space`
    """
    own = {TASK_KEY: task} if action_mask is None else {TASK_KEY: task, MASK_KEY: action_mask}
    if isinstance(observation, Mapping):
        return {**observation, **own}
    return {OBSERVATION_KEY: observation, **own}


def plain_observation(observation: Mapping[str, Value]) -> Value | dict[str, Value]:
    """
    Give the plain observation, the inverse of :func:`with_task`: all that the distilled policy may see.

    :param observation: Observation with a task
    :return: The observation without task and mask
    """
    rest = {key: value for key, value in observation.items() if key not in TASK_KEYS}
    return rest[OBSERVATION_KEY] if set(rest) == {OBSERVATION_KEY} else rest
