"""The distilled policy as a prior in the reward of a new task, for any algorithm."""

from typing import Any

import gymnasium as gym
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecTransposeImage

from sb3_distral.errors import UsageError
from sb3_distral.method import objective
from sb3_distral.method.costs import check_coefficients


class DistilledPriorReward(gym.Wrapper[Any, Any, Any, Any]):
    """
    Give a new task the distilled policy as a prior, for any Stable-Baselines3 algorithm.

    The reward becomes R'(a, s) = R + (α/β) log π0(a|s), as redefined in Section 2.2. The algorithm's own entropy bonus
    (``ent_coef``) is the rest of (1). The task's own reward stays in ``info["task_reward"]``.

    :param env: An environment with the spaces of the training tasks; put a ``Monitor`` inside to log its own returns
    :param distilled_policy: ``model.distilled_policy``, kept fixed; a recurrent one remembers the episode
    :param alpha: α, in [0, 1]
    :param beta: β > 0, ``inf`` for no prior
    :raises ValueError: If the spaces are not those of the policy, or α or β are out of range
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        distilled_policy: ActorCriticPolicy,
        alpha: float = 0.5,
        beta: float = 100.0,
    ):
        super().__init__(env)
        check_coefficients("task 'new task'", alpha, beta)
        if env.action_space != distilled_policy.action_space:
            raise UsageError(
                f"The environment's actions are {env.action_space}, those of the distilled policy are "
                f"{distilled_policy.action_space}. Wrap the environment so that they are equal."
            )
        if as_seen_by_policies(env.observation_space) != distilled_policy.observation_space:
            raise UsageError(
                f"The environment's observations are {env.observation_space}, those of the distilled policy are "
                f"{distilled_policy.observation_space}. Wrap the environment so that they are equal."
            )
        self.distilled_policy = distilled_policy
        self.kl_cost = objective.kl_cost(alpha, beta)
        self._observation: Any = None
        # What the LSTM of a recurrent policy remembers of this episode.
        self._state: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """
        :param seed: Seed of the environment
        :param options: Reset options of the environment
        :return: First observation and its info
        """
        self._observation, info = self.env.reset(seed=seed, options=options)
        if isinstance(self.distilled_policy, RecurrentActorCriticPolicy):
            zeros = th.zeros(self.distilled_policy.lstm_hidden_state_shape, device=self.distilled_policy.device)
            self._state = (zeros, zeros)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """
        :param action: Action taken
        :return: As :class:`gymnasium.Env`, with the redefined reward
        """
        prior = self.kl_cost * self._log_prob(action)
        self._observation, reward, terminated, truncated, info = self.env.step(action)
        info["task_reward"] = reward
        return self._observation, float(reward) + prior, terminated, truncated, info

    def _log_prob(self, action: Any) -> float:
        policy = self.distilled_policy
        with th.no_grad():
            observation: Any = policy.obs_to_tensor(self._observation)[0]
            if isinstance(policy, RecurrentActorCriticPolicy):
                goes_on = th.zeros(1, device=policy.device)
                distribution, self._state = policy.get_distribution(observation, self._state, goes_on)
            else:
                distribution = policy.get_distribution(observation)
            return float(distribution.log_prob(th.as_tensor(action, device=policy.device)))


def as_seen_by_policies(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """
    :param space: Space of an environment's observations
    :return: The same with images channel first, as Stable-Baselines3 gives them to policies
    """
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: as_seen_by_policies(own) for key, own in space.spaces.items()})
    if isinstance(space, spaces.Box) and is_image_space(space) and not is_image_space_channels_first(space):
        return VecTransposeImage.transpose_space(space)
    return space
