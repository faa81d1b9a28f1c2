"""What the file of a policy may name: classes from fixed tables, and arguments of a known kind within limits."""

import math
from collections.abc import Callable
from typing import Any

from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from torch import nn

from sb3_distral.envs.space_json import Json
from sb3_distral.errors import UsageError
from sb3_distral.networks.features import FittingExtractor
from sb3_distral.networks.heads import CnnColumn, Column, MultiInputColumn
from sb3_distral.networks.lstm import CombinedFeatures, ImageFeatures, LstmCnnColumn, LstmColumn, LstmMultiInputColumn
from sb3_distral.policies.feedforward import POLICY_ALIASES
from sb3_distral.policies.recurrent import RECURRENT_POLICY_ALIASES


def _by_name(*classes: type[Any]) -> dict[str, type[Any]]:
    return {own.__name__: own for own in classes}


#: The classes that a file may name. A name that is not here is refused: nothing is ever imported by a name in a file.
COLUMNS = _by_name(Column, CnnColumn, MultiInputColumn, LstmColumn, LstmCnnColumn, LstmMultiInputColumn)
POLICIES = _by_name(*POLICY_ALIASES.values(), *RECURRENT_POLICY_ALIASES.values())
CLASSES = {
    "activation_fn": _by_name(nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus)
    | _by_name(nn.Sigmoid, nn.Identity),
    "features_extractor_class": _by_name(FlattenExtractor, NatureCNN, CombinedExtractor)
    | _by_name(ImageFeatures, CombinedFeatures, FittingExtractor),
}
#: Most layers of a network
MOST_LAYERS = 64

ADVICE = "Save a policy with parts of your own by policy.save(path), and a model by model.save(path)."


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_size(value: Any) -> bool:
    # Larger ones exist in no file that could hold the weights.
    return type(value) is int and 0 < value < 2**31


def _is_depth(value: Any) -> bool:
    return _is_size(value) and value <= MOST_LAYERS


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _are_layers(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) <= MOST_LAYERS and all(map(_is_size, value))


def _is_architecture(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) <= {"pi", "vf"} and all(map(_are_layers, value.values()))
    return _are_layers(value)


def _is_view(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(own, bool | str) for own in value)


def _are_extractor_arguments(value: Any) -> bool:
    known = {"features_dim": _is_size, "cnn_output_dim": _is_size, "normalized_image": _is_flag}
    return isinstance(value, dict) and all(name in known and known[name](own) for name, own in value.items())


#: All other arguments of a column that a file holds, and what they have to be.
VALUES: dict[str, Callable[[Any], bool]] = {
    "net_arch": _is_architecture,
    "features_extractor_kwargs": _are_extractor_arguments,
    "share_features_extractor": _is_flag,
    "normalize_images": _is_flag,
    "ortho_init": _is_flag,
    "log_std_init": _is_number,
    "state_dependent_std": _is_flag,
    "view": _is_view,
    "lstm_hidden_size": _is_size,
    "n_lstm_layers": _is_depth,
}


def describe_arguments(column: ActorCriticPolicy) -> Json:
    """
    Describe the arguments that a column was made with.

    :param column: A column
    :return: Names of classes and values, as JSON holds them
    :raises UsageError: If one has no name in the file
    """
    given = column._get_constructor_parameters()
    if not isinstance(column, RecurrentActorCriticPolicy):
        # Stable-Baselines3 forgets it.
        given["share_features_extractor"] = column.share_features_extractor
    described = {name: name_of(name, given[name], known) for name, known in CLASSES.items()}
    for name in [name for name in VALUES if name in given]:
        if not VALUES[name](given[name]):
            raise UsageError(f"{name}={given[name]!r} cannot be described in a file that runs no code. {ADVICE}")
        described[name] = given[name]
    return described


def read_arguments(described: Any) -> dict[str, Any]:
    """
    Read the arguments of a column, the inverse of :func:`describe_arguments`.

    :param described: The description
    :return: The arguments
    :raises UsageError: If it names a class or an argument that is not known, or one is of the wrong kind
    """
    check_kind("arguments", described, dict)
    return {name: _read_argument(name, value) for name, value in described.items()}


def _read_argument(name: str, value: Any) -> Any:
    if name in CLASSES:
        return class_of(name, value, CLASSES[name])
    if name not in VALUES or not VALUES[name](value):
        raise UsageError(f"{name}={value!r} is no argument of a column")
    return value


def name_of(what: str, own: type[Any], known: dict[str, type[Any]]) -> str:
    """
    Give the name by which a file knows a class.

    :param what: What the class is of, for the message
    :param own: The class
    :param known: Classes by name
    :return: The name
    :raises UsageError: If it is none of them
    """
    name = getattr(own, "__name__", "")
    if known.get(name) is not own:
        raise UsageError(
            f"The {what} is {own}, which cannot be described in a file that runs no code; expected one of "
            f"{', '.join(known)}. {ADVICE}"
        )
    return name


def class_of(what: str, name: Any, known: dict[str, type[Any]]) -> type[Any]:
    """
    Find a class by its name in a file, the inverse of :func:`name_of`.

    :param what: What the class is of, for the message
    :param name: The name
    :param known: Classes by name
    :return: The class
    :raises UsageError: If there is none of that name
    """
    if not isinstance(name, str) or name not in known:
        raise UsageError(f"the {what} is {name!r}, expected one of {', '.join(known)}")
    return known[name]


def check_kind(what: str, value: Any, *kinds: type[Any] | None) -> None:
    """
    Refuse a part of a description that is of the wrong kind.

    :param what: What it is, for the message
    :param value: The part
    :param kinds: What it may be an instance of; ``None``: it may be missing
    :raises UsageError: If it is of none of them
    """
    if not any(value is None if kind is None else type(value) is kind for kind in kinds):
        names = " or ".join("null" if kind is None else kind.__name__ for kind in kinds)
        raise UsageError(f"its part {what} is {type(value).__name__}, expected {names}")
