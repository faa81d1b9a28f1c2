"""The two faces of a batch of tasks: a Stable-Baselines3 ``VecEnv`` and, for a batch of one, a gymnasium ``Env``."""

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from sb3_distral.errors import UsageError
from sb3_distral.tasks.batched import Array, BatchedTasks
from sb3_distral.tasks.mosaic import mosaic


def check_render_mode(render_mode: str | None) -> str | None:
    """
    Refuse a render mode that no suite has.

    :param render_mode: ``None`` or ``"rgb_array"``
    :return: ``render_mode``
    :raises ValueError: for any other value
    """
    if render_mode not in (None, "rgb_array"):
        raise UsageError(f"render_mode is {render_mode!r}, expected None or 'rgb_array'; pass one of these.")
    return render_mode


class BatchedVecEnv(VecEnv):
    """
    A batch of tasks as a Stable-Baselines3 vec env, step by step equal to a ``DummyVecEnv`` of the single environments.

    :param batch: the tasks; owned by this vec env from now on
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if the render mode is unknown
    """

    actions: Array

    def __init__(self, batch: BatchedTasks, render_mode: str | None = None) -> None:
        self.batch = batch
        self.render_mode = check_render_mode(render_mode)
        self._elapsed_steps = np.zeros(batch.n_envs, dtype=np.int64)
        super().__init__(batch.n_envs, batch.observation_space, batch.action_space)

    def reset(self) -> Array:
        """
        Begin a new episode everywhere, with the seeds of the last :meth:`seed` if they are still unused.

        :return: observations, a new array of shape ``(n_envs, *observation_space.shape)``
        """
        observations = self.batch.reset(np.arange(self.num_envs), self._seeds)
        self._elapsed_steps[:] = 0
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: Array) -> None:
        """
        Keep the actions for :meth:`step_wait`.

        :param actions: shape ``(n_envs,)``
        """
        self.actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """
        Take the step; where an episode ends, the returned observation is already the first of the next one.

        :return: new arrays ``(observations, rewards, dones)`` (rewards ``float32``) and a list of infos with
            ``"TimeLimit.truncated"`` and, where an episode ended, ``"terminal_observation"``
        :raises ValueError: if an action is missing or outside the action space
        """
        observations, rewards, terminated = self.batch.step(self.actions)
        self._elapsed_steps += 1
        dones = terminated | (self._elapsed_steps >= self.batch.max_episode_steps)
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        ended = np.flatnonzero(dones)
        for row in ended:
            infos[row]["terminal_observation"] = observations[row].copy()
            infos[row]["TimeLimit.truncated"] = not terminated[row]
        if ended.size > 0:
            observations[ended] = self.batch.reset(ended)
            self._elapsed_steps[ended] = 0
        return observations, rewards.astype(np.float32), dones, infos

    def get_state(self) -> dict[str, Any]:
        """
        Copy everything that decides what happens next, pending seeds included.

        :return: a picklable dictionary
        """
        return {
            "batch": self.batch.get_state(),
            "elapsed_steps": self._elapsed_steps.copy(),
            "seeds": list(self._seeds),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """
        Restore, bit for bit, what :meth:`get_state` returned.

        :param state: a state of the same suite with the same tasks
        :raises ValueError: if the state has another number of sub-environments
        """
        self.batch.set_state(state["batch"])
        self._elapsed_steps[:] = state["elapsed_steps"]
        self._seeds = list(state["seeds"])

    def get_images(self) -> Sequence[Array | None]:
        """
        Draw every sub-environment.

        :return: RGB pictures (see :meth:`BatchedTasks.render`), or ``None`` for each without a render mode
        """
        if self.render_mode is None:
            warnings.warn(
                "No pictures without a render mode: build the environment with render_mode='rgb_array'.", stacklevel=2
            )
            return [None] * self.num_envs
        return [self.batch.render(row) for row in range(self.num_envs)]

    def render(self, mode: str | None = None) -> Array | None:
        """
        Draw every sub-environment into one picture, under the number of its task.

        :param mode: ``None`` or ``"rgb_array"``; ``"human"`` shows the pictures as other vec envs do
        :return: RGB picture, or ``None`` without a render mode
        """
        if self.render_mode is None or mode == "human":
            return super().render(mode)
        return mosaic([self.batch.render(row) for row in range(self.num_envs)], self.batch.tasks.tolist())

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """
        Read an attribute of the sub-environments.

        :param attr_name: one of the batch's ``row_attributes``, or an attribute that all sub-environments share
        :param indices: which sub-environments; default: all
        :return: a value for each
        """
        value = getattr(self.batch if hasattr(self.batch, attr_name) else self, attr_name)
        by_row = attr_name in self.batch.row_attributes
        return [value[row] if by_row else value for row in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """
        Set an attribute that all sub-environments share.

        :param attr_name: name of the attribute
        :param value: its new value
        :param indices: must stand for all sub-environments
        :raises ValueError: for a part of the sub-environments
        """
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise UsageError(
                f"set_attr({attr_name!r}) got indices {indices!r}, expected all {self.num_envs} sub-environments: "
                "they share one array program; leave indices out."
            )
        setattr(self.batch, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """
        Call a method of the batch that takes the index of a sub-environment first, such as ``render``.

        :param method_name: name of the method
        :param indices: which sub-environments; default: all
        :return: a result for each
        """
        method = getattr(self.batch, method_name)
        return [method(row, *method_args, **method_kwargs) for row in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """
        Say that no sub-environment has a wrapper.

        :param wrapper_class: any wrapper
        :param indices: which sub-environments; default: all
        :return: ``False`` for each
        """
        return [False for _ in self._get_indices(indices)]

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class SingleTaskEnv(gym.Env[Array, np.int64]):
    """
    A batch of one as a gymnasium environment.

    It never truncates: ``gymnasium.make`` adds the time limit that the id is registered with.

    :param batch: the task, ``batch.n_envs == 1``; owned by this environment from now on
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if the render mode is unknown
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (gymnasium types it so)

    def __init__(self, batch: BatchedTasks, render_mode: str | None = None) -> None:
        self.batch = batch
        self.render_mode = check_render_mode(render_mode)
        self.observation_space = batch.observation_space
        self.action_space = batch.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """
        Begin a new episode.

        :param seed: seed of the environment's generator; ``None``: the generator continues
        :param options: not used
        :return: ``(observation, {})``
        """
        super().reset(seed=seed)
        self.batch.generators[0] = self.np_random
        return self.batch.reset(np.array([0]))[0], {}

    def step(self, action: np.int64) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """
        Take one action.

        :param action: an element of the action space
        :return: ``(observation, reward, terminated, False, {})``
        :raises ValueError: if the action is outside the action space
        """
        observations, rewards, terminated = self.batch.step(np.array([action]))
        return observations[0], float(rewards[0]), bool(terminated[0]), False, {}

    def render(self) -> npt.NDArray[np.uint8] | None:
        """
        Draw the environment.

        :return: RGB picture, ``uint8``, shape ``(height, width, 3)``, or ``None`` without a render mode
        """
        return None if self.render_mode is None else self.batch.render(0)
