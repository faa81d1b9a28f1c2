"""Policies as a description and weights, from which they are made again without running code of a file."""

from collections.abc import Mapping
from typing import Any

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from sb3_distral.envs.normalization import normalization_from_json, normalization_of, normalization_to_json
from sb3_distral.envs.space_json import Json, space_from_json, space_to_json
from sb3_distral.envs.task_id import keys_in, with_task_space
from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask, unmasked
from sb3_distral.networks.lstm import LstmColumn
from sb3_distral.policies.checks import is_finite
from sb3_distral.policies.columns import PolicyColumns
from sb3_distral.policies.feedforward import DistralPolicy
from sb3_distral.policies.recurrent import RecurrentTaskPolicy
from sb3_distral.policies.task_policy import MixtureTaskPolicy, TaskPolicy
from sb3_distral.policies.vocabulary import (
    COLUMNS,
    POLICIES,
    check_kind,
    class_of,
    describe_arguments,
    name_of,
    read_arguments,
)

#: Most tasks of a policy, whose columns take memory beside their weights
MOST_COLUMNS = 1000


def describe(policy: BasePolicy) -> Json:
    """
    Describe a policy, all but its weights.

    :param policy: π0, the policy of a task, or that of all tasks
    :return: What ``json.dumps`` takes
    :raises UsageError: If a part of it has no name in the file
    """
    if isinstance(policy, PolicyColumns):
        return _describe_columns(policy)
    policy_class: type[Any] = type(policy)
    two_columns = policy_class in (TaskPolicy, RecurrentTaskPolicy, MixtureTaskPolicy)
    own: Any = policy
    column = own.distilled_policy if two_columns else own
    return {
        **_describe_networks(column),
        "distilled_weight": own.distilled_weight if two_columns else None,
        "responsibilities": own.responsibilities if policy_class is MixtureTaskPolicy else None,
        "task_mask": own.task_mask and own.task_mask._asdict(),
        "observation_normalization": normalization_to_json(getattr(own, "observation_normalization", None)),
    }


def _describe_networks(column: ActorCriticPolicy) -> Json:
    return {
        "column": name_of("policy", type(column), COLUMNS),
        "arguments": describe_arguments(column),
        "observation_space": space_to_json(column.observation_space),
        "action_space": space_to_json(column.action_space),
    }


def _describe_columns(policy: PolicyColumns) -> Json:
    masks = policy.task_masks
    return {
        "policy": name_of("policy", type(policy), POLICIES),
        **_describe_networks(policy.copy_distilled()[0]),
        "architecture": policy.architecture,
        "distilled_weight": policy.distilled_weight,
        "n_distilled": policy.n_distilled,
        "n_tasks": policy.n_tasks,
        "shows_masks": keys_in(policy.observation_space.spaces).mask in policy.observation_space.spaces,
        "task_masks": None if masks is None else [mask._asdict() for mask in masks],
    }


def weights_of(policy: BasePolicy) -> dict[str, th.Tensor]:
    """
    Give the weights of a policy that belong into its file.

    :param policy: The policy
    :return: Tensors by name, without the π0 of earlier tasks that rehearsal remembers
    :raises UsageError: If one is not finite
    """
    if not is_finite(policy):
        raise UsageError("The policy is not saved: it has parameters that are not finite. Train it anew.")
    state = policy.state_dict()
    names = [name for name, first in first_names(state).items() if name == first]
    return {name: state[name] for name in names if not name.startswith("former_distilled_policy.")}


def first_names(state: Mapping[str, th.Tensor]) -> dict[str, str]:
    """
    Find tensors that have several names: a features extractor that actor and critic share has three.

    :param state: Tensors by name
    :return: By name, the first name of the same tensor
    """
    first: dict[Any, str] = {}
    return {name: first.setdefault(own.data_ptr() or name, name) for name, own in state.items()}


def build(described: Json, weights: Mapping[str, th.Tensor]) -> Any:
    """
    Make the policy that :func:`describe` has described.

    :param described: The description
    :param weights: Its weights by name
    :return: The policy
    :raises Exception: Of any kind, if it is no such description, or the weights are others: those of too few numbers
        are refused before memory is taken
    """
    for part in ("column", "observation_space", "action_space", "arguments"):
        check_kind(part, described.get(part), str if part == "column" else dict)
    arguments = read_arguments(described["arguments"])
    own_spaces = space_from_json(described["observation_space"]), space_from_json(described["action_space"])
    column_class = class_of("column", described["column"], COLUMNS)
    check_weights(column_class, own_spaces, arguments, _count_columns(described), weights)
    # Initial weights are overwritten at once: drawing them must not move the generators of a training.
    with th.random.fork_rng():
        make = _make_columns if "policy" in described else _make_single
        policy = make(described, column_class, own_spaces, arguments)
    names = first_names(policy.state_dict())
    unknown = {name: own for name, own in weights.items() if name not in names}
    policy.load_state_dict({name: weights[first] for name, first in names.items() if first in weights} | unknown)
    if not is_finite(policy):
        raise UsageError("it holds parameters that are not finite")
    return policy


