"""Observations that Stable-Baselines3 has no encoding for, as vectors."""

from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation, TransformObservation

from sb3_distral.errors import UsageError


def encoded(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """
    Encode observations as ``gymnasium.spaces.flatten`` does where Stable-Baselines3 cannot take them as they are.

    :param env: An environment
    :return: The same, or wrapped where a space (in a Dict, one of its spaces) is none of Stable-Baselines3's
    """
    space = env.observation_space
    if not isinstance(space, spaces.Dict):
        return FlattenObservation(env) if needs_encoding(space) else env
    keys = [key for key, own in space.items() if needs_encoding(own)]
    if not keys:
        return env

    def encode(observation: dict[str, Any]) -> dict[str, Any]:
        return {**observation, **{key: spaces.flatten(space[key], observation[key]) for key in keys}}

    vectors = {key: spaces.flatten_space(space[key]) for key in keys}
    return TransformObservation(env, encode, spaces.Dict({**space.spaces, **vectors}))


def needs_encoding(space: spaces.Space[Any]) -> bool:
    """
    Tell whether Stable-Baselines3 would take the numbers of a discrete space for others: it counts from 0, in a row.

    :param space: Space of an observation
    :return: Whether it is ``Discrete`` or ``MultiDiscrete`` with a start, or ``MultiDiscrete`` of several dimensions
    """
    if isinstance(space, spaces.Discrete):
        return bool(space.start != 0)
    return isinstance(space, spaces.MultiDiscrete) and bool(space.nvec.ndim != 1 or space.start.any())


def check_encoding(space: spaces.Space[Any]) -> None:
    """
    Refuse observations of a VecEnv, which cannot be encoded from outside.

    :param space: Its observation space
    :raises UsageError: If it needs an encoding
    """
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    for key, own in parts.items():
        if needs_encoding(own):
            raise UsageError(
                f"The observations{key and f' under the key {key!r}'} of the VecEnv are {own}, which Stable-Baselines3 "
                "cannot encode. Wrap each of its environments in gymnasium.wrappers.FlattenObservation (in a Dict, "
                "encode the key by TransformObservation and gymnasium.spaces.flatten), or pass ids or callables, for "
                "which this is done."
            )
