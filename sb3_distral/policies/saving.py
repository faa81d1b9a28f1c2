"""A policy saved alone: weights and a description, from which it is made again without running code of the file."""

import io
import json
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch as th
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.utils import get_device
from torch import nn

from sb3_distral.envs.normalization import normalization_from_json, normalization_of, normalization_to_json
from sb3_distral.envs.space_json import Json, space_from_json, space_to_json
from sb3_distral.errors import UsageError
from sb3_distral.files import atomic_write
from sb3_distral.method.choices import TaskMask, unmasked
from sb3_distral.networks.features import FittingExtractor
from sb3_distral.networks.heads import CnnColumn, Column, MultiInputColumn
from sb3_distral.networks.lstm import CombinedFeatures, ImageFeatures, LstmCnnColumn, LstmColumn, LstmMultiInputColumn
from sb3_distral.policies.checks import is_finite
from sb3_distral.policies.recurrent import RecurrentTaskPolicy
from sb3_distral.policies.task_policy import MixtureTaskPolicy, TaskPolicy

FORMAT = {"format": "policy of sb3-distral", "version": 1}


def _by_name(*classes: type[Any]) -> dict[str, type[Any]]:
    return {own.__name__: own for own in classes}


#: The classes that a file may name. A name that is not here is refused: nothing is ever imported by a name in a file.
COLUMNS = _by_name(Column, CnnColumn, MultiInputColumn, LstmColumn, LstmCnnColumn, LstmMultiInputColumn)
CLASSES = {
    "activation_fn": _by_name(nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus)
    | _by_name(nn.Sigmoid, nn.Identity),
    "features_extractor_class": _by_name(FlattenExtractor, NatureCNN, CombinedExtractor)
    | _by_name(ImageFeatures, CombinedFeatures, FittingExtractor),
}

ADVICE = (
    "Save a policy with parts of your own by policy.save(path), and a model by model.save(path); of a model, this "
    "function takes distilled_policy and task_policy(task)."
)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_architecture(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) <= {"pi", "vf"} and all(_is_architecture(own) for own in value.values())
    return isinstance(value, list | tuple) and all(map(_is_size, value))


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
    "n_lstm_layers": _is_size,
}


