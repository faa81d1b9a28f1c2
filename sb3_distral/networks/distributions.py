"""Stable-Baselines3's distributions of actions, and those that it leaves out."""

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    DiagGaussianDistribution,
    Distribution,
    MultiCategoricalDistribution,
    make_proba_distribution,
)
from stable_baselines3.common.preprocessing import get_action_dim
from torch import nn
from typing_extensions import override

from sb3_distral.method.families import LOG_STD_RANGE


class ShiftedCategorical(CategoricalDistribution):
    """
    Stable-Baselines3's distribution of one choice, whose first action is not 0.

    :param action_dim: Number of actions
    :param start: The first action
    """

    def __init__(self, action_dim: int, start: int):
        super().__init__(action_dim)
        self.start = start

    @override
    def log_prob(self, actions: th.Tensor) -> th.Tensor:
        return super().log_prob(actions - self.start)

    @override
    def sample(self) -> th.Tensor:
        return super().sample() + self.start

    @override
    def mode(self) -> th.Tensor:
        return super().mode() + self.start


class ShiftedMultiCategorical(MultiCategoricalDistribution):
    """
    Stable-Baselines3's distribution of several choices, whose first actions are not 0.

    :param action_dims: Number of actions of each choice
    :param starts: The first action of each choice
    """

    def __init__(self, action_dims: list[int], starts: list[int]):
        super().__init__(action_dims)
        self.starts = th.tensor(starts)

    @override
    def log_prob(self, actions: th.Tensor) -> th.Tensor:
        return super().log_prob(actions - self.starts.to(actions.device))

    @override
    def sample(self) -> th.Tensor:
        drawn = super().sample()
        return drawn + self.starts.to(drawn.device)

    @override
    def mode(self) -> th.Tensor:
        likeliest = super().mode()
        return likeliest + self.starts.to(likeliest.device)


class StateDependentGaussian(DiagGaussianDistribution):
    """Stable-Baselines3's normal distribution, whose standard deviations are outputs of the network too."""

    @override
    def proba_distribution_net(self, latent_dim: int, log_std_init: float = 0.0) -> Any:
        return nn.Linear(latent_dim, 2 * self.action_dim), None

    @override
    def proba_distribution(self, mean_actions: th.Tensor, log_std: Any) -> Any:
        means, log_stds = mean_actions.chunk(2, dim=-1)
        return super().proba_distribution(means, log_stds.clamp(*LOG_STD_RANGE))


def make_distribution(space: spaces.Space[Any], state_dependent_std: bool) -> Distribution | None:
    """
    Choose the distribution of a column where Stable-Baselines3's own does not fit.

    :param space: Action space
    :param state_dependent_std: Whether the network puts out standard deviations too
    :return: The distribution, ``None`` where Stable-Baselines3's own fits
    """
    if state_dependent_std:
        return StateDependentGaussian(get_action_dim(space))
    if isinstance(space, spaces.Discrete) and space.start != 0:
        return ShiftedCategorical(int(space.n), int(space.start))
    if isinstance(space, spaces.MultiDiscrete) and space.start.any():
        return ShiftedMultiCategorical(space.nvec.tolist(), space.start.tolist())
    return None


def distribution_of(parameters: th.Tensor, space: spaces.Space[Any]) -> Distribution:
    """
    Turn rows of parameters into Stable-Baselines3's distribution.

    :param parameters: Parameters, shape (batch, n_parameters)
    :param space: Action space
    :return: The distribution
    """
    distribution: Any = make_distribution(space, state_dependent_std=False) or make_proba_distribution(space)
    if isinstance(distribution, DiagGaussianDistribution):
        means, log_stds = parameters.chunk(2, dim=-1)
        return distribution.proba_distribution(means, log_stds)
    return distribution.proba_distribution(action_logits=parameters)  # type: ignore[no-any-return]
