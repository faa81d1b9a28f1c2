"""What a distilled policy says about the actions that are taken in new environments."""

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecTransposeImage

from sb3_distral.envs.masks import METHOD
from sb3_distral.envs.normalization import normalization_of
from sb3_distral.envs.spaces import join, join_actions
from sb3_distral.errors import UsageError
from sb3_distral.method import objective
from sb3_distral.method.choices import TaskMask, own_choices
from sb3_distral.method.costs import check_coefficients
from sb3_distral.method.families import make_family


class DistilledPrior:
    """
    Tell c_KL log π0(a|s) for environments side by side, by one forward pass.

    Observations are given as the environments make them. Where those of π0's training were normalised they are
    normalised here, by the statistics that π0 carries.

    :param policy: π0, kept fixed
    :param observation_space: Observations of the environments
    :param action_space: Their actions
    :param n_envs: Number of environments
    :param offers_masks: Whether any of them tells which actions are valid
    :param alpha: α, in [0, 1]
    :param beta: β > 0
    :raises UsageError: If the spaces are not those of the policy, or α or β are out of range
    """

    def __init__(
        self,
        policy: ActorCriticPolicy,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        n_envs: int,
        offers_masks: bool,
        alpha: float,
        beta: float,
    ):
        check_spaces(policy, observation_space, action_space)
        self.policy, self.action_space, self.n_envs, self.beta = policy, action_space, n_envs, beta
        self.normalization = normalization_of(policy)
        self.set_alpha(alpha)
        #: The choices that the environments have, ``None`` where every choice of π0 is always valid
        self.task_mask: TaskMask | None = None
        if offers_masks or (action_space != policy.action_space and not isinstance(action_space, spaces.Box)):
            own = own_choices(action_space, policy.action_space).tolist()
            self.task_mask = TaskMask(own, own)
        self._family = make_family(policy.action_space, getattr(policy, "state_dependent_std", False))
        is_masked = getattr(policy, "action_mask", None) is not None
        is_recurrent = isinstance(policy, RecurrentActorCriticPolicy)
        self._has_logits = not (is_masked or is_recurrent or isinstance(policy.action_space, spaces.Box))
        # What the LSTM of a recurrent policy remembers of each episode.
        self._state: Any = None
        if isinstance(policy, RecurrentActorCriticPolicy):
            layers, _, size = policy.lstm_hidden_state_shape
            self._state = (th.zeros(layers, n_envs, size, device=policy.device),) * 2

    def set_alpha(self, alpha: float) -> None:
        """
        Set α for the steps to come.

        :param alpha: α, in [0, 1]; 0 means no prior
        :raises UsageError: If it is out of range
        """
        check_coefficients("task 'new task'", alpha, self.beta)
        self.kl_cost = objective.kl_cost(alpha, self.beta)

    def rewards(
        self, observations: Any, actions: np.ndarray, episode_starts: np.ndarray, masks: np.ndarray | None
    ) -> np.ndarray:
        """
        Give what the prior adds to the rewards of a step.

        :param observations: Those in which the actions are taken, one or a row for each environment
        :param actions: The actions, a row for each environment
        :param episode_starts: Whether each observation is the first of its episode, shape (n_envs,)
        :param masks: Which choices are valid, shape (n_envs, n_choices); ``None``: all of π0's
        :return: c_KL log π0(a|s), shape (n_envs,)
        :raises UsageError: If an action is not valid
        """
        if self.kl_cost == 0.0 and self._state is None:
            return np.zeros(self.n_envs)
        with th.no_grad():
            acting = self._acting(observations, episode_starts)
            if self.kl_cost == 0.0:
                return np.zeros(self.n_envs)
            taken = self._as_tensor(actions)
            if masks is not None:
                log_prob = self._among(masks, acting, taken)
            elif isinstance(acting, Distribution):
                log_prob = acting.log_prob(taken)
            else:
                log_prob = self._family.log_prob(acting, taken)
        return self.kl_cost * log_prob.cpu().numpy().astype(np.float64)

    def _acting(self, observations: Any, episode_starts: np.ndarray) -> Distribution | th.Tensor:
        """How π0 acts: its logits or log-odds where they are all there is to know, else a distribution."""
        if self.normalization is not None:
            observations = self.normalization.normalize(observations)
        tensors: Any = self.policy.obs_to_tensor(observations)[0]
        if not isinstance(self.policy, RecurrentActorCriticPolicy):
            return self._logits(tensors) if self._has_logits else self.policy.get_distribution(tensors)
        starts = th.as_tensor(episode_starts, dtype=th.float32, device=self.policy.device)
        distribution, self._state = self.policy.get_distribution(tensors, self._state, starts)
        return distribution

    def _logits(self, tensors: Any) -> th.Tensor:
        # The steps of get_distribution but for its distribution object, which takes longer than all of them.
        policy = self.policy
        features = BaseModel.extract_features(policy, tensors, policy.pi_features_extractor)
        return self._family.canonical(policy.action_net(policy.mlp_extractor.forward_actor(features)))

    def _as_tensor(self, actions: np.ndarray) -> th.Tensor:
        check_actions(actions, self.action_space)
        taken = th.as_tensor(actions, device=self.policy.device)
        if isinstance(self.action_space, spaces.MultiBinary):
            taken = taken.float()
        # Box actions of several dimensions are flat in Stable-Baselines3's distributions.
        return taken.reshape(self.n_envs) if isinstance(self.action_space, spaces.Discrete) else taken.flatten(1)

    def _among(self, masks: np.ndarray, acting: Any, taken: th.Tensor) -> th.Tensor:
        if isinstance(acting, Distribution):
            components: Any = acting.distribution
            components = components if isinstance(components, list) else [components]
            acting = th.cat([component.logits for component in components], dim=1)
        valid = self._family.restrict(acting, th.as_tensor(masks, device=taken.device))
        log_prob = self._family.log_prob(valid, taken)
        excluded = (log_prob <= th.finfo(valid.dtype).min / 2).nonzero().flatten().tolist()
        if excluded:
            raise UsageError(
                f"The action {taken[excluded[0]].tolist()} was taken, but {METHOD}() of the environment excludes it, "
                "and so does the prior. Learn by an algorithm that knows the masks, sb3-contrib's MaskablePPO for "
                "example."
            )
        return log_prob


