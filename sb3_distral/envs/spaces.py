"""Spaces of several tasks as one: what fits all of them, or why there is none."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from sb3_distral.errors import UsageError

Space = spaces.Space[Any]
#: Which of the two spaces of an environment.
Kind = Literal["observation", "action"]


def join(first: Space, second: Space) -> Space | None:
    """
    Give the smallest space that holds the elements of two: Boxes may differ in their bounds, and in the floating type.

    :param first: A space
    :param second: Another
    :return: The space, with the widest bounds; ``None`` if they differ in more
    """
    if first == second:
        return first
    if isinstance(first, spaces.Dict) and isinstance(second, spaces.Dict):
        if first.spaces.keys() != second.spaces.keys():
            return None
        parts = {key: join(own, second[key]) for key, own in first.items()}
        return None if None in parts.values() else spaces.Dict(parts)  # type: ignore[arg-type]
    if not (isinstance(first, spaces.Box) and isinstance(second, spaces.Box) and first.shape == second.shape):
        return None
    floats = np.issubdtype(first.dtype, np.floating) and np.issubdtype(second.dtype, np.floating)
    if first.dtype != second.dtype and not floats:
        return None
    low, high = np.minimum(first.low, second.low), np.maximum(first.high, second.high)
    return spaces.Box(low, high, dtype=np.result_type(first.dtype, second.dtype).type)


def join_actions(first: Space, second: Space) -> Space | None:
    """
    Give the smallest space that holds the actions of two: as :func:`join`, and discrete ones may be of other numbers.

    :param first: A space
    :param second: Another
    :return: The space; ``None`` if they differ in more
    """
    if isinstance(first, spaces.Discrete) and isinstance(second, spaces.Discrete):
        return None if first.start != second.start else max(first, second, key=lambda space: int(space.n))
    if isinstance(first, spaces.MultiDiscrete) and isinstance(second, spaces.MultiDiscrete):
        if first.shape != second.shape or (first.start != second.start).any():
            return None
        return spaces.MultiDiscrete(np.maximum(first.nvec, second.nvec), start=first.start)
    return join(first, second)


def join_all(kind: Kind, names: Sequence[str], own: Sequence[Space]) -> Space:
    """
    Give the space of all tasks, and say once that there is one if they differ.

    :param kind: Which of the spaces they are
    :param names: Name of each task
    :param own: Space of each task
    :return: The space that holds the elements of all
    :raises UsageError: If there is none
    """
    rule: Callable[[Space, Space], Space | None] = join if kind == "observation" else join_actions
    joined = own[0]
    for name, space in zip(names, own, strict=True):
        wider = rule(joined, space)
        if wider is None:
            raise UsageError(
                f"The {kind} space of task '{name}' is {space}, that of task '{names[0]}' is {own[0]}. All tasks share "
                "the distilled policy, so their spaces must be equal but for bounds, floating type and the number of "
                f"discrete actions: wrap the environments. {difference(kind, own[0], space)}"
            )
        joined = wider
    if any(space != joined for space in own):
        rest = "" if kind == "observation" else " Each task gets only actions of its own."
        message = f"The {kind} spaces of the tasks differ; all get the one that holds them, {joined}.{rest}"
        warnings.warn(message, stacklevel=2)
    return joined


def check_equal(kind: Kind, name: str, own: Sequence[Space]) -> Space:
    """
    Give the space of the sub-environments of one task.

    :param kind: Which of the spaces they are
    :param name: Name of the task
    :param own: Space of each of its sub-environments
    :return: Their space
    :raises UsageError: If one differs from the first
    """
    for space in own:
        if space != own[0]:
            raise UsageError(
                f"A sub-environment of task '{name}' has the {kind} space {space}, another one {own[0]}. Those of a "
                "task must be equal: make different ones different tasks, or wrap the environments."
            )
    return own[0]


def difference(kind: Kind, first: Space, second: Space) -> str:
    """
    Tell how two spaces differ, and which of gymnasium's wrappers helps.

    :param kind: Which of the spaces they are
    :param first: A space
    :param second: Another, which does not join with the first
    :return: A sentence
    """
    if isinstance(first, spaces.Dict) and isinstance(second, spaces.Dict):
        if first.spaces.keys() != second.spaces.keys():
            keys = f"{sorted(first.spaces)} and {sorted(second.spaces)}"
            return f"Their keys differ, {keys}; gymnasium.wrappers.FilterObservation keeps those that all have."
        key = next(key for key, own in first.items() if join(own, second[key]) is None)
        return f"Under the key '{key}': {difference(kind, first[key], second[key])}"
    if type(first) is not type(second):
        wrapper = "FlattenObservation" if kind == "observation" else "TransformAction"
        kinds = f"{type(first).__name__} and {type(second).__name__}"
        return f"They are of different kinds, {kinds}; gymnasium.wrappers.{wrapper} can make them of one kind."
    if kind == "action":
        return "gymnasium.wrappers.TransformAction can give all tasks the same actions."
    if first.shape != second.shape:
        return f"Their shapes differ, {first.shape} and {second.shape}; {reshaping(first, second)}"
    if isinstance(first, spaces.Box) and first.dtype != second.dtype:
        types = f"{first.dtype} and {second.dtype}"
        return f"Their types differ, {types}; gymnasium.wrappers.DtypeObservation and RescaleObservation change them."
    return "gymnasium.wrappers.TransformObservation can make them equal."


def reshaping(first: Space, second: Space) -> str:
    """
    Tell which of gymnasium's wrappers changes the shape of an observation.

    :param first: A space
    :param second: One of another shape
    :return: The rest of a sentence
    """
    assert first.shape is not None and second.shape is not None
    if len(first.shape) == len(second.shape) and len(first.shape) > 1 and first.dtype == np.uint8:
        return "gymnasium.wrappers.ResizeObservation gives images one size."
    if np.prod(first.shape) == np.prod(second.shape):
        return "gymnasium.wrappers.ReshapeObservation gives them one shape."
    return "gymnasium.wrappers.TransformObservation can pad or cut them."
