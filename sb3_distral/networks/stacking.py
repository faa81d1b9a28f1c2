"""Modules of several networks as one module.

A loop over eight small networks spends its time in overhead; here linear layers are one batched matrix product.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch as th
from torch import nn
from typing_extensions import override

# Activations that give the same on any shape.
ELEMENTWISE = (nn.Tanh, nn.ReLU, nn.ELU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Sigmoid)


class StackedLinear(nn.Module):
    """
    Linear layers of several networks as one batched product, each applied to its rows.

    Rows have shape (n_networks, n_rows, in_features), outputs (n_networks, n_rows, out_features).

    :param layers: One layer a network, of equal shape
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        # Stored in the form that the product takes: views at each call cost as much as the product of a small layer.
        self.weight = nn.Parameter(th.stack([layer.weight.detach().t() for layer in layers]).contiguous())
        self.bias = nn.Parameter(th.stack([layer.bias.detach().unsqueeze(0) for layer in layers]))

    @override
    def forward(self, rows: th.Tensor) -> th.Tensor:
        return th.baddbmm(self.bias, rows, self.weight)


class StackedRow(nn.Module):
    """
    A vector of each of several networks, appended to each of its rows.

    Rows have shape (n_networks, n_rows, features), outputs (n_networks, n_rows, features + length of a vector).

    :param vectors: One vector a network, of equal length
    """

    def __init__(self, vectors: Sequence[th.Tensor]):
        super().__init__()
        self.vector = nn.Parameter(th.stack([vector.detach() for vector in vectors]).unsqueeze(1))

    @override
    def forward(self, rows: th.Tensor) -> th.Tensor:
        return th.cat([rows, self.vector.expand(-1, rows.shape[1], -1)], dim=2)


class SharedModule(nn.Module):
    """
    A module without parameters: the same function for every task, applied to all rows at once.

    Rows and outputs have shape (n_tasks, n_rows, features).

    :param module: The module of one task
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    @override
    def forward(self, rows: th.Tensor) -> th.Tensor:
        return self.module(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])  # type: ignore[no-any-return]


class SeparateModules(nn.ModuleList):
    """
    Modules of any kind, one a network, each applied to its own rows: for any module, fast for large ones.

    Rows and outputs have shape (n_tasks, n_rows, features).

    :param modules: The modules; they are copied
    """

    def __init__(self, modules: Sequence[nn.Module]):
        super().__init__(deepcopy(module) for module in modules)

    @override
    def forward(self, rows: th.Tensor) -> th.Tensor:
        return th.stack([module(task_rows) for module, task_rows in zip(self, rows, strict=True)])


def has_state(module: nn.Module) -> bool:
    """
    Tell modules that can compute different things from those that are all alike.

    :param module: Any module
    :return: Whether two copies of it can compute different things
    """
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def stack_modules(modules: Sequence[nn.Module]) -> nn.Module:
    """
    Turn one module a task into one module of all tasks, on rows of shape (n_tasks, n_rows, features).

    :param modules: Modules of equal structure
    :return: A module that holds copies of their parameters
    """
    first = modules[0]
    if isinstance(first, nn.Sequential):
        return nn.Sequential(*(stack_modules(layers) for layers in zip(*modules, strict=True)))
    if type(first) is nn.Linear and first.bias is not None:
        return StackedLinear(modules)  # type: ignore[arg-type]
    if has_state(first):
        return SeparateModules(modules)
    return first if isinstance(first, ELEMENTWISE) else SharedModule(first)


def same_shape(first: nn.Module, second: nn.Module) -> bool:
    """
    Compare the parameters of two networks.

    :param first: A network
    :param second: Another
    :return: Whether their parameters have equal shapes, in order
    """
    return [p.shape for p in first.parameters()] == [p.shape for p in second.parameters()]


def copy_parameters(stacked: nn.Module, index: int, module: nn.Module) -> None:
    """
    Inverse of :func:`stack_modules` for one of the modules.

    :param stacked: Module of all
    :param index: Which of them
    :param module: A module of the same structure, receives the parameters
    """
    if isinstance(stacked, nn.Sequential):
        for layer, own in zip(stacked, module.children(), strict=True):
            copy_parameters(layer, index, own)
    elif isinstance(stacked, StackedLinear):
        module.load_state_dict({"weight": stacked.weight[index].t(), "bias": stacked.bias[index].squeeze(0)})
    elif isinstance(stacked, SeparateModules) and has_state(module):
        module.load_state_dict(stacked[index].state_dict())
