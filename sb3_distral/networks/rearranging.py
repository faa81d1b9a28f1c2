"""Columns of tasks that stay beside columns of new ones, and what an optimizer knows of their parameters."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from sb3_distral.errors import UsageError
from sb3_distral.networks.columns import TaskColumns

#: Makes a separate network of the structure of a column, with any weights
MakeColumn = Callable[[], ActorCriticPolicy]

#: How PyTorch's optimizers call what says how large gradients are; a step is divided by its root.
SIZES = ("square_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "sum")


def rearrange(
    columns: TaskColumns, kept: Sequence[int], new: Sequence[ActorCriticPolicy], make_column: MakeColumn
) -> TaskColumns:
    """
    Put the columns of some tasks, bit for bit as they are, before those of new ones.

    :param columns: Columns of all tasks so far
    :param kept: Indices of those that stay
    :param new: Columns of new tasks
    :param make_column: Makes separate networks
    :return: The columns of both
    """
    return type(columns)([*separate(columns, kept, make_column), *new])


def separate(columns: TaskColumns, tasks: Sequence[int], make_column: MakeColumn) -> list[ActorCriticPolicy]:
    """
    Copy columns into separate networks.

    :param columns: Columns of all tasks
    :param tasks: Which of them
    :param make_column: Makes separate networks
    :return: A network for each
    """
    networks = [make_column() for _ in tasks]
    for task, network in zip(tasks, networks, strict=True):
        columns.copy_column(task, network)
    return networks


def move_state(
    state: dict[th.Tensor, dict[str, Any]],
    before: TaskColumns,
    after: TaskColumns,
    kept: Sequence[int],
    make_column: MakeColumn,
) -> dict[th.Tensor, dict[str, Any]]:
    """
    Give what an optimizer knows of rearranged columns.

    Of the tasks that stay it knows what it knew. All tasks of a stacked layer share a count of steps, which corrects
    the bias of averages that begin at zero: those of a new task would stay uncorrected, and its first steps be ten
    times too long (for averages over a hundred steps). So the sizes of a new task's gradients begin as the means over
    the tasks that stay, until :func:`begin_sizes` knows its own; momentum begins at zero.

    :param state: What it knows of the parameters of ``before``: of each as much as there are parameters, or a number
    :param before: Columns of all tasks so far
    :param after: The columns of :func:`rearrange`
    :param kept: As there
    :param make_column: As there
    :return: What it knows of the parameters of ``after``
    :raises UsageError: If its knowledge has another form
    """
    names = dict.fromkeys(name for own in before.parameters() for name in state.get(own, {}))
    moved: dict[th.Tensor, dict[str, Any]] = {parameter: {} for parameter in after.parameters()} if names else {}
    for name in names:
        shadow, is_number = _shadow(before, state, name)
        networks = separate(shadow, kept, make_column)
        new = make_column()
        _set_to_mean(new, networks if is_number or name in SIZES else [])
        values = type(before)([*networks, *[new] * (after.n_tasks - len(kept))])
        for parameter, value in zip(after.parameters(), values.parameters(), strict=True):
            # Counts of steps stay where optimizers keep them, on the CPU.
            moved[parameter][name] = value.data.flatten()[0].cpu() if is_number else value.data.to(parameter.device)
    return moved


def _shadow(columns: TaskColumns, state: dict[th.Tensor, dict[str, Any]], name: str) -> tuple[TaskColumns, bool]:
    """Columns whose parameters are what an optimizer knows under a name, and whether it is a number for each."""
    shadow = deepcopy(columns)
    is_number = False
    for own, parameter in zip(shadow.parameters(), columns.parameters(), strict=True):
        value = th.as_tensor(state.get(parameter, {}).get(name, 0.0))
        if value.dim() > 0 and value.shape != parameter.shape:
            raise UsageError(
                f"The optimizer keeps {name!r} of shape {tuple(value.shape)} for parameters of shape "
                f"{tuple(parameter.shape)}: what of it belongs to which task is not known. Tasks can come and go under "
                "optimizers that keep one number for each parameter, as Adam and RMSprop do."
            )
        is_number = is_number or (name in state.get(parameter, {}) and value.dim() == 0)
        own.data = value.to(own.device, own.dtype).expand_as(own).clone()
    return shadow, is_number


def _set_to_mean(network: nn.Module, others: Sequence[nn.Module]) -> None:
    """Let parameters be the means of those of other networks of the same structure, zero where there are none."""
    sources = [list(other.parameters()) for other in others]
    with th.no_grad():
        for place, parameter in enumerate(network.parameters()):
            parameter.zero_()
            if sources:
                parameter.copy_(th.stack([own[place] for own in sources]).mean(dim=0))


def begin_sizes(optimizer: th.optim.Optimizer, columns: TaskColumns, tasks: Sequence[int]) -> None:
    """
    Let the sizes of new tasks' gradients begin with their first gradients, as averages do whose bias is corrected.

    Those of other tasks may be far smaller: a first step would be several times longer than later ones. No size begins
    below the mean of its layer, so that the first gradient of a weight that had none is no large one either; where a
    layer has no gradient yet, sizes stay as they are.

    :param optimizer: Optimizer of the columns, before its first step with these tasks
    :param columns: Columns of all tasks, with gradients
    :param tasks: Indices of new tasks
    """
    for parameter, row in rows_of_tasks(columns, tasks):
        known = optimizer.state.get(parameter, {})
        if parameter.grad is None:
            continue
        squares = parameter.grad[row].square()
        for name in [name for name in SIZES if name in known]:
            if float(squares.mean()) > 0.0:
                known[name][row] = squares.clamp(min=float(squares.mean()))


def rows_of_tasks(columns: TaskColumns, tasks: Sequence[int]) -> Iterator[tuple[th.Tensor, Any]]:
    """
    Find what belongs to some tasks.

    :param columns: Columns of all tasks
    :param tasks: Indices of some
    :return: Parameters, and which part of each belongs to one of the tasks
    """
    for n_networks, parameters in columns.stacked.items():
        for row in (network for network in range(n_networks) if network % columns.n_tasks in tasks):
            yield from ((parameter, row) for parameter in parameters)
    yield from ((parameter, ...) for task, parameter in columns.separate if task in tasks)
