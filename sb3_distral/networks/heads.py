"""A single column, of which π0 is one: Stable-Baselines3's policy, and what it puts out about actions and values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

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
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask, narrow, unmasked
from sb3_distral.method.families import make_family
from sb3_distral.networks.distributions import make_distribution
from sb3_distral.networks.features import SMALLEST_IMAGE, FittingExtractor, are_too_small
from sb3_distral.networks.view import View, put_on


class Maskable:
    """
    A policy whose ``predict`` takes ``action_masks``, as those of sb3-contrib's ``MaskablePPO`` do.

    The policy of one task may have a mask of its own, which always holds.
    """

    action_space: spaces.Space[Any]
    task_mask: TaskMask | None = None
    #: How the observations of its training were normalised, an ``ObservationNormalization``
    observation_normalization: Any = None
    #: What holds now, shape (n_choices,) or (batch, n_choices)
    action_mask: th.Tensor | None = None

    def set_task_mask(self, mask: TaskMask | None) -> None:
        """
        Act among the choices of a task alone.

        :param mask: Fixed mask of the task, ``None``: every choice is valid
        """
        self.task_mask = mask
        self.action_mask = None if mask is None else th.tensor(mask.valid)

    @contextmanager
    def masked(self, action_masks: Any) -> Iterator[None]:
        """
        Narrow the mask while an action is chosen.

        :param action_masks: Whether each choice is valid, shape (batch, n_choices) or (n_choices,), where the choices
            may be those of the task alone; or ``None``
        :raises UsageError: If it does not fit the actions, or no action is left
        """
        always = self.action_mask
        if action_masks is not None:
            task_mask = self.task_mask or unmasked(self.action_space)
            masks = [task_mask] * len(np.atleast_2d(action_masks))
            self.action_mask = th.as_tensor(narrow(masks, [action_masks], self.action_space))
        try:
            yield
        finally:
            self.action_mask = always

    def check_normalized(self, observation: Any) -> None:
        """
        Warn of observations that are as the environment gives them, where those of the training were normalised.

        :param observation: Plain observation, single or batched
        """
        if self.observation_normalization is not None:
            self.observation_normalization.warn_if_raw(observation)

    def restrict(self, parameters: th.Tensor) -> th.Tensor:
        """
        Condition a policy on the actions that are valid now.

        :param parameters: Parameters, shape (batch, n_parameters)
        :return: Those among valid actions
        :raises UsageError: If there are masks for another number of rows
        """
        if self.action_mask is None:
            return parameters
        if self.action_mask.dim() == 2 and len(self.action_mask) not in (1, len(parameters)):
            raise UsageError(
                f"{len(self.action_mask)} masks were given for {len(parameters)} observations. Give one for each, or "
                "one for all."
            )
        return make_family(self.action_space).restrict(parameters, self.action_mask.to(parameters.device))


class Column(Maskable, ActorCriticPolicy):
    """
    Stable-Baselines3's policy, for what it leaves out: first actions other than 0, masks, standard deviations by state.

    :param args: As :class:`ActorCriticPolicy`
    :param state_dependent_std: Whether the network puts out standard deviations too, for Box actions
    :param task_mask: Fixed mask of the one task whose policy this is
    :param view: What it may see of its observations, see :mod:`sb3_distral.networks.view`
    :param observation_normalization: How the observations of its training were normalised, which this class only keeps
    :param kwargs: As :class:`ActorCriticPolicy`
    """

    #: Height and width that images need; 0 where observations are no images
    smallest_image: ClassVar[int] = 0

    def __init__(
        self,
        *args: Any,
        state_dependent_std: bool = False,
        task_mask: TaskMask | None = None,
        view: View | None = None,
        observation_normalization: Any = None,
        **kwargs: Any,
    ):
        self.state_dependent_std = state_dependent_std
        super().__init__(*args, **kwargs)
        self.observation_normalization = observation_normalization
        self.set_task_mask(task_mask)
        self.view = view
        if view is not None:
            put_on(self, view)

    @override
    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = make_distribution(self.action_space, self.state_dependent_std) or self.action_dist
        super()._build(lr_schedule)
        if self.state_dependent_std:
            with th.no_grad():
                self.action_net.bias[get_action_dim(self.action_space) :] = self.log_std_init  # type: ignore[operator]

    @override
    def predict(self, observation: Any, *args: Any, action_masks: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        self.check_normalized(observation)
        with self.masked(action_masks):
            return super().predict(observation, *args, **kwargs)

    @override
    def _get_action_dist_from_latent(self, latent_pi: th.Tensor) -> Distribution:
        if self.action_mask is None:
            return super()._get_action_dist_from_latent(latent_pi)
        return self.action_dist.proba_distribution(action_logits=self.restrict(self.action_net(latent_pi)))

    @override
    def _get_constructor_parameters(self) -> dict[str, Any]:
        # Named only where they are set, so that Stable-Baselines3's own class can load the file otherwise.
        names = ("state_dependent_std", "task_mask", "view", "observation_normalization")
        own = {name: getattr(self, name) for name in names if getattr(self, name)}
        if not self.share_features_extractor:
            # Stable-Baselines3 forgets it, and the weights alone do not tell.
            own["share_features_extractor"] = False
        return {**super()._get_constructor_parameters(), **own}


class CnnColumn(Column, ActorCriticCnnPolicy):
    """:class:`Column` with convolutions, for images."""

    smallest_image = SMALLEST_IMAGE


class MultiInputColumn(Column, MultiInputActorCriticPolicy):
    """
    :class:`Column` for Dict observations; small images in them are taken as vectors.

    :param observation_space: Plain observation space
    :param args: As :class:`MultiInputActorCriticPolicy`
    :param features_extractor_class: Features extractor; by default that of Stable-Baselines3 where it fits
    :param kwargs: As :class:`Column`
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        *args: Any,
        features_extractor_class: type[BaseFeaturesExtractor] | None = None,
        **kwargs: Any,
    ):
        if features_extractor_class is None:
            features_extractor_class = FittingExtractor if are_too_small(observation_space) else CombinedExtractor
        super().__init__(observation_space, *args, features_extractor_class=features_extractor_class, **kwargs)


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