def _count_columns(described: Json) -> int:
    if "policy" not in described:
        shares = described.get("responsibilities")
        check_kind("responsibilities", shares, list, None)
        return 1 if described["distilled_weight"] is None else 1 + len(shares or [1])
    for part, kind in {"n_tasks": int, "n_distilled": int, "shows_masks": bool}.items():
        check_kind(part, described[part], kind)
    n_tasks, n_distilled = described["n_tasks"], described["n_distilled"]
    if not 0 < n_tasks <= MOST_COLUMNS:
        raise UsageError(f"it describes {n_tasks} tasks, expected 1 to {MOST_COLUMNS}")
    return int(n_distilled if described["architecture"] == "shared" else n_distilled + n_tasks)


def check_weights(
    column_class: Any, own_spaces: Any, arguments: Mapping[str, Any], n_columns: int, weights: Mapping[str, th.Tensor]
) -> None:
    """
    Refuse a description of networks whose weights are not there, before they are made.

    :param column_class: Class of every column
    :param own_spaces: Its spaces of observations and actions
    :param arguments: Its arguments
    :param n_columns: How many there are
    :param weights: The weights that there are
    :raises UsageError: If they are fewer than such columns have
    """
    # Those of the tasks and of π0
    if not 0 < n_columns <= 2 * MOST_COLUMNS:
        raise UsageError(f"it describes {n_columns} networks, expected 1 to {2 * MOST_COLUMNS}")
    # On this device tensors have a shape and no memory.
    nowhere = th.device("meta")
    shapes_alone: Any = type("ShapesAlone", (column_class,), {"device": nowhere})
    with th.random.fork_rng(), nowhere:
        seeing_all = {name: value for name, value in arguments.items() if name != "view"}
        column = shapes_alone(*own_spaces, BasePolicy._dummy_schedule, **seeing_all)
    needed = n_columns * sum(parameter.numel() for parameter in column.parameters())
    given = sum(tensor.numel() for tensor in weights.values())
    if given < needed:
        raise UsageError(f"it describes networks of {needed} weights, but holds {given} numbers")


def _make_single(described: Json, column_class: type[Any], own_spaces: Any, arguments: dict[str, Any]) -> Any:
    weight, shares = described["distilled_weight"], described.get("responsibilities")
    policy: Any
    for number in () if weight is None else (weight, *(shares or ())):
        if type(number) not in (int, float) or not 0 <= number < 1e6:
            raise UsageError(f"it weighs distilled policies by {number!r}, expected numbers from 0 on")
    if weight is None:
        policy = column_class(*own_spaces, BasePolicy._dummy_schedule, **arguments)
    else:
        without_view = {name: value for name, value in arguments.items() if name != "view"}
        is_recurrent = issubclass(column_class, LstmColumn)
        own: dict[str, Any] = {} if shares is None else {"responsibilities": [float(share) for share in shares]}
        policy_class: Any = MixtureTaskPolicy if own else RecurrentTaskPolicy if is_recurrent else TaskPolicy
        view = arguments.get("view")
        policy = policy_class(*own_spaces, column_class, without_view, float(weight), distilled_view=view, **own)
    if described["task_mask"] is not None:
        policy.set_task_mask(_mask_from_json(described["task_mask"], unmasked(policy.action_space)))
    policy.observation_normalization = normalization_from_json(described["observation_normalization"])
    normalization_of(policy)  # refuses that of other observations
    return policy


def _make_columns(described: Json, column_class: type[Any], own_spaces: Any, arguments: dict[str, Any]) -> Any:
    policy_class = class_of("policy", described["policy"], POLICIES)
    plain, action_space = own_spaces
    if policy_class.column_class is not column_class:
        raise UsageError(f"its policy {described['policy']} has no columns of the class {described['column']}")
    every = None if described["task_masks"] is None and not described["shows_masks"] else unmasked(action_space)
    masks = described["task_masks"]
    if masks is not None and len(masks) != described["n_tasks"]:
        raise UsageError(f"it holds {len(masks)} task_masks for {described['n_tasks']} tasks")
    n_choices = len(every.own) if every is not None and described["shows_masks"] else None
    view = arguments.pop("view", None)
    policy: DistralPolicy = policy_class(
        with_task_space(plain, described["n_tasks"], n_choices),
        action_space,
        BasePolicy._dummy_schedule,
        architecture=described["architecture"],
        distilled_weight=described["distilled_weight"],
        n_distilled=described["n_distilled"],
        distilled_view=view,
        task_masks=None if masks is None else [_mask_from_json(mask, every) for mask in masks],  # type: ignore[arg-type]
        **arguments,
    )
    return policy


def _mask_from_json(described: Json, every: TaskMask) -> TaskMask:
    mask = TaskMask(**described)
    is_right = all(isinstance(part, list) and all(isinstance(own, bool) for own in part) for part in mask)
    if not is_right or any(len(part) != len(every.own) for part in mask):
        raise UsageError(f"its task_mask is {mask}, expected {len(every.own)} times true or false in each part")
    return mask
