"""Several vectorised environments as one."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
from typing_extensions import override

from sb3_distral.envs.link import WorkerError
from sb3_distral.envs.named_env import name_task
from sb3_distral.envs.state import EnvState, env_state, put_back
from sb3_distral.errors import UsageError


class ConcatVecEnv(VecEnv):
    """
    Put several vectorised environments side by side, stepped at the same time.

    Its spaces are those of the first. Who joins environments of other spaces sets them to what holds all of them.

    :param venvs: Vectorised environments
    """

    def __init__(self, venvs: Sequence[VecEnv]):
        self.venvs = list(venvs)
        #: Name of the task of each, for errors; ``None`` where there are several
        self.names: list[str | None] = [None] * len(self.venvs)
        self.offsets = np.cumsum([0] + [venv.num_envs for venv in venvs])
        super().__init__(int(self.offsets[-1]), venvs[0].observation_space, venvs[0].action_space)
        self.metadata = venvs[0].metadata

    @override
    def reset(self) -> VecEnvObs:
        observations = self._each(lambda venv: venv.reset())
        self.reset_infos = [info for venv in self.venvs for info in venv.reset_infos]
        return concatenate(observations)

    @override
    def step_async(self, actions: np.ndarray) -> None:
        for venv, start, end in zip(self.venvs, self.offsets, self.offsets[1:], strict=False):
            venv.step_async(actions[start:end])

    @override
    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = zip(*self._each(lambda venv: venv.step_wait()), strict=True)
        all_infos = [info for part in infos for info in part]
        return concatenate(observations), np.concatenate(rewards), np.concatenate(dones), all_infos

    def _each(self, ask: Callable[[VecEnv], Any]) -> list[Any]:
        answers = []
        for place, venv in enumerate(self.venvs):
            try:
                answers.append(ask(venv))
            except Exception as error:
                name = self.names[place]
                if name is not None and not isinstance(error, WorkerError):  # which names it itself
                    name_task(error, name)
                raise
        return answers

    @override
    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        seeds = super().seed(seed)
        for venv, start in zip(self.venvs, self.offsets, strict=False):
            venv.seed(seeds[start])
        return seeds

    @override
    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        super().set_options(options)
        for venv, start, end in zip(self.venvs, self.offsets, self.offsets[1:], strict=False):
            venv.set_options(self._options[start:end])

    @override
    def close(self) -> None:
        with ExitStack() as closing:  # all of them, even where one fails
            for venv in reversed(self.venvs):
                closing.callback(venv.close)

    @override
    def get_images(self) -> Sequence[np.ndarray | None]:
        return [image for venv in self.venvs for image in venv.get_images()]

    @override
    def has_attr(self, attr_name: str) -> bool:
        return all(venv.has_attr(attr_name) for venv in self.venvs)

    @override
    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        values = self._gather(indices, lambda venv, own: venv.get_attr(attr_name, own))
        if attr_name == "render_mode" and any(mode != values[0] for mode in values):
            # Stable-Baselines3 refuses sub-environments of different modes. What some cannot do, all together cannot.
            return [None] * len(values)
        return values

    @override
    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        def set_in(venv: VecEnv, own: list[int]) -> list[None]:
            venv.set_attr(attr_name, value, own)
            return [None] * len(own)

        self._gather(indices, set_in)

    @override
    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        return self._gather(indices, lambda venv, own: venv.env_method(method_name, *args, indices=own, **kwargs))

    @override
    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return self._gather(indices, lambda venv, own: venv.env_is_wrapped(wrapper_class, own))

    def _gather(self, indices: VecEnvIndices, ask: Callable[[VecEnv, list[int]], list[Any]]) -> list[Any]:
        """
        Ask each part once about all of its sub-environments.

        :param indices: Sub-environments of all
        :param ask: Gives the answers of a part for some of its own sub-environments
        :return: The answers, in the order of the indices
        """
        chosen = np.arange(self.num_envs)[list(self._get_indices(indices))]
        parts = np.searchsorted(self.offsets, chosen, side="right") - 1
        answers: list[Any] = [None] * len(chosen)
        for part in np.unique(parts):
            places = np.flatnonzero(parts == part)
            own = (chosen[places] - self.offsets[part]).tolist()
            for place, answer in zip(places, ask(self.venvs[part], own), strict=True):
                answers[place] = answer
        return answers

    def get_state(self) -> list[EnvState]:
        """
        Tell where the parts are.

        :return: The state of each
        """
        return [env_state(venv) for venv in self.venvs]

    def set_state(self, state: list[EnvState]) -> None:
        """
        Put the parts back.

        :param state: As :meth:`get_state` gave it
        :raises UsageError: If a part could not be put back completely; whatever could is
        """
        if len(state) != len(self.venvs):
            raise UsageError(f"the state is one of {len(state)} environments side by side, not of {len(self.venvs)}")
        problems = [put_back(venv, own) for venv, own in zip(self.venvs, state, strict=True)]
        if any(problems):
            raise UsageError("; ".join(dict.fromkeys(problem for part in problems for problem in part)))


def concatenate(observations: Sequence[Any]) -> VecEnvObs:
    """
    Join batches of observations.

    :param observations: Batches, arrays or dicts of arrays; of arrays of several types comes the one that holds all
    :return: One batch
    """
    if isinstance(observations[0], Mapping):
        return {key: np.concatenate([part[key] for part in observations]) for key in observations[0]}
    joined: np.ndarray = np.concatenate(observations)
    return joined
