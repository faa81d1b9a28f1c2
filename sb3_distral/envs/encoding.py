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


def check_observations(task_name: str, space: spaces.Space[Any]) -> None:
    """
    Refuse observations that Stable-Baselines3 has no networks for.

    :param task_name: Name of the task
    :param space: Space of its observations
    :raises UsageError: If there are none for it, or for a part of a Dict space
    """
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    if not parts:
        raise UsageError(
            f"Task '{task_name}' has the observations {space}, which hold nothing. Give it something to see."
        )
    for key, own in parts.items():
        problem = problem_of(own) or ("a key with a dot, which no network can have" if "." in key else None)
        if problem is not None:
            where = f"under the key '{key}' " if isinstance(space, spaces.Dict) else ""
            raise UsageError(
                f"Task '{task_name}' has {where}the observations {own}: {problem}. Expected Box, Discrete, "
                f"MultiDiscrete or MultiBinary, or a Dict of these. {advice_about(own, key)}"
            )


def problem_of(space: spaces.Space[Any]) -> str | None:
    """
    Tell why there is no network for observations.

    :param space: Their space, or one of those of a Dict
    :return: The end of a sentence; ``None`` where there is one
    """
    if isinstance(space, spaces.Box):
        if not space.shape:
            return "a number without an axis"
        return None if min(space.shape) > 0 else "an array of no numbers"
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return f"a {type(space).__name__} of spaces, in which Stable-Baselines3 finds no vectors"
    known = isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
    return None if known else f"Stable-Baselines3 has no networks for a {type(space).__name__}"


def advice_about(space: spaces.Space[Any], key: str) -> str:
    """
    Tell what to do about observations that there is no network for.

    :param space: Their space
    :param key: Their key in a Dict, empty outside
    :return: Sentences
    """
    if isinstance(space, spaces.Box) and not space.shape:
        return "gymnasium.wrappers.ReshapeObservation(env, (1,)) gives it one (in a Dict, TransformObservation does)."
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return "gymnasium.wrappers.FlattenObservation makes one vector of all."
    rest = "turn it into numbers by gymnasium.wrappers.TransformObservation."
    if not key:
        return f"Wrap the environment to {rest}"
    return f"Drop the key by gymnasium.wrappers.FilterObservation, rename it, or {rest}"


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
