"""Stable-Baselines3's ``VecFrameStack`` over tasks: it stacks what the tasks show, and leaves the task as it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import vec_frame_stack
from stable_baselines3.common.vec_env.stacked_observations import StackedObservations
from typing_extensions import override

from sb3_distral.envs.task_id import has_task_key, without_task

Observations = dict[str, np.ndarray]


class StackedTaskObservations(StackedObservations[Observations]):
    """
    Stack observations that say which task they belong to.

    :param num_envs: Number of sub-environments
    :param n_stack: Observations in a stack
    :param observation_space: Their space, with a task
    :param channels_order: As :class:`VecFrameStack`, for the keys that are stacked
    """

    def __init__(
        self,
        num_envs: int,
        n_stack: int,
        observation_space: spaces.Dict,
        channels_order: str | Mapping[str, str | None] | None = None,
    ):
        stacked = spaces.Dict(without_task(observation_space.spaces))
        super().__init__(num_envs, n_stack, stacked, channels_order)
        assert isinstance(self.stacked_observation_space, spaces.Dict)
        self.stacked_observation_space = spaces.Dict({**observation_space, **self.stacked_observation_space})

    @override
    def reset(self, observation: Observations) -> Observations:
        return {**observation, **super().reset(without_task(observation))}

    @override
    def update(
        self, observations: Observations, dones: np.ndarray, infos: list[dict[str, Any]]
    ) -> tuple[Observations, list[dict[str, Any]]]:
        stacked, infos = super().update(without_task(observations), dones, infos)
        return {**observations, **stacked}, infos


def stacked_observations(
    num_envs: int, n_stack: int, observation_space: Any, channels_order: Any = None
) -> StackedObservations[Any]:
    """
    Choose how observations are stacked.

    :param num_envs: As :class:`StackedObservations`
    :param n_stack: As :class:`StackedObservations`
    :param observation_space: As :class:`StackedObservations`
    :param channels_order: As :class:`StackedObservations`
    :return: Stable-Baselines3's own way where there is no task, which it refuses
    """
    own = StackedTaskObservations if has_task_key(observation_space) else StackedObservations
    return own(num_envs, n_stack, observation_space, channels_order)


# VecFrameStack has no argument for it.
vec_frame_stack.StackedObservations = stacked_observations  # type: ignore[assignment,attr-defined]
