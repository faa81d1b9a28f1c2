"""What π0 may see of observations, where the task policies see all: information asymmetry (Galashov et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor
from stable_baselines3.common.utils import obs_as_tensor
from torch import nn

from sb3_distral.errors import UsageError
from sb3_distral.networks.features import FittingExtractor

#: What a user gives: of a vector a mask, indices or a slice, of a Dict observation its keys.
Visible = Sequence[bool] | Sequence[int] | Sequence[str] | slice | np.ndarray[Any, Any]
#: The same in the form that is saved: a mask of a vector, or keys of a Dict observation.
View = list[bool] | list[str]


def parse_view(view: Visible | None, space: spaces.Space[Any]) -> View | None:
    """
    Bring what π0 may see into one form.

    :param view: Of vectors a mask, or the indices or the slice of the numbers that are seen; of Dict observations the
        list of keys; ``None``: all
    :param space: Space of the plain observations
    :return: A mask, or a list of keys
    :raises UsageError: If it does not fit the observations, or nothing is left to see
    """
    if view is None:
        return None
    if isinstance(space, spaces.Dict):
        return _keys(view, space)
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise UsageError(
            f"distilled_view={view!r} was given for the observations {space}; parts of vectors and of Dict "
            "observations can be hidden. Make the parts keys of a Dict observation."
        )
    mask = np.zeros(space.shape, dtype=bool)
    try:
        mask[view if isinstance(view, slice) else np.asarray(view)] = True
    except IndexError as error:
        raise UsageError(
            f"distilled_view={view!r} does not fit observations of {len(mask)} numbers. Give {len(mask)} times True or "
            "False, or the indices or the slice of what π0 may see."
        ) from error
    parsed: list[bool] = _not_nothing(mask.tolist(), view)
    return parsed


def _keys(view: Any, space: spaces.Dict) -> list[str]:
    keys = view if isinstance(view, list | tuple) else [None]
    if not all(isinstance(key, str) and key in space.spaces for key in keys):
        raise UsageError(
            f"distilled_view={view!r} was given; expected a list of the keys of the observations that π0 may see, out "
            f"of {sorted(space.spaces)}."
        )
    return [key for key in space.spaces if key in keys] or _not_nothing([], view)


def _not_nothing(parsed: Any, view: Any) -> Any:
    if not any(parsed):
        raise UsageError(f"distilled_view={view!r} was given, so that π0 would see nothing. Leave it something.")
    return parsed


class Blinkers:
    """
    Set to zero what a column may not see, after observations were preprocessed and before features are extracted.

    :param view: What it may see
    """

    def __init__(self, view: View):
        self.view = view

    def __call__(self, module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """
        Hide the rest, as a hook that runs before a module.

        :param module: A features extractor
        :param arguments: What it is called with: preprocessed observations
        :return: What it shall be called with
        """
        return (self.hide(arguments[0]), *arguments[1:])

    def hide(self, observations: Any) -> Any:
        """
        Hide the rest.

        :param observations: Preprocessed observations
        :return: The same, with zeros
        """
        if isinstance(observations, dict):
            return {key: own if key in self.view else th.zeros_like(own) for key, own in observations.items()}
        return observations * th.tensor(self.view, device=observations.device)


def put_on(column: ActorCriticPolicy, view: View) -> None:
    """
    Let a column see but a part of its observations, and forget what its first layers say about the rest.

    Weights of inputs that are always zero do not learn: they stay zero too, and a network that sees all and begins with
    the weights of this one acts as it does.

    :param column: A column
    :param view: What it may see
    """
    blinkers = Blinkers(view)
    # A hook, since Stable-Baselines3 reaches the extractor in several ways, and names of weights stay as they are.
    for extractor in {id(own): own for own in (column.pi_features_extractor, column.vf_features_extractor)}.values():
        extractor.register_forward_pre_hook(blinkers)
    hidden = hidden_features(column, blinkers)
    if hidden is not None:
        with th.no_grad():
            for weight in first_weights(column):
                weight[:, hidden] = 0.0


def hidden_features(column: ActorCriticPolicy, blinkers: Blinkers) -> th.Tensor | None:
    """
    Find the features that are made of hidden parts alone.

    :param column: A column
    :param blinkers: What it wears
    :return: Whether each feature is hidden, shape (n_features,); ``None`` where features are not the observation itself
    """
    extractor = column.pi_features_extractor
    plain = (FlattenExtractor, CombinedExtractor, FittingExtractor)
    if type(extractor) not in plain or any(True for _ in extractor.parameters()):
        return None
    space: Any = column.observation_space
    zeros: Any = obs_as_tensor(zeros_of(space), column.device)
    preprocessed: Any = preprocess_obs(zeros, space, normalize_images=False)
    is_dict = isinstance(preprocessed, dict)
    ones: Any = {key: th.ones_like(own) for key, own in preprocessed.items()} if is_dict else th.ones_like(preprocessed)
    seen: th.Tensor = extractor(blinkers.hide(ones))
    return seen.flatten() == 0


def zeros_of(space: spaces.Space[Any]) -> Any:
    """
    Make an observation of zeros.

    :param space: Space of the observations
    :return: A batch of one
    """
    if isinstance(space, spaces.Dict):
        return {key: zeros_of(own) for key, own in space.spaces.items()}
    return np.zeros((1, *(space.shape or ())), dtype=space.dtype)


def first_weights(column: Any) -> list[th.Tensor]:
    """
    Give the weights by which features enter a column.

    :param column: A column
    :return: Matrices of shape (…, n_features)
    """
    if hasattr(column, "lstm_actor"):
        return [column.lstm_actor.weight_ih_l0]
    mlps = column.mlp_extractor
    networks = ([*mlps.policy_net, column.action_net], [*mlps.value_net, column.value_net])
    return [next(layer.weight for layer in network if isinstance(layer, nn.Linear)) for network in networks]


def check_blind(column: ActorCriticPolicy) -> None:
    """
    Refuse the weights of a column that sees a part for one that sees all, where the two would act differently.

    :param column: A column, with a view or none
    :raises UsageError: If features are learned from what it does not see
    """
    view = getattr(column, "view", None)
    if view is not None and hidden_features(column, Blinkers(view)) is None:
        raise UsageError(
            f"The distilled policy sees only {view} of its observations, and its features extractor learns from them. "
            "A network that sees all would act differently with its weights. Take it as a prior, by "
            "VecDistilledPriorReward, or train it with features that are the observation itself (FlattenExtractor)."
        )
