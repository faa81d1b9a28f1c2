"""Vector environments of gymnasium, and those of envpool, as VecEnvs of Stable-Baselines3."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
from typing_extensions import override

from sb3_distral.errors import UsageError

#: The names under which a SAME_STEP vector environment tells about the last step of an episode.
FINAL_OBSERVATION, FINAL_INFO = "final_obs", "final_info"


def is_vector_env(task: Any) -> bool:
    """
    Tell whether something is a vector environment, but no VecEnv.

    :param task: Anything
    :return: Whether it is one of gymnasium or envpool
    """
    return isinstance(task, VectorEnv) or is_envpool(task)


def is_envpool(task: Any) -> bool:
    """
    Tell whether something is an environment of envpool, which has no class of its own.

    :param task: Anything
    :return: Whether it is
    """
    return any(kind.__name__ == "EnvPoolMixin" for kind in type(task).__mro__)


def as_vec_env(task: Any) -> Any:
    """
    Turn vector environments into VecEnvs, which log the returns of their episodes.

    :param task: A task
    :return: The task, in another form where it is a vector environment
    """
    return VecMonitor(GymnasiumVecEnv(task)) if is_vector_env(task) else task


class GymnasiumVecEnv(VecEnv):
    """
    A vector environment as a VecEnv, step by step equal to its sub-environments in a ``DummyVecEnv``.

    A VecEnv gives, when an episode ends, the first observation of the next one, and the last of the old one in the
    info. Vector environments do this in three ways, their autoreset modes. Where they would begin the next episode
    only at the next step, or not by themselves, the episodes that have ended are reset here at once, by a
    ``reset_mask``, so that no step is spent on it.

    :param env: The vector environment
    :raises UsageError: If it cannot be reset in part
    """

    def __init__(self, env: Any):
        self.env = env
        self.is_envpool = is_envpool(env)
        mode = None if self.is_envpool else env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self.resets_itself = mode is not None and AutoresetMode(mode) is AutoresetMode.SAME_STEP
        inner = env if self.is_envpool else env.unwrapped
        self.sub_environments = inner if isinstance(inner, SyncVectorEnv | AsyncVectorEnv) else None
        if not self.resets_itself and getattr(inner, "shared_memory", True) is False:
            raise UsageError(
                f"{env} has no shared memory, and would reset episodes twice that have ended. Make it with "
                "shared_memory=True or autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP."
            )
        own = [env.observation_space, env.action_space] if self.is_envpool else []
        super().__init__(
            env.config["num_envs"] if self.is_envpool else env.num_envs,
            *(own or [env.single_observation_space, env.single_action_space]),
        )
        self.metadata = getattr(env, "metadata", None) or {"render_modes": []}
        self._actions: Any = None

    @override
    def reset(self) -> VecEnvObs:
        if self.is_envpool:
            observations, info = self.env.reset()
        else:
            options = {key: value for own in self._options for key, value in own.items()}
            observations, info = self.env.reset(seed=self._seeds_of_now(), options=options or None)
        self.reset_infos = infos_of(info, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return copied(observations)  # type: ignore[no-any-return]

    def _seeds_of_now(self) -> Any:
        if all(seed is None for seed in self._seeds):
            return None
        # Others know how to spread one seed themselves.
        return self._seeds if self.sub_environments is not None else self._seeds[0]

    @override
    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    @override
    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        observations, dones = copied(observations), np.logical_or(terminated, truncated)
        infos = infos_of(info, self.num_envs)
        ended = np.flatnonzero(dones).tolist()
        if ended:
            last = self._last_observations(observations, ended, infos)
            if not self.resets_itself:
                observations = self._reset_part(observations, dones)
            for index, own in zip(ended, last, strict=True):
                infos[index]["terminal_observation"] = own
        for index, own_info in enumerate(infos):
            own_info["TimeLimit.truncated"] = bool(truncated[index] and not terminated[index])
        return observations, np.asarray(rewards, dtype=np.float32), dones, infos

    def _last_observations(self, observations: Any, ended: list[int], infos: list[dict[str, Any]]) -> list[Any]:
        if not self.resets_itself:
            return [row_of(observations, index) for index in ended]
        last = []
        for index in ended:
            # What is in the info besides belongs to the reset.
            last.append(copied(infos[index].pop(FINAL_OBSERVATION)))
            final = infos[index].pop(FINAL_INFO, {})
            self.reset_infos[index], infos[index] = infos[index], dict(final)
        return last

    def _reset_part(self, observations: Any, dones: np.ndarray) -> Any:
        """
        Begin new episodes where old ones have ended.

        :param observations: Observations of all
        :param dones: Where, shape (n_envs,)
        :return: Observations of all, the first ones there
        """
        rows = np.flatnonzero(dones)
        if self.is_envpool:
            first, info = self.env.reset(rows)
            for part, new in parts(observations, first):
                part[np.asarray(info["env_id"])] = new
            return observations
        first, info = self.env.reset(options={"reset_mask": dones.copy()})
        pairs = parts(observations, first)
        if any(not np.array_equal(own[~dones], new[~dones], equal_nan=True) for own, new in pairs):
            raise UsageError(
                f"{self.env} was asked to reset the sub-environments {rows.tolist()}, whose episodes have ended, and "
                "has reset others too. Make it with autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP, or let "
                "its method reset follow options['reset_mask']."
            )
        reset_infos = infos_of(info, self.num_envs)
        for row in rows.tolist():
            self.reset_infos[row] = reset_infos[row]
        return copied(first)

    @override
    def close(self) -> None:
        self.env.close()

    @override
    def get_images(self) -> Sequence[np.ndarray | None]:
        frames: Any = None if self.is_envpool else self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)

    @override
    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        if attr_name == "render_mode":
            values = [getattr(self.env, "render_mode", None)] * self.num_envs
        elif self.sub_environments is not None:
            values = list(self.sub_environments.get_attr(attr_name))
        else:
            values = [getattr(self.env, attr_name)] * self.num_envs
        return [values[index] for index in self._get_indices(indices)]

    @override
    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        if self.sub_environments is None:
            raise NotImplementedError(f"{self.env} has no sub-environments whose {attr_name} could be set.")
        values, chosen = list(self.sub_environments.get_attr(attr_name)), set(self._get_indices(indices))
        self.sub_environments.set_attr(attr_name, [value if i in chosen else own for i, own in enumerate(values)])

    @override
    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        if self.sub_environments is None:
            raise NotImplementedError(f"{self.env} has no sub-environments whose {method_name} could be called.")
        values = self.sub_environments.call(method_name, *args, **kwargs)
        return [values[index] for index in self._get_indices(indices)]

    @override
    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return [False for _ in self._get_indices(indices)]


def infos_of(info: Mapping[str, Any], n_envs: int) -> list[dict[str, Any]]:
    """
    Take the info of a vector environment apart.

    :param info: Arrays by key, beside which another, ``_key``, tells whose it is
    :param n_envs: Number of sub-environments
    :return: The info of each
    """
    infos: list[dict[str, Any]] = [{} for _ in range(n_envs)]
    for key, values in info.items():
        if key.startswith("_"):
            continue
        own = infos_of(values, n_envs) if isinstance(values, Mapping) else values
        has_rows = hasattr(own, "__len__") and len(own) == n_envs
        known = info.get(f"_{key}", np.ones(n_envs, dtype=bool)) if has_rows else np.zeros(n_envs, dtype=bool)
        for index in np.flatnonzero(known).tolist():
            infos[index][key] = own[index]
    return infos


def parts(first: Any, second: Any) -> list[tuple[Any, Any]]:
    """
    Pair the arrays of observations.

    :param first: Observations, an array or a dict of arrays
    :param second: Others of the same form
    :return: The arrays of both
    """
    return [(first[key], second[key]) for key in first] if isinstance(first, Mapping) else [(first, second)]


def row_of(observations: Any, index: int) -> Any:
    """
    Take one observation.

    :param observations: An array or a dict of arrays
    :param index: Of which sub-environment
    :return: A copy of its observation
    """
    if isinstance(observations, Mapping):
        return {key: np.array(own[index]) for key, own in observations.items()}
    return np.array(observations[index])


def copied(observations: Any) -> Any:
    """
    Copy observations, which a vector environment may write over.

    :param observations: An array or a dict of arrays
    :return: A copy
    """
    if isinstance(observations, Mapping):
        return {key: np.array(own) for key, own in observations.items()}
    return np.array(observations)
