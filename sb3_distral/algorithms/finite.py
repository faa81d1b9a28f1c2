"""Nothing that is not finite is learned from: roll-outs and gradients. What tasks give is checked where it enters."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch as th
from stable_baselines3.common.buffers import RolloutBuffer

from sb3_distral.errors import UsageError

#: From here on squares of returns, and norms of their gradients, are near the end of single precision.
LARGEST_RETURN = 1e15


def check_rollout(buffer: RolloutBuffer, tasks: np.ndarray, task_names: Sequence[str]) -> None:
    """
    Look for values and returns in a roll-out from which nothing can be learned.

    Returns of a task that are finite but huge would overflow in the losses. Such a task learns nothing from this
    roll-out, and a warning says so; the others go on.

    :param buffer: A full roll-out; returns and advantages of tasks with huge returns are overwritten
    :param tasks: Task of each sub-environment, shape (n_envs,)
    :param task_names: Name of each task
    :raises UsageError: If a value is not finite: the training has diverged
    """
    largest = max(np.abs(buffer.returns).max(), np.abs(buffer.values).max())
    if largest < LARGEST_RETURN:  # not so where it is NaN
        return
    rows = np.array([np.abs(part).max(axis=0) for part in (buffer.returns, buffer.values)])
    for task in np.unique(tasks[~(rows < LARGEST_RETURN).all(axis=0)]):
        own = np.flatnonzero(tasks == task)
        wrong = np.argwhere(~(np.isfinite(buffer.values) & np.isfinite(buffer.rewards))[:, own])
        if len(wrong) > 0:
            step, index = wrong[0]
            raise UsageError(
                f"A value or reward of task '{task_names[task]}' is not finite in sub-environment {own[index]} at step "
                f"{step} of the roll-out, although what the task gave was: the training diverged, or a wrapper around "
                "the tasks made it so. Take a lower learning rate, or smaller rewards."
            )
        buffer.returns[:, own], buffer.advantages[:, own] = buffer.values[:, own], 0.0
        warnings.warn(
            f"The returns of task '{task_names[task]}' reach {np.abs(buffer.rewards[:, own]).max():g} a step (in one "
            "of its sub-environments), too much for single precision. It learns nothing from this roll-out, the other "
            "tasks go on. Give smaller rewards, or normalize_returns=True.",
            stacklevel=2,
        )


def check_gradients(norms: th.Tensor, task_names: Sequence[str], n_updates: int) -> None:
    """
    Refuse gradients that are not finite, before parameters follow them.

    :param norms: Norm of the gradient of each distilled policy, then of each task where it has a column
    :param task_names: Name of each task
    :param n_updates: Updates so far
    :raises UsageError: If one is NaN
    """
    wrong = th.isnan(norms).nonzero().flatten().tolist()
    if not wrong:
        return
    n_distilled = len(norms) - len(task_names) if len(norms) > len(task_names) else len(norms)
    tasks = [f"'{task_names[index - n_distilled]}'" for index in wrong if index >= n_distilled]
    whose = f"the tasks {', '.join(tasks)}" if tasks else "the distilled policy"
    raise UsageError(
        f"The gradient of {whose} is not finite in update {n_updates + 1}, which is not made: the parameters are those "
        "before it. Take a lower learning rate, or smaller rewards and observations."
    )
