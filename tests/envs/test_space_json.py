"""Spaces that go through JSON and come back."""

import json

import numpy as np
import pytest
from gymnasium import spaces

from sb3_distral.envs.space_json import space_from_json, space_to_json

from .messages import refuses

TENTHS = np.arange(6, dtype=np.float32).reshape(2, 3) / 10
SPACES = [
    spaces.Box(-1.0, 1.0, (4,), np.float32),
    spaces.Box(0, 255, (3, 36, 36), np.uint8),
    spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
    spaces.Box(np.float32([-np.inf, 0.1]), np.float32([7.0, np.inf]), dtype=np.float32),
    spaces.Box(-TENTHS, TENTHS, dtype=np.float32),
    spaces.Box(np.iinfo(np.int64).min, np.iinfo(np.int64).max, (2,), np.int64),
    spaces.Discrete(5),
    spaces.Discrete(5, start=-2),
    spaces.MultiDiscrete([3, 2]),
    spaces.MultiDiscrete([3, 2], dtype=np.int32, start=[1, -1]),
    spaces.MultiDiscrete([[3, 2], [4, 5]]),
    spaces.MultiBinary(3),
    spaces.MultiBinary([2, 3]),
    spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Dict({"c": spaces.Box(0.0, 1.0, (1,), np.float32)})}),
    spaces.Dict([("b", spaces.Discrete(2)), ("a", spaces.Discrete(3))]),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_space_comes_back(space):
    described = json.dumps(space_to_json(space), allow_nan=False)
    read = space_from_json(json.loads(described))
    assert read == space
    # Equality of Boxes is not exact, that of Dicts does not see the order.
    assert repr(read) == repr(space)
    if isinstance(space, spaces.Box):
        np.testing.assert_array_equal([read.low, read.high], [space.low, space.high])


def test_equal_bounds_are_written_once():
    assert space_to_json(spaces.Box(0, 255, (3, 84, 84), np.uint8))["high"] == [255]


@pytest.mark.parametrize("space", [spaces.Tuple([spaces.Discrete(2)]), spaces.Text(3)], ids=str)
def test_other_spaces_are_refused(space):
    for refused in (space, spaces.Dict({"part": space})):
        with refuses(f"The space {space} cannot", "expected Box, Discrete", "Wrap the environment"):
            space_to_json(refused)


def test_an_unknown_type_is_refused():
    with refuses("no space of the type 'os.system'"):
        space_from_json({"type": "os.system"})
