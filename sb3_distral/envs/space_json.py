"""Spaces as JSON: numbers and names alone, so that reading one runs no code of the file."""

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from sb3_distral.errors import UsageError

Json = dict[str, Any]

#: Most numbers and choices in the spaces of a file: an image of 1000 × 1000 pixels has three million
LARGEST_SPACE = 2**22
#: Types of numbers that a file may name
DTYPES = {np.dtype(f"{kind}{bits}").name for kind in ("int", "uint", "float") for bits in (16, 32, 64)}
DTYPES |= {"bool", "int8", "uint8"}


def space_to_json(space: spaces.Space[Any]) -> Json:
    """
    Describe a space.

    :param space: ``Box``, ``Discrete``, ``MultiDiscrete``, ``MultiBinary``, or a ``Dict`` of such with strings as keys
    :return: What ``json.dumps`` takes; infinite bounds are the strings ``"inf"`` and ``"-inf"``
    :raises UsageError: If it is another space
    """
    if isinstance(space, spaces.Box):
        bounds = {"low": _numbers_to_json(space.low), "high": _numbers_to_json(space.high)}
        return {"type": "Box", **bounds, "shape": list(space.shape), "dtype": space.dtype.name}
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": np.dtype(space.dtype).name}
    if isinstance(space, spaces.MultiDiscrete):
        numbers = {"nvec": space.nvec.tolist(), "start": space.start.tolist()}
        return {"type": "MultiDiscrete", **numbers, "dtype": np.dtype(space.dtype).name}
    if isinstance(space, spaces.MultiBinary):
        return {"type": "MultiBinary", "n": np.asarray(space.n).tolist()}
    if isinstance(space, spaces.Dict) and all(isinstance(key, str) for key in space.spaces):
        return {"type": "Dict", "spaces": {key: space_to_json(own) for key, own in space.spaces.items()}}
    raise UsageError(
        f"The space {space} cannot be described in JSON; expected Box, Discrete, MultiDiscrete, MultiBinary, or a Dict "
        "of them with strings as keys. Wrap the environment so that it has one of these."
    )


def space_from_json(described: Json) -> spaces.Space[Any]:
    """
    Make the space that :func:`space_to_json` has described.

    :param described: The description
    :return: The space
    :raises UsageError: If it is larger than ``LARGEST_SPACE``, of which no memory is taken
    :raises Exception: Of any kind, if it is no such description
    """
    size = size_of(described)
    if size > LARGEST_SPACE:
        raise UsageError(f"its space holds {size:g} numbers or choices, expected at most {LARGEST_SPACE}")
    return _make(described)


def size_of(described: Json) -> float:
    """
    Count the numbers and choices of a space, before it is made.

    :param described: The description
    :return: Their number
    :raises UsageError: If it is no description of a space
    """
    kind = described["type"]
    if kind == "Box":
        return _product(described["shape"])
    if kind == "Discrete":
        return _product(described["n"])
    if kind == "MultiDiscrete":
        choices = np.asarray(described["nvec"], dtype=np.int64)
        return _product(choices.shape) * 1.0 if (choices < 1).any() else float(choices.astype(np.float64).sum())
    if kind == "MultiBinary":
        return _product(described["n"])
    if kind == "Dict":
        return sum(size_of(own) for own in described["spaces"].values())
    raise UsageError(f"There is no space of the type {kind!r}.")


def _product(numbers: Any) -> float:
    numbers = numbers if isinstance(numbers, list | tuple) else [numbers]
    if not all(type(own) is int and own >= 0 for own in numbers):
        raise UsageError(f"{numbers!r} stand where the shape of a space should")
    return math.prod(map(float, numbers))


def _make(described: Json) -> spaces.Space[Any]:
    kind = described["type"]
    if kind == "Box":
        shape, dtype = tuple(described["shape"]), _dtype(described)
        low, high = (_numbers_from_json(described[bound], shape, dtype) for bound in ("low", "high"))
        return spaces.Box(low, high, dtype=dtype.type)
    if kind == "Discrete":
        # Named only where it is not the default, since gymnasium has not always taken it.
        dtypes: Json = {} if _dtype(described).name == "int64" else {"dtype": _dtype(described)}
        return spaces.Discrete(described["n"], start=described["start"], **dtypes)
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(described["nvec"], _dtype(described), start=described["start"])
    if kind == "MultiBinary":
        return spaces.MultiBinary(described["n"])
    # Pairs keep their order, in which features are put side by side.
    return spaces.Dict([(key, _make(own)) for key, own in described["spaces"].items()])


def _dtype(described: Json) -> np.dtype[Any]:
    name = described["dtype"]
    if not isinstance(name, str) or name not in DTYPES:
        raise UsageError(f"{name!r} is no type of the numbers of a space, expected one of {', '.join(sorted(DTYPES))}")
    return np.dtype(name)


def _numbers_to_json(array: np.ndarray) -> list[Any]:
    """Flat; of equal numbers only one."""
    flat = array.ravel()
    numbers = flat[:1] if (flat == flat[:1]).all() else flat
    return [number if math.isfinite(number) else str(number) for number in numbers.tolist()]


def _numbers_from_json(numbers: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    flat = np.array([float(number) if isinstance(number, str) else number for number in numbers], dtype)
    return np.full(shape, flat) if len(flat) == 1 else flat.reshape(shape)
