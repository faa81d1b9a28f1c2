"""The distilled policy as a prior in the reward of a new task, for any algorithm."""

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy
from typing_extensions import override

from sb3_distral.envs.distilled_prior import DistilledPrior
from sb3_distral.envs.encoding import encoded
from sb3_distral.envs.masks import METHOD
from sb3_distral.method.choices import narrow


class DistilledPriorReward(gym.Wrapper[Any, Any, Any, Any]):
    """
    Give a new task the distilled policy as a prior, for any Stable-Baselines3 algorithm.

    The reward becomes R'(a, s) = R + (α/β) log π0(a|s), as redefined in Section 2.2. The algorithm's own entropy bonus
    (``ent_coef``) is the rest of (1). The task's own reward stays in ``info["task_reward"]``. For several environments
    side by side :class:`~sb3_distral.envs.vec_prior.VecDistilledPriorReward` is faster::

        PPO("MlpPolicy", DistilledPriorReward(Monitor(env), model.distilled_policy), ent_coef=0.01).learn(100_000)

    :param env: An environment with the spaces of the training tasks, but for bounds and floating type; perhaps of fewer
        discrete actions or with a method ``action_masks()``, and π0 is then the one among the valid actions, as in
        trainings. Put a ``Monitor`` inside to log its own returns. Its observations are not normalised: π0 sees them by
        the statistics of its own training, where there was a ``VecNormalize``
    :param distilled_policy: ``model.distilled_policy``, kept fixed; a recurrent one remembers the episode
    :param alpha: α, in [0, 1]; 0 means no prior. A callback
        :class:`~sb3_distral.algorithms.annealing.AnnealPriorCallback` changes it while training
    :param beta: β > 0, ``inf`` for no prior
    :raises UsageError: If the spaces are not those of the policy, or α or β are out of range; from ``step``, if an
        action is not valid
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        distilled_policy: ActorCriticPolicy,
        alpha: float = 0.5,
        beta: float = 100.0,
    ):
        env = encoded(env)  # as in trainings
        super().__init__(env)
        self.distilled_policy = distilled_policy
        self._offers_masks = env.has_wrapper_attr(METHOD)
        self._prior = DistilledPrior(
            distilled_policy, env.observation_space, env.action_space, 1, self._offers_masks, alpha, beta
        )
        self._observation: Any = None
        self._starts = True

    def set_alpha(self, alpha: float) -> None:
        """
        Set α for the steps to come.

        :param alpha: α, in [0, 1]; 0 means no prior
        :raises UsageError: If it is out of range
        """
        self._prior.set_alpha(alpha)

    @override
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._observation, info = self.env.reset(seed=seed, options=options)
        self._starts = True
        return self._observation, info

    @override
    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        actions, starts = np.asarray(action)[np.newaxis], np.array([self._starts])
        prior = float(self._prior.rewards(self._observation, actions, starts, self._masks())[0])
        self._observation, reward, terminated, truncated, info = self.env.step(action)
        self._starts = False
        info["task_reward"] = reward
        return self._observation, float(reward) + prior, terminated, truncated, info

    def _masks(self) -> np.ndarray | None:
        own = self._prior.task_mask
        if own is None:
            return None
        given = [self.env.get_wrapper_attr(METHOD)()] if self._offers_masks else []
        return narrow([own], given, self.distilled_policy.action_space)
