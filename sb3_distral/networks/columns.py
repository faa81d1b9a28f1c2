"""Networks of n tasks, stacked and evaluated together.

A loop over eight small networks spends its time in overhead; here the linear layers of all tasks are one batched matrix
product. Features extractors with parameters (convolutions) stay a loop over tasks, which is faster for images on a CPU.
"""

from collections import OrderedDict
from collections.abc import Sequence
from copy import deepcopy
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn

#: Layouts of batches that are kept, the latest of different numbers of rows
N_LAYOUTS = 4

# Activations that give the same on any shape.
ELEMENTWISE = (nn.Tanh, nn.ReLU, nn.ELU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Sigmoid)


class TaskLayout(NamedTuple):
    """
    Where the rows of a batch go when they are sorted by task and each task is padded to the same number of rows.

    :param tasks: Task of each row, shape (batch,)
    :param order: Rows in order of task, shape (batch,); ``None`` where they come so, as in a roll-out
    :param counts: Number of rows of each task
    :param n_rows: Rows of each task with padding
    :param slots: Place of each row among the (n_tasks * n_rows) padded ones, shape (batch,); ``None`` where every row
        is in its place
    """

    tasks: th.Tensor
    order: th.Tensor | None
    counts: list[int]
    n_rows: int
    slots: th.Tensor | None

    @classmethod
    def of(cls, tasks: th.Tensor, n_tasks: int) -> "TaskLayout":
        """
        :param tasks: Task of each row, shape (batch,)
        :param n_tasks: Number of tasks
        :return: The layout of this batch
        """
        order = th.argsort(tasks, stable=True)
        counts = th.bincount(tasks, minlength=n_tasks)
        sorted_tasks = tasks[order]
        rows = th.arange(len(tasks), device=tasks.device)
        place_in_task = rows - (counts.cumsum(0) - counts)[sorted_tasks]
        n_rows = int(counts.max())
        slots = th.empty_like(order)
        slots[order] = sorted_tasks * n_rows + place_in_task
        is_sorted, is_even = th.equal(order, rows), len(rows) == n_tasks * n_rows
        return cls(
            tasks, None if is_sorted else order, counts.tolist(), n_rows, None if is_sorted and is_even else slots
        )

    def rows_by_task(self) -> Sequence[slice | th.Tensor]:
        """
        :return: Indices of the rows of each task; slices, which need no copy, where they lie side by side
        """
        if self.order is None:
            return [slice(*bounds) for bounds in pairwise(accumulate(self.counts, initial=0))]
        return list(th.split(self.order, self.counts))

    def sort(self, rows: th.Tensor) -> th.Tensor:
        """
        :param rows: Rows in the order in which they came
        :return: Rows in order of task
        """
        return rows if self.order is None else rows[self.order]

    def unsort(self, sorted_rows: th.Tensor) -> th.Tensor:
        """
        Inverse of :meth:`sort`.

        :param sorted_rows: Rows in order of task
        :return: The rows in the order in which they came
        """
        return sorted_rows if self.order is None else th.empty_like(sorted_rows).index_copy(0, self.order, sorted_rows)

    def pad(self, sorted_rows: th.Tensor) -> th.Tensor:
        """
        :param sorted_rows: Rows in order of task, shape (batch, features)
        :return: The rows of each task, padded with zeros, shape (n_tasks, n_rows, features)
        """
        n_tasks = len(self.counts)
        if self.slots is not None and len(sorted_rows) < n_tasks * self.n_rows:
            padded = sorted_rows.new_zeros(n_tasks * self.n_rows, sorted_rows.shape[1])
            sorted_rows = padded.index_copy(0, self.sort(self.slots), sorted_rows)
        return sorted_rows.view(n_tasks, self.n_rows, -1)

    def unpad(self, padded: th.Tensor) -> th.Tensor:
        """
        :param padded: Rows of each task, shape (n_tasks, n_rows, features)
        :return: The rows in the order in which they came, shape (batch, features)
        """
        rows = padded.flatten(0, 1)
        return rows if self.slots is None else rows[self.slots]


class StackedLinear(nn.Module):
    """
    Linear layers of several networks as one batched product.

    :param layers: One layer a network, of equal shape
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        # Stored in the form that the product takes: views at each call cost as much as the product of a small layer.
        self.weight = nn.Parameter(th.stack([layer.weight.detach().t() for layer in layers]).contiguous())
        self.bias = nn.Parameter(th.stack([layer.bias.detach().unsqueeze(0) for layer in layers]))

    def forward(self, rows: th.Tensor) -> th.Tensor:
        """
        :param rows: Shape (n_networks, n_rows, in_features)
        :return: Shape (n_networks, n_rows, out_features)
        """
        return th.baddbmm(self.bias, rows, self.weight)


class StackedRow(nn.Module):
    """
    A vector of each of several networks, which is the same in all of its rows.

    :param vectors: One vector a network, of equal length
    """

    def __init__(self, vectors: Sequence[th.Tensor]):
        super().__init__()
        self.vector = nn.Parameter(th.stack([vector.detach() for vector in vectors]).unsqueeze(1))

    def forward(self, rows: th.Tensor) -> th.Tensor:
        """
        Append each network's vector to its rows.

        :param rows: Shape (n_networks, n_rows, features)
        :return: Shape (n_networks, n_rows, features + length of a vector)
        """
        return th.cat([rows, self.vector.expand(-1, rows.shape[1], -1)], dim=2)


class SharedModule(nn.Module):
    """
    A module without parameters: the same function for every task, applied to all rows at once.

    :param module: The module of one task
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, rows: th.Tensor) -> th.Tensor:
        """
        :param rows: Shape (n_tasks, n_rows, features)
        :return: Shape (n_tasks, n_rows, features)
        """
        return self.module(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])  # type: ignore[no-any-return]


