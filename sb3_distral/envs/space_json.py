"""Spaces as JSON: numbers and names alone, so that reading one runs no code of the file."""

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from sb3_distral.errors import UsageError

Json = dict[str, Any]


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
    :raises Exception: Of any kind, if it is no such description
    """
    kind = described["type"]
    if kind == "Box":
        shape, dtype = tuple(described["shape"]), np.dtype(described["dtype"])
        low, high = (_numbers_from_json(described[bound], shape, dtype) for bound in ("low", "high"))
        return spaces.Box(low, high, dtype=dtype.type)
    if kind == "Discrete":
        # Named only where it is not the default, since gymnasium has not always taken it.
        dtypes: Json = {} if described["dtype"] == "int64" else {"dtype": described["dtype"]}
        return spaces.Discrete(described["n"], start=described["start"], **dtypes)
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(described["nvec"], described["dtype"], start=described["start"])
    if kind == "MultiBinary":
        return spaces.MultiBinary(described["n"])
    if kind == "Dict":
        # Pairs keep their order, in which features are put side by side.
        return spaces.Dict([(key, space_from_json(own)) for key, own in described["spaces"].items()])
    raise UsageError(f"There is no space of the type {kind!r}.")


def _numbers_to_json(array: np.ndarray) -> list[Any]:
    """Flat; of equal numbers only one."""
    flat = array.ravel()
    numbers = flat[:1] if (flat == flat[:1]).all() else flat
    return [number if math.isfinite(number) else str(number) for number in numbers.tolist()]


def _numbers_from_json(numbers: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    flat = np.array([float(number) if isinstance(number, str) else number for number in numbers], dtype)
    return np.full(shape, flat) if len(flat) == 1 else flat.reshape(shape)
