"""Several vectorised environments as one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn


class ConcatVecEnv(VecEnv):
    """
    Several vectorised environments as one, stepped at the same time.

    :param venvs: Vectorised environments of equal spaces
    """

    def __init__(self, venvs: Sequence[VecEnv]):
        self.venvs = list(venvs)
        self.offsets = np.cumsum([0] + [venv.num_envs for venv in venvs])
        super().__init__(int(self.offsets[-1]), venvs[0].observation_space, venvs[0].action_space)

    def reset(self) -> VecEnvObs:
        """
        :return: First observations of all sub-environments
        """
        observations = [venv.reset() for venv in self.venvs]
        self.reset_infos = [info for venv in self.venvs for info in venv.reset_infos]
        return concatenate(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """
        :param actions: One action a sub-environment
        """
        for venv, start, end in zip(self.venvs, self.offsets, self.offsets[1:], strict=False):
            venv.step_async(actions[start:end])

    def step_wait(self) -> VecEnvStepReturn:
        """
        :return: As :class:`VecEnv`
        """
        observations, rewards, dones, infos = zip(*(venv.step_wait() for venv in self.venvs), strict=True)
        all_infos = [info for part in infos for info in part]
        return concatenate(observations), np.concatenate(rewards), np.concatenate(dones), all_infos

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """
        :param seed: Sub-environment j of all gets seed + j
        :return: The seeds
        """
        seeds = super().seed(seed)
        for venv, start in zip(self.venvs, self.offsets, strict=False):
            venv.seed(seeds[start])
        return seeds

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """
        :param options: Reset options, for all or for each sub-environment
        """
        super().set_options(options)
        for venv, start, end in zip(self.venvs, self.offsets, self.offsets[1:], strict=False):
            venv.set_options(self._options[start:end])

    def close(self) -> None:
        """Close every environment."""
        for venv in self.venvs:
            venv.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """
        :return: A picture of each sub-environment
        """
        return [image for venv in self.venvs for image in venv.get_images()]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """
        :param attr_name: Name of the attribute
        :param indices: Sub-environments, all by default
        :return: Its value in each
        """
        return [self.venvs[part].get_attr(attr_name, [index])[0] for part, index in self._targets(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """
        :param attr_name: Name of the attribute
        :param value: Its new value
        :param indices: Sub-environments, all by default
        """
        own: list[list[int]] = [[] for _ in self.venvs]
        for part, index in self._targets(indices):
            own[part].append(index)
        for venv, own_indices in zip(self.venvs, own, strict=True):
            if own_indices:
                venv.set_attr(attr_name, value, own_indices)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """
        :param method_name: Name of the method
        :param args: Its positional arguments
        :param indices: Sub-environments, all by default
        :param kwargs: Its keyword arguments
        :return: What it returns in each
        """
        return [
            self.venvs[part].env_method(method_name, *args, indices=[index], **kwargs)[0]
            for part, index in self._targets(indices)
        ]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """
        :param wrapper_class: A gymnasium wrapper
        :param indices: Sub-environments, all by default
        :return: Whether each is wrapped in it
        """
        targets = self._targets(indices)
        return [self.venvs[part].env_is_wrapped(wrapper_class, [index])[0] for part, index in targets]

    def _targets(self, indices: VecEnvIndices) -> Iterable[tuple[int, int]]:
        """
        :param indices: Sub-environments of all
        :return: For each the environment that holds it and its index there
        """
        for index in self._get_indices(indices):
            part = int(np.searchsorted(self.offsets, index, side="right")) - 1
            yield part, int(index - self.offsets[part])


def concatenate(observations: Sequence[Any]) -> VecEnvObs:
    """
    :param observations: Batches of observations, arrays or dicts of arrays
    :return: One batch
    """
    if isinstance(observations[0], Mapping):
        return {key: np.concatenate([part[key] for part in observations]) for key in observations[0]}
    joined: np.ndarray = np.concatenate(observations)
    return joined
