"""The two faces of a batch of tasks: a Stable-Baselines3 ``VecEnv`` and, for a batch of one, a gymnasium ``Env``."""

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.batched import Array, BatchedTasks
from sb3_distral.tasks.checks import check_render_mode
from sb3_distral.tasks.mosaic import mosaic


class BatchedVecEnv(VecEnv):
    """
    A batch of tasks as a Stable-Baselines3 vec env, step by step equal to a ``DummyVecEnv`` of the single environments.

    ``render`` draws all of them into one picture, each under the number of its task. ``get_attr`` reads the batch's
    ``row_attributes`` by sub-environment; other attributes are shared, and ``set_attr`` sets them for all.
    ``env_method`` calls methods of the batch that take the index of a sub-environment first, such as ``render``.

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

    @override
    def reset(self) -> Array:
        observations = self.batch.reset(np.arange(self.num_envs), self._seeds)
        self._elapsed_steps[:] = 0
        self._reset_seeds()
        self._reset_options()
        return observations

    @override
    def step_async(self, actions: Array) -> None:
        self.actions = actions

    @override
    def step_wait(self) -> VecEnvStepReturn:
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

    def select(self, rows: Array) -> "BatchedVecEnv":
        """
        Take some sub-environments out, each where it is.

        :param rows: indices of the sub-environments, shape ``(k,)``
        :return: a vec env of those alone
        """
        selected = type(self)(self.batch.select(rows), self.render_mode)
        selected._elapsed_steps[:] = self._elapsed_steps[rows]
        selected._seeds = [self._seeds[row] for row in rows]
        return selected

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

    @override
    def get_images(self) -> Sequence[Array | None]:
        if self.render_mode is None:
            warnings.warn(
                "No pictures without a render mode: build the environment with render_mode='rgb_array'.", stacklevel=2
            )
            return [None] * self.num_envs
        return [self.batch.render(row) for row in range(self.num_envs)]

    @override
    def render(self, mode: str | None = None) -> Array | None:
        if self.render_mode is None or mode == "human":
            return super().render(mode)
        return mosaic([self.batch.render(row) for row in range(self.num_envs)], self.batch.tasks.tolist())

    @override
    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        value = getattr(self.batch if hasattr(self.batch, attr_name) else self, attr_name)
        by_row = attr_name in self.batch.row_attributes
        return [value[row] if by_row else value for row in self._get_indices(indices)]

    @override
    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise UsageError(
                f"set_attr({attr_name!r}) got indices {indices!r}, expected all {self.num_envs} sub-environments: "
                "they share one array program; leave indices out."
            )
        setattr(self.batch, attr_name, value)

    @override
    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        method = getattr(self.batch, method_name)
        return [method(row, *method_args, **method_kwargs) for row in self._get_indices(indices)]

    @override
    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return [False for _ in self._get_indices(indices)]

    @override
    def close(self) -> None:
        pass  # there is nothing to release


class SingleTaskEnv(gym.Env[Array, Any]):
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

    @override
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self.batch.generators[0] = self.np_random
        return self.batch.reset(np.array([0]))[0], {}

    @override
    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observations, rewards, terminated = self.batch.step(np.array([action]))
        return observations[0], float(rewards[0]), bool(terminated[0]), False, {}

    @override
    def render(self) -> npt.NDArray[np.uint8] | None:
        return None if self.render_mode is None else self.batch.render(0)
