"""A single column, of which π0 is one: Stable-Baselines3's policy, and what it puts out about actions and values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    BasePolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.method.families import make_family
from sb3_distral.networks.distributions import make_distribution


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
        :raises UsageError: If it does not fit the actions
        """
        if action_masks is not None:
            n_choices = make_family(self.action_space).n_parameters
            mask = np.atleast_2d(np.asarray(action_masks))
            if mask.shape[-1] != n_choices or not mask.any(axis=-1).all():
                raise UsageError(
                    f"action_masks={action_masks!r} was given for the actions {self.action_space}; expected "
                    f"{n_choices} entries for each observation, one for each choice, of which one is valid at least. A "
                    "task with fewer actions than others has the first ones: fill its mask up with zeros."
                )
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


def evaluate_column(column: ActorCriticPolicy, observations: PyTorchObs) -> tuple[th.Tensor, th.Tensor]:
    """
    Evaluate policy and value of a column, of which π0 is one.

    :param column: A column
    :param observations: A batch of plain observations
    :return: Outputs about the policy, h of (6), shape (batch, n_parameters), and V(s), shape (batch, 1)
    """
    if not column.share_features_extractor:
        return evaluate_actor(column, observations), column.predict_values(observations)
    actor, critic = column.mlp_extractor(column.extract_features(observations))
    return read_out(column, actor), column.value_net(critic)


def evaluate_actor(column: ActorCriticPolicy, observations: PyTorchObs) -> th.Tensor:
    """
    Evaluate the policy of a column alone.

    :param column: A column
    :param observations: A batch of plain observations
    :return: Outputs about the policy, shape (batch, n_parameters)
    """
    # The steps of ActorCriticPolicy.get_distribution, without its distribution object.
    features = BasePolicy.extract_features(column, observations, column.pi_features_extractor)
    return read_out(column, column.mlp_extractor.forward_actor(features))
