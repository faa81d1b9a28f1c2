"""The distilled policy as a prior in the reward of a new task, for any algorithm."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecTransposeImage
from typing_extensions import override

from sb3_distral.envs.masks import METHOD
from sb3_distral.envs.spaces import join, join_actions
from sb3_distral.errors import UsageError
from sb3_distral.method import objective
from sb3_distral.method.choices import TaskMask, narrow, own_choices
from sb3_distral.method.costs import check_coefficients
from sb3_distral.method.families import make_family


class DistilledPriorReward(gym.Wrapper[Any, Any, Any, Any]):
    """
    Give a new task the distilled policy as a prior, for any Stable-Baselines3 algorithm.

    The reward becomes R'(a, s) = R + (α/β) log π0(a|s), as redefined in Section 2.2. The algorithm's own entropy bonus
    (``ent_coef``) is the rest of (1). The task's own reward stays in ``info["task_reward"]``.

    :param env: An environment with the spaces of the training tasks, but for bounds and floating type; perhaps of fewer
        discrete actions or with a method ``action_masks()``, and π0 is then the one among the valid actions, as in
        trainings. Put a ``Monitor`` inside to log its own returns
    :param distilled_policy: ``model.distilled_policy``, kept fixed; a recurrent one remembers the episode
    :param alpha: α, in [0, 1]
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
        super().__init__(env)
        check_coefficients("task 'new task'", alpha, beta)
        actions, known = env.action_space, distilled_policy.action_space
        joined = join_actions(actions, known)
        if joined is None or (joined != known and not isinstance(known, spaces.Box)):
            raise UsageError(
                f"The environment's actions are {actions}, those of the distilled policy are {known}. "
                "Wrap the environment so that they are equal."
            )
        if join(as_seen_by_policies(env.observation_space), distilled_policy.observation_space) is None:
            raise UsageError(
                f"The environment's observations are {env.observation_space}, those of the distilled policy are "
                f"{distilled_policy.observation_space}. Wrap the environment so that they are equal."
            )
        self._offers_masks = env.has_wrapper_attr(METHOD)
        self._own: TaskMask | None = None
        if self._offers_masks or (actions != known and not isinstance(known, spaces.Box)):
            own = own_choices(actions, known).tolist()
            self._own = TaskMask(own, own)
        self.distilled_policy = distilled_policy
        self.kl_cost = objective.kl_cost(alpha, beta)
        self._observation: Any = None
        # What the LSTM of a recurrent policy remembers of this episode.
        self._state: Any = None

    @override
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._observation, info = self.env.reset(seed=seed, options=options)
        if isinstance(self.distilled_policy, RecurrentActorCriticPolicy):
            zeros = th.zeros(self.distilled_policy.lstm_hidden_state_shape, device=self.distilled_policy.device)
            self._state = (zeros, zeros)
        return self._observation, info

    @override
    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
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
            taken = th.as_tensor(np.asarray(action), device=policy.device)
            if isinstance(self.env.action_space, spaces.MultiBinary):
                taken = taken.float()
            # One row; Box actions of several dimensions are flat in Stable-Baselines3's distributions.
            taken = taken.reshape(1, -1) if taken.dim() > 0 else taken.reshape(1)
            if self._own is None:
                return float(distribution.log_prob(taken))
            return self._log_prob_among_valid(distribution, taken, self._own)

    def _log_prob_among_valid(self, distribution: Any, taken: th.Tensor, own: TaskMask) -> float:
        space = self.distilled_policy.action_space
        given = [self.env.get_wrapper_attr(METHOD)()] if self._offers_masks else []
        mask = th.as_tensor(narrow([own], given, space), device=taken.device)
        components = distribution.distribution
        components = components if isinstance(components, list) else [components]
        family = make_family(space)
        valid = family.restrict(th.cat([component.logits for component in components], dim=1), mask)
        log_prob = float(family.log_prob(valid, taken))
        if log_prob <= th.finfo(valid.dtype).min / 2:
            raise UsageError(
                f"The action {taken[0].tolist()} was taken, but {METHOD}() of the environment excludes it, and so does "
                "the prior. Learn by an algorithm that knows the masks, sb3-contrib's MaskablePPO for example."
            )
        return log_prob


def as_seen_by_policies(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """
    Turn images channel first, as Stable-Baselines3 gives them to policies.

    :param space: Space of an environment's observations
    :return: Space of what a policy sees
    """
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: as_seen_by_policies(own) for key, own in space.spaces.items()})
    if isinstance(space, spaces.Box) and is_image_space(space) and not is_image_space_channels_first(space):
        return VecTransposeImage.transpose_space(space)
    return space