class SeparateModules(nn.ModuleList):
    """
    Modules of any kind, one a network, each applied to its own rows: for any module, fast for large ones.

    :param modules: The modules; they are copied
    """

    def __init__(self, modules: Sequence[nn.Module]):
        super().__init__(deepcopy(module) for module in modules)

    def forward(self, rows: th.Tensor) -> th.Tensor:
        """
        :param rows: Shape (n_tasks, n_rows, features)
        :return: Shape (n_tasks, n_rows, features)
        """
        return th.stack([module(task_rows) for module, task_rows in zip(self, rows, strict=True)])


def has_state(module: nn.Module) -> bool:
    """
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


class TaskFeatures(nn.Module):
    """
    Features extractors of all tasks, and the preprocessing before them.

    :param column: The network of one task, which says how its observations are preprocessed
    :param extractors: One extractor a task; one is enough for all where it has no parameters
    """

    def __init__(self, column: ActorCriticPolicy, extractors: Sequence[nn.Module]):
        super().__init__()
        self.observation_space, self.normalize_images = column.observation_space, column.normalize_images
        self.extractors = SeparateModules(extractors if has_state(extractors[0]) else extractors[:1])

    def forward(self, observations: PyTorchObs, layout: TaskLayout) -> th.Tensor:
        """
        :param observations: Plain observations of a batch
        :param layout: Where its rows belong
        :return: Features in order of task, shape (batch, features)
        """
        if len(self.extractors) == 1:
            return layout.sort(self._extract(self.extractors[0], observations))
        # Images are preprocessed task by task, too: those of a whole roll-out do not fit into caches.
        chunks = zip(self.extractors, layout.rows_by_task(), layout.counts, strict=True)
        return th.cat([self._extract(own, select_rows(observations, rows)) for own, rows, count in chunks if count > 0])

    def _extract(self, extractor: nn.Module, observations: PyTorchObs) -> th.Tensor:
        preprocessed = preprocess_obs(observations, self.observation_space, self.normalize_images)
        return extractor(preprocessed)  # type: ignore[no-any-return]


def select_rows(observations: PyTorchObs, rows: slice | th.Tensor) -> PyTorchObs:
    """
    :param observations: A batch, of arrays or of dicts
    :param rows: Indices
    :return: Those rows
    """
    if isinstance(observations, dict):
        return {key: value[rows] for key, value in observations.items()}
    return observations[rows]


class TaskColumns(nn.Module):
    """
    The actor-critic networks of n tasks as one network.

    :param columns: The separate networks, of equal structure; their parameters are copied
    """

    features_extractor: TaskFeatures
    value_features_extractor: TaskFeatures

    def __init__(self, columns: Sequence[ActorCriticPolicy]):
        super().__init__()
        self.n_tasks = len(columns)
        self.features_extractor = TaskFeatures(columns[0], [column.pi_features_extractor for column in columns])
        self.value_features_extractor = self.features_extractor
        if not columns[0].share_features_extractor:
            self.value_features_extractor = TaskFeatures(
                columns[0], [column.vf_features_extractor for column in columns]
            )
        actors = [column.mlp_extractor.policy_net for column in columns]
        critics = [column.mlp_extractor.value_net for column in columns]
        # Actors and critics of equal shape are 2 n networks, evaluated together.
        is_shared = self.value_features_extractor is self.features_extractor
        self.paired = is_shared and has_state(actors[0]) and same_shape(actors[0], critics[0])
        self.actors = stack_modules(actors + critics if self.paired else actors)
        self.critics = nn.Identity() if self.paired else stack_modules(critics)
        self.action_net = stack_modules([column.action_net for column in columns])
        log_stds = [getattr(column, "log_std", None) for column in columns]
        # Of normal distributions whose standard deviations are free parameters.
        self.log_std = None if log_stds[0] is None else StackedRow(log_stds)  # type: ignore[arg-type]
        self.value_net = stack_modules([column.value_net for column in columns])
        self._sort_parameters()
        self._layouts: OrderedDict[int, TaskLayout] = OrderedDict()

    def forward(self, observations: PyTorchObs, tasks: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """
        :param observations: Plain observations, rows of any tasks in any order
        :param tasks: Task of each row, shape (batch,)
        :return: Outputs f about the policies, shape (batch, n_parameters), and values, shape (batch, 1)
        """
        layout = self._layout(tasks)
        features = layout.pad(self.features_extractor(observations, layout))
        is_shared = self.value_features_extractor is self.features_extractor
        value_features = features if is_shared else layout.pad(self.value_features_extractor(observations, layout))
        return self._read_out(features, value_features, layout)

    def _read_out(
        self, features: th.Tensor, value_features: th.Tensor, layout: TaskLayout
    ) -> tuple[th.Tensor, th.Tensor]:
        if self.paired:
            actor, critic = self.actors(features.repeat(2, 1, 1)).split(self.n_tasks)
        else:
            actor, critic = self.actors(features), self.critics(value_features)
        outputs = self.action_net(actor)
        if self.log_std is not None:
            outputs = self.log_std(outputs)
        return layout.unpad(outputs), layout.unpad(self.value_net(critic))

    def values(self, observations: PyTorchObs, tasks: th.Tensor) -> th.Tensor:
        """
        :param observations: Plain observations, rows of any tasks in any order
        :param tasks: Task of each row, shape (batch,)
        :return: Values, shape (batch, 1)
        """
        layout = self._layout(tasks)
        features = layout.pad(self.value_features_extractor(observations, layout))
        critic = self.actors(features.repeat(2, 1, 1))[self.n_tasks :] if self.paired else self.critics(features)
        return layout.unpad(self.value_net(critic))

    def _layout(self, tasks: th.Tensor) -> TaskLayout:
        # Steps, minibatches and single rows take turns, and the rows of each kind mostly belong to the same tasks.
        layout = self._layouts.get(len(tasks))
        if layout is None or layout.tasks.device != tasks.device or not th.equal(tasks, layout.tasks):
            layout = self._layouts[len(tasks)] = TaskLayout.of(tasks.clone(), self.n_tasks)
            if len(self._layouts) > N_LAYOUTS:
                self._layouts.popitem(last=False)
        return layout

    def copy_column(self, task: int, column: ActorCriticPolicy) -> None:
        """
        Write the parameters of one task into a separate network.

        :param task: Index of the task
        :param column: A network of the same structure
        """
        critics, critic = (self.actors, self.n_tasks + task) if self.paired else (self.critics, task)
        copy_parameters(self.features_extractor, task, column.pi_features_extractor)
        copy_parameters(self.value_features_extractor, task, column.vf_features_extractor)
        copy_parameters(self.actors, task, column.mlp_extractor.policy_net)
        copy_parameters(critics, critic, column.mlp_extractor.value_net)
        copy_parameters(self.action_net, task, column.action_net)
        copy_parameters(self.value_net, task, column.value_net)
        if self.log_std is not None:
            column.log_std.data.copy_(self.log_std.vector.data[task, 0])

    def clip_grad_norm_(self, max_norm: float) -> None:
        """
        Clip the gradient of each task by the norm of that task's gradient alone.

        :param max_norm: Largest norm, as in :func:`torch.nn.utils.clip_grad_norm_`
        """
        squares = th.zeros(self.n_tasks, device=next(self.parameters()).device)
        for parameters in self._stacked.values():
            gradients = [parameter.grad.flatten(1) for parameter in parameters if parameter.grad is not None]
            if gradients:
                norms = th.linalg.vector_norm(th.cat(gradients, dim=1), dim=1)
                squares += norms.square().view(-1, self.n_tasks).sum(dim=0)
        for task, parameter in self._separate:
            if parameter.grad is not None:
                squares[task] += parameter.grad.square().sum()
        self._scale_gradients((max_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0))

    def _scale_gradients(self, scale: th.Tensor) -> None:
        for n_networks, parameters in self._stacked.items():
            network_scale = scale.repeat(n_networks // self.n_tasks)
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(network_scale.view(-1, *[1] * (parameter.dim() - 1)))
        for task, parameter in self._separate:
            if parameter.grad is not None:
                parameter.grad.mul_(scale[task])

    def _sort_parameters(self) -> None:
        """Find once which parameters have a leading axis of networks, by its length, and which belong to one task."""
        self._stacked: dict[int, list[nn.Parameter]] = {}
        self._separate: list[tuple[int, nn.Parameter]] = []
        for module in self.modules():
            if isinstance(module, (StackedLinear, StackedRow)):
                parameters = list(module.parameters())
                self._stacked.setdefault(len(parameters[0]), []).extend(parameters)
            elif isinstance(module, SeparateModules):
                for index, own in enumerate(module):
                    self._separate += [(index % self.n_tasks, parameter) for parameter in own.parameters()]


def same_shape(first: nn.Module, second: nn.Module) -> bool:
    """
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
    elif isinstance(stacked, TaskFeatures):
        copy_parameters(stacked.extractors, index, module)
    elif isinstance(stacked, SeparateModules) and has_state(module):
        module.load_state_dict(stacked[index].state_dict())
