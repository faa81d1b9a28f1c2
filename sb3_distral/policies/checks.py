"""What policies of several tasks refuse."""

from collections.abc import Sequence
from typing import Any, get_args

import torch as th
from stable_baselines3.common.policies import BasePolicy

from sb3_distral.errors import UsageError
from sb3_distral.networks.heads import Maskable
from sb3_distral.policies.evaluation import Architecture


def check_maskable(policy: BasePolicy) -> None:
    """
    Refuse to make a task policy that would take actions which its task does not have.

    :param policy: Policy of one task
    :raises UsageError: If it cannot have a mask
    """
    if not isinstance(policy, Maskable):
        raise UsageError(
            f"The task has a mask of valid actions, which its column of the class {type(policy).__name__} cannot have. "
            "Derive the column_class of your policy from sb3_distral.networks.heads.Column."
        )


def check_finite(parameters: th.Tensor, tasks: th.Tensor, task_names: Sequence[str] | None = None) -> None:
    """
    Refuse policies that are no policies any more, before an action is drawn from them.

    :param parameters: Parameters of πi, a row for each sub-environment, shape (batch, n_parameters)
    :param tasks: Task of each row, shape (batch,)
    :param task_names: Name of each task, where they are known
    :raises UsageError: If one is NaN or infinite
    """
    if th.isfinite(parameters).all():
        return
    index = int(th.isfinite(parameters).all(dim=1).logical_not().nonzero()[0])
    task = int(tasks[index])
    name = task if task_names is None else f"'{task_names[task]}'"
    raise UsageError(
        f"The policy of task {name} is not finite in sub-environment {index}. Either the observation "
        "holds numbers that are not finite (look at the environment), or the training diverged: take a lower learning "
        "rate, or smaller rewards."
    )


def is_finite(policy: BasePolicy) -> bool:
    """
    Look for parameters that are NaN or infinite.

    :param policy: A policy
    :return: Whether there are none
    """
    return all(bool(th.isfinite(tensor).all()) for tensor in policy.state_dict().values())


def check_arguments(architecture: Any, distilled_weight: float | None, use_sde: bool) -> None:
    """
    Refuse arguments of a policy that stand for nothing.

    :param architecture: What the task policies are made of
    :param distilled_weight: Weight of π0 in two columns
    :param use_sde: Stable-Baselines3's generalised state-dependent exploration
    :raises UsageError: If one is out of range or not supported
    """
    if architecture not in get_args(Architecture):
        raise UsageError(f"architecture={architecture!r} is unknown. Choose one of {get_args(Architecture)}.")
    if distilled_weight is not None and not 0.0 <= distilled_weight < float("inf"):
        raise UsageError(
            f"distilled_weight={distilled_weight} was given; expected a finite number >= 0, or None for α."
        )
    if use_sde:
        raise UsageError(
            "use_sde=True was given, but generalised state-dependent exploration draws its noise as a fixed matrix "
            "times the features of one network, and the product of two policies (8) has no such matrix. Leave it out; "
            "policy_kwargs=dict(state_dependent_std=True) gives standard deviations that depend on the state."
        )


def check_bank(n_distilled: int, architecture: Any, is_recurrent: bool, distilled_weight: float | None = None) -> None:
    """
    Refuse several distilled policies where there can be but one.

    :param n_distilled: Number of distilled policies
    :param architecture: What the task policies are made of
    :param is_recurrent: Whether the columns remember
    :param distilled_weight: Weight of π0 in two columns
    :raises UsageError: If there are too few of them, or several where there can be but one
    """
    if not isinstance(n_distilled, int) or n_distilled < 1:
        raise UsageError(f"n_distilled={n_distilled!r} was given; expected a number of distilled policies, 1 or more.")
    if n_distilled == 1:
        return
    if architecture != "two_columns":
        raise UsageError(
            f"n_distilled={n_distilled} was given with architecture={architecture!r}, where no distilled policy is a "
            "part of the task policies, so that no return tells which one serves a task. Use 'two_columns'."
        )
    if distilled_weight == 0.0:
        raise UsageError(
            f"n_distilled={n_distilled} was given with distilled_weight={distilled_weight}, so that no distilled "
            "policy is a part of the task policies, and no return tells which one serves a task. Give a weight above "
            "0, or none."
        )
    if is_recurrent:
        raise UsageError(
            f"n_distilled={n_distilled} was given for policies with an LSTM, which have one distilled policy. Use "
            "n_distilled=1, or DistralA2C or DistralPPO with observations that need no memory (VecFrameStack)."
        )


def check_rehearsal(n_distilled: int) -> None:
    """
    Refuse rehearsal of several distilled policies, which the tasks that stay may divide among themselves anew.

    :param n_distilled: Number of distilled policies
    :raises UsageError: If there are several
    """
    if n_distilled > 1:
        raise UsageError(
            f"rehearsal_coef was given with n_distilled={n_distilled}, but where tasks have changed it keeps a single "
            "distilled policy near what it was. Use rehearsal_coef=0, or n_distilled=1."
        )


def check_single(n_distilled: int) -> None:
    """
    Refuse to call one of several distilled policies the distilled policy.

    :param n_distilled: Number of distilled policies
    :raises UsageError: If there are several
    """
    if n_distilled > 1:
        raise UsageError(
            f"This model has {n_distilled} distilled policies, and nothing tells which of them should act where no "
            "task is named. Take one of model.distilled_policies; model.responsibilities says which tasks are near it."
        )