def save_policy(policy: BasePolicy, path: str | Path) -> None:
    """
    Save π0 or the policy of a task alone, as a zip of a description (JSON) and weights (tensors).

    :func:`load_policy` makes the policy again without running any code of the file, so the file may be given to
    strangers. Optimizers are left out.

    :param policy: ``model.distilled_policy`` or ``model.task_policy(task)``
    :param path: File
    :raises UsageError: If a class is not one that the file has a name for (one of your own, for example), or a
        parameter is not finite
    """
    if not is_finite(policy):
        raise UsageError(f"The policy is not saved to {path}: it has parameters that are not finite. Train it anew.")
    description = json.dumps(describe(policy), indent=2, allow_nan=False)
    weights = {name: tensor.cpu() for name, tensor in policy.state_dict().items()}
    with atomic_write(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        archive.writestr("policy.json", description)
        with archive.open("policy.pth", "w", force_zip64=True) as member:
            th.save(weights, member)


def load_policy(path: str | Path, device: th.device | str = "auto") -> Any:
    """
    Load a policy that :func:`save_policy` has written, without running any code of the file.

    A file may still ask for networks that do not fit into memory.

    :param path: File
    :param device: Device of the policy
    :return: A policy of Stable-Baselines3 on plain observations, of the class that was saved
    :raises UsageError: If the file is damaged or was written by something else
    """
    with Path(path).open("rb") as file:
        try:
            policy = _read(file)
        except Exception as error:  # Whatever a strange file leads to
            raise UsageError(
                f"{path} cannot be read as a policy ({error}). Pass a file that sb3_distral.save_policy has written; "
                "one of policy.save(...) is read by the method load of the policy's class, which trusts the file."
            ) from error
    return policy.to(get_device(device))


def describe(policy: BasePolicy) -> Json:
    """
    Describe a policy, all but its weights.

    :param policy: π0 or the policy of a task
    :return: What ``json.dumps`` takes
    :raises UsageError: If a part of it has no name in the file
    """
    policy_class: type[Any] = type(policy)
    if policy_class is MixtureTaskPolicy:
        raise UsageError(
            "The policy is that of a task of a model with several distilled policies, all of which are parts of it; a "
            "file holds one. Save it by policy.save(path), which MixtureTaskPolicy.load(path) reads and trusts; each "
            "of model.distilled_policies can be saved here."
        )
    two_columns = policy_class in (TaskPolicy, RecurrentTaskPolicy)
    own: Any = policy
    column = own.distilled_policy if two_columns else own
    return {
        **FORMAT,
        "column": _name_of("policy", type(column), COLUMNS),
        "arguments": _describe_arguments(column),
        "distilled_weight": own.distilled_weight if two_columns else None,
        "task_mask": own.task_mask and own.task_mask._asdict(),
        "observation_normalization": normalization_to_json(own),
        "observation_space": space_to_json(policy.observation_space),
        "action_space": space_to_json(policy.action_space),
    }


def _describe_arguments(column: ActorCriticPolicy) -> Json:
    given = column._get_constructor_parameters()
    if not isinstance(column, RecurrentActorCriticPolicy):
        # Stable-Baselines3 forgets it.
        given["share_features_extractor"] = column.share_features_extractor
    described = {name: _name_of(name, given[name], known) for name, known in CLASSES.items()}
    for name in [name for name in VALUES if name in given]:
        if not VALUES[name](given[name]):
            raise UsageError(f"{name}={given[name]!r} cannot be described in a file that runs no code. {ADVICE}")
        described[name] = given[name]
    return described


def _name_of(what: str, own: type[Any], known: dict[str, type[Any]]) -> str:
    name = getattr(own, "__name__", "")
    if known.get(name) is not own:
        raise UsageError(
            f"The {what} is {own}, which cannot be described in a file that runs no code; expected one of "
            f"{', '.join(known)}. {ADVICE}"
        )
    return name


def _read(file: IO[bytes]) -> BasePolicy:
    with zipfile.ZipFile(file) as archive:
        described = json.loads(archive.read("policy.json"))
        weights = io.BytesIO(archive.read("policy.pth"))
    found = {name: described.get(name) for name in FORMAT}
    if found != FORMAT:
        raise UsageError(f"its format is {found}, expected {FORMAT}")
    # Initial weights are overwritten at once: drawing them must not move the generators of a training.
    with th.random.fork_rng():
        policy = _build(described)
    try:
        policy.load_state_dict(th.load(weights, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise UsageError("policy.pth holds something else than tensors, of which nothing was run") from error
    return policy


def _build(described: Json) -> BasePolicy:
    column_class, weight = _class_of("column", described["column"], COLUMNS), described["distilled_weight"]
    arguments = {name: _argument_from_json(name, value) for name, value in described["arguments"].items()}
    own_spaces = space_from_json(described["observation_space"]), space_from_json(described["action_space"])
    policy: Any
    if weight is None:
        policy = column_class(*own_spaces, BasePolicy._dummy_schedule, **arguments)
    else:
        without_view = {name: value for name, value in arguments.items() if name != "view"}
        policy_class = RecurrentTaskPolicy if issubclass(column_class, LstmColumn) else TaskPolicy
        policy = policy_class(
            *own_spaces, column_class, without_view, float(weight), distilled_view=arguments.get("view")
        )
    if described["task_mask"] is not None:
        policy.set_task_mask(_mask_from_json(described["task_mask"], unmasked(policy.action_space)))
    if described["observation_normalization"] is not None:
        policy.observation_normalization = normalization_from_json(described["observation_normalization"])
        normalization_of(policy)  # refuses that of other observations
    return policy  # type: ignore[no-any-return]


def _argument_from_json(name: str, value: Any) -> Any:
    if name in CLASSES:
        return _class_of(name, value, CLASSES[name])
    if name not in VALUES or not VALUES[name](value):
        raise UsageError(f"{name}={value!r} is no argument of a column")
    return value


def _class_of(what: str, name: Any, known: dict[str, type[Any]]) -> type[Any]:
    if name not in known:
        raise UsageError(f"the {what} is {name!r}, expected one of {', '.join(known)}")
    return known[name]


def _mask_from_json(described: Json, every: TaskMask) -> TaskMask:
    mask = TaskMask(**described)
    if any(len(part) != len(every.own) or not all(map(_is_flag, part)) for part in mask):
        raise UsageError(f"its task_mask is {mask}, expected {len(every.own)} times true or false in each part")
    return mask
