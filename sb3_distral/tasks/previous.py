"""The previous action and reward as part of the observation, as the Distral paper has them in its grid world."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from typing_extensions import override

from sb3_distral.envs.task_id import OBSERVATION_KEY
from sb3_distral.errors import UsageError

ACTION_KEY, REWARD_KEY = "previous_action", "previous_reward"


class PreviousActionAndReward(gym.Wrapper[dict[str, Any], np.int64, Any, np.int64], RecordConstructorArgs):
    """
    Add to each observation the action and the reward that came before it.

    ``previous_action`` is one-hot, ``float32``, shape ``(n_actions,)``; ``previous_reward`` is ``float32``, shape
    ``(1,)``. Both are zeros at the start of an episode. A plain observation becomes ``obs`` beside them, a Dict
    observation gets both keys.

    :param env: an environment with discrete actions
    :raises ValueError: if its actions are not discrete, or its observations have one of the keys already
    """

    def __init__(self, env: gym.Env[Any, np.int64]) -> None:
        RecordConstructorArgs.__init__(self)  # so that gymnasium can make it again from the spec
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.action_space, spaces.Discrete):
            raise UsageError(
                f"The action space is {env.action_space}, expected a Discrete space, whose actions are one-hot; wrap "
                "environments with discrete actions only."
            )
        space = env.observation_space
        parts: dict[str, spaces.Space[Any]] = (
            dict(space.spaces) if isinstance(space, spaces.Dict) else {OBSERVATION_KEY: space}
        )
        clashes = sorted({ACTION_KEY, REWARD_KEY} & set(parts))
        if clashes:
            raise UsageError(
                f"The observations have the keys {sorted(parts)}, of which {clashes} would be added; rename them in "
                "your environment, or leave out this wrapper if they mean the same."
            )
        parts[ACTION_KEY] = spaces.Box(0.0, 1.0, (int(env.action_space.n),), np.float32)
        parts[REWARD_KEY] = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.observation_space = spaces.Dict(parts)
        self._first_action, self._n_actions = int(env.action_space.start), int(env.action_space.n)

    @override
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._extended(observation, None, 0.0), info

    @override
    def step(self, action: np.int64) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._extended(observation, action, float(reward)), reward, terminated, truncated, info

    def _extended(self, observation: Any, action: np.int64 | None, reward: float) -> dict[str, Any]:
        one_hot = np.zeros(self._n_actions, dtype=np.float32)
        if action is not None:
            one_hot[action - self._first_action] = 1.0
        parts = observation if isinstance(observation, dict) else {OBSERVATION_KEY: observation}
        return {**parts, ACTION_KEY: one_hot, REWARD_KEY: np.array([reward], dtype=np.float32)}