def check_actions(actions: np.ndarray, space: spaces.Space[Any]) -> None:
    """
    Refuse discrete actions that the environments do not have.

    :param actions: A row for each environment
    :param space: Actions of the environments
    :raises UsageError: If an action is none of these
    """
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        first, n = space.start, space.n if isinstance(space, spaces.Discrete) else space.nvec
        if ((actions < first) | (actions >= first + n)).any():
            raise UsageError(
                f"The actions {actions.tolist()} were taken in environments whose actions are {space}. Algorithms of "
                "Stable-Baselines3 count actions from 0: where the first is another, let gymnasium.wrappers."
                "TransformAction around the prior add it."
            )


def check_spaces(
    policy: ActorCriticPolicy, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> None:
    """
    Refuse environments about which the distilled policy can say nothing.

    :param policy: π0
    :param observation_space: Observations of the environments
    :param action_space: Their actions
    :raises UsageError: If the spaces are not those of the policy, but for bounds, floating type and fewer actions
    """
    known = policy.action_space
    joined = join_actions(action_space, known)
    if joined is None or (joined != known and not isinstance(known, spaces.Box)):
        raise UsageError(
            f"The environment's actions are {action_space}, those of the distilled policy are {known}. "
            "Wrap the environment so that they are equal."
        )
    if join(as_seen_by_policies(observation_space), policy.observation_space) is None:
        raise UsageError(
            f"The environment's observations are {observation_space}, those of the distilled policy are "
            f"{policy.observation_space}. Wrap the environment so that they are equal (discrete observations whose "
            "first is not 0: in gymnasium.wrappers.FlattenObservation)."
        )


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
