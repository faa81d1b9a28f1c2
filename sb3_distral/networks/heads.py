"""What a single column puts out: parameters of a policy for every kind of action, in Stable-Baselines3's policies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    DiagGaussianDistribution,
    Distribution,
    MultiCategoricalDistribution,
    make_proba_distribution,
)
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from typing_extensions import override

from sb3_distral.method.families import LOG_STD_RANGE, make_family


class Maskable:
    """A policy whose ``predict`` takes ``action_masks``, as those of sb3-contrib's ``MaskablePPO`` do."""

    action_space: spaces.Space[Any]
    device: th.device
    action_mask: th.Tensor | None = None

    @contextmanager
    def masked(self, action_masks: Any) -> Iterator[None]:
        """
        Hold a mask while an action is chosen.

        :param action_masks: Whether each choice is valid, shape (batch, n_choices) or (n_choices,), or ``None``
        """
        if action_masks is not None:
            n_choices = make_family(self.action_space).n_parameters
            mask = np.asarray(action_masks).reshape(-1, n_choices)
            self.action_mask = th.as_tensor(mask, device=self.device)
        try:
            yield
        finally:
            self.action_mask = None


class Column(Maskable, ActorCriticPolicy):
    """
    Stable-Baselines3's policy, for what it leaves out: first actions other than 0, masks, standard deviations by state.

    :param args: As :class:`ActorCriticPolicy`
    :param state_dependent_std: Whether the network puts out standard deviations too, for Box actions
    :param kwargs: As :class:`ActorCriticPolicy`
    """

    def __init__(self, *args: Any, state_dependent_std: bool = False, **kwargs: Any):
        self.state_dependent_std = state_dependent_std
        super().__init__(*args, **kwargs)

    @override
    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = make_distribution(self.action_space, self.state_dependent_std) or self.action_dist
        super()._build(lr_schedule)
        if self.state_dependent_std:
            with th.no_grad():
                self.action_net.bias[get_action_dim(self.action_space) :] = self.log_std_init  # type: ignore[operator]

    @override
    def predict(self, *args: Any, action_masks: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        with self.masked(action_masks):
            return super().predict(*args, **kwargs)

    @override
    def _get_action_dist_from_latent(self, latent_pi: th.Tensor) -> Distribution:
        if self.action_mask is None:
            return super()._get_action_dist_from_latent(latent_pi)
        logits = make_family(self.action_space).restrict(self.action_net(latent_pi), self.action_mask)
        return self.action_dist.proba_distribution(action_logits=logits)

    @override
    def _get_constructor_parameters(self) -> dict[str, Any]:
        # Named only where it is set, so that Stable-Baselines3's own class can load the file otherwise.
        own = {"state_dependent_std": True} if self.state_dependent_std else {}
        return {**super()._get_constructor_parameters(), **own}


class CnnColumn(Column, ActorCriticCnnPolicy):
    """:class:`Column` with convolutions, for images."""


class MultiInputColumn(Column, MultiInputActorCriticPolicy):
    """:class:`Column` for Dict observations."""


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


def read_out(column: ActorCriticPolicy, latent: th.Tensor) -> th.Tensor:
    """
    What a column puts out about its policy.

    :param column: A column
    :param latent: Outputs of its last hidden layer, shape (batch, features)
    :return: Outputs, as :meth:`Family.canonical` takes them, shape (batch, n_parameters)
    """
    outputs: th.Tensor = column.action_net(latent)
    log_std = getattr(column, "log_std", None)
    return outputs if log_std is None else th.cat([outputs, log_std.expand_as(outputs)], dim=1)
