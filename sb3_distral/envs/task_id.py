"""How the identity of a task travels: inside the observation, under a key that the distilled policy never sees.

Stable-Baselines3's own loop, buffer, time-limit bootstrap and minibatches then carry it to the policy unchanged. Where
tasks tell which actions are valid, this travels beside it, for the same reason.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from gymnasium import spaces

from sb3_distral.errors import UsageError

TASK_KEY = "task"
MASK_KEY = "action_mask"
OBSERVATION_KEY = "obs"
#: The same where Dict observations have one of these keys themselves.
OTHER_TASK_KEY, OTHER_MASK_KEY = "distral_task", "distral_action_mask"

Value = TypeVar("Value")


class Keys(NamedTuple):
    """
    Under which keys task and mask travel.

    :param task: The task
    :param mask: The mask of valid actions
    """

    task: str
    mask: str


USUAL, OTHER = Keys(TASK_KEY, MASK_KEY), Keys(OTHER_TASK_KEY, OTHER_MASK_KEY)


def keys_in(whole: Mapping[str, Any]) -> Keys:
    """
    Find the keys of observations that say which task they belong to.

    :param whole: Observations with a task, or the spaces of their parts
    :return: The keys
    """
    return OTHER if OTHER_TASK_KEY in whole else USUAL


def _keys_beside(plain: Any) -> Keys:
    is_taken = isinstance(plain, Mapping) and (TASK_KEY in plain or set(plain) == {OBSERVATION_KEY})
    return OTHER if is_taken else USUAL


def with_task_space(space: spaces.Space[Any], n_tasks: int, n_choices: int | None = None) -> spaces.Dict:
    """
    Space of observations that say which task they belong to.

    :param space: Space of the plain observations
    :param n_tasks: Number of tasks
    :param n_choices: Entries of a mask of valid actions; ``None``, there are no masks
    :return: ``Dict(obs=space, task=Discrete(n_tasks))``, or the Dict space with ``task`` added; with masks also
        ``action_mask=MultiBinary(n_choices)``. A Dict space that has such keys itself gets ``distral_task`` and
        ``distral_action_mask``
    :raises UsageError: If a Dict space uses those too, or the key ``action_mask``
    """
    parts = space.spaces if isinstance(space, spaces.Dict) else {OBSERVATION_KEY: space}
    reserved = (MASK_KEY, *OTHER)
    if any(key in parts for key in reserved):
        raise UsageError(
            f"The observation space has the keys {sorted(parts)}, but {list(reserved)} are reserved for telling tasks "
            "and valid actions apart. Rename the key in your environment. Masks of valid actions belong into a method "
            "action_masks() of it."
        )
    keys = _keys_beside(space.spaces) if isinstance(space, spaces.Dict) else USUAL
    own: dict[str, spaces.Space[Any]] = {keys.task: spaces.Discrete(n_tasks)}
    if n_choices is not None:
        own[keys.mask] = spaces.MultiBinary(n_choices)
    return spaces.Dict({**parts, **own})


def has_task_key(space: spaces.Space[Any]) -> bool:
    """
    Tell whether observations of a space say which task they belong to.

    :param space: An observation space
    :return: Whether they do
    """
    return isinstance(space, spaces.Dict) and isinstance(space.spaces.get(keys_in(space.spaces).task), spaces.Discrete)


def names_task(observation: Any, keys: Keys) -> bool:
    """
    Tell whether an observation says which task it belongs to.

    :param observation: An observation, single or batched
    :param keys: Under which keys observations of its kind do
    :return: Whether it does
    """
    return isinstance(observation, Mapping) and keys.task in observation


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
    keys = _keys_beside(observation)
    own = {keys.task: task} if action_mask is None else {keys.task: task, keys.mask: action_mask}
    if isinstance(observation, Mapping):
        return {**observation, **own}
    return {OBSERVATION_KEY: observation, **own}


def without_task(observation: Mapping[str, Value]) -> dict[str, Value]:
    """
    Leave out task and mask.

    :param observation: Observation with a task, or spaces of its parts
    :return: All other parts
    """
    keys = keys_in(observation)
    return {key: value for key, value in observation.items() if key not in keys}


def plain_observation(observation: Mapping[str, Value]) -> Value | dict[str, Value]:
    """
    Give the plain observation, the inverse of :func:`with_task`: all that the distilled policy may see.

    :param observation: Observation with a task
    :return: The observation without task and mask
    """
    rest = without_task(observation)
    # Under other keys a lone "obs" is one of the observation's own.
    return rest[OBSERVATION_KEY] if set(rest) == {OBSERVATION_KEY} and keys_in(observation) is USUAL else rest
