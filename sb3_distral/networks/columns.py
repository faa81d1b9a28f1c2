"""The actor-critic networks of n tasks as one network.

Features extractors with parameters (convolutions) stay a loop over tasks, which is faster for images on a CPU.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn
from typing_extensions import override

from sb3_distral.networks.layout import TaskLayout
from sb3_distral.networks.stacking import (
    SeparateModules,
    StackedLinear,
    StackedRow,
    copy_parameters,
    has_state,
    same_shape,
    stack_modules,
)

#: Layouts of batches that are kept, the latest of different numbers of rows
N_LAYOUTS = 4


class TaskFeatures(nn.Module):
    """
    Features extractors of all tasks, and the preprocessing before them.

    Plain observations of a batch and their layout give features in order of task, of shape (batch, features).

    :param column: The network of one task, which says how its observations are preprocessed
    :param extractors: One extractor a task; one is enough for all where it has no parameters
    """

    def __init__(self, column: ActorCriticPolicy, extractors: Sequence[nn.Module]):
        super().__init__()
        self.observation_space, self.normalize_images = column.observation_space, column.normalize_images
        self.extractors = SeparateModules(extractors if has_state(extractors[0]) else extractors[:1])

    @override
    def forward(self, observations: PyTorchObs, layout: TaskLayout) -> th.Tensor:
        if len(self.extractors) == 1:
            return layout.sort(self._extract(self.extractors[0], observations))
        # Images are preprocessed task by task, too: those of a whole roll-out do not fit into caches.
        chunks = zip(self.extractors, layout.rows_by_task(), layout.counts, strict=True)
        return th.cat([self._extract(own, select_rows(observations, rows)) for own, rows, count in chunks if count > 0])

    def all(self, observations: PyTorchObs, n_tasks: int) -> th.Tensor:
        """
        Extract the features of every row for every task.

        :param observations: Plain observations
        :param n_tasks: Number of tasks
        :return: Features, shape (n_tasks, batch, features)
        """
        features = [self._extract(own, observations) for own in self.extractors]
        return th.stack(features if len(features) == n_tasks else features * n_tasks)

    def _extract(self, extractor: nn.Module, observations: PyTorchObs) -> th.Tensor:
        preprocessed = preprocess_obs(observations, self.observation_space, self.normalize_images)
        return extractor(preprocessed)  # type: ignore[no-any-return]


def select_rows(observations: PyTorchObs, rows: slice | th.Tensor) -> PyTorchObs:
    """
    Take some rows of a batch.

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

    Plain observations, rows of any tasks in any order, and the task of each row, of shape (batch,), give outputs f of
    the policies, of shape (batch, n_parameters), and values, of shape (batch, 1).

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

    @override
    def forward(self, observations: PyTorchObs, tasks: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        layout = self._layout(tasks)
        features = layout.pad(self.features_extractor(observations, layout))
        is_shared = self.value_features_extractor is self.features_extractor
        value_features = features if is_shared else layout.pad(self.value_features_extractor(observations, layout))
        return self._read_out(features, value_features, layout)

    def all(self, observations: PyTorchObs) -> tuple[th.Tensor, th.Tensor]:
        """
        Evaluate every network on every row.

        :param observations: Plain observations
        :return: Outputs f, shape (n_tasks, batch, n_parameters), and values, shape (n_tasks, batch, 1)
        """
        features = self.features_extractor.all(observations, self.n_tasks)
        is_shared = self.value_features_extractor is self.features_extractor
        return self._outputs(
            features, features if is_shared else self.value_features_extractor.all(observations, self.n_tasks)
        )

    def _read_out(
        self, features: th.Tensor, value_features: th.Tensor, layout: TaskLayout
    ) -> tuple[th.Tensor, th.Tensor]:
        outputs, values = self._outputs(features, value_features)
        return layout.unpad(outputs), layout.unpad(values)

    def _outputs(self, features: th.Tensor, value_features: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        if self.paired:
            actor, critic = self.actors(features.repeat(2, 1, 1)).split(self.n_tasks)
        else:
            actor, critic = self.actors(features), self.critics(value_features)
        outputs = self.action_net(actor)
        if self.log_std is not None:
            outputs = self.log_std(outputs)
        return outputs, self.value_net(critic)

    def values(self, observations: PyTorchObs, tasks: th.Tensor) -> th.Tensor:
        """
        Evaluate the value of each row in its task.

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
        copy_parameters(self.features_extractor.extractors, task, column.pi_features_extractor)
        copy_parameters(self.value_features_extractor.extractors, task, column.vf_features_extractor)
        copy_parameters(self.actors, task, column.mlp_extractor.policy_net)
        copy_parameters(critics, critic, column.mlp_extractor.value_net)
        copy_parameters(self.action_net, task, column.action_net)
        copy_parameters(self.value_net, task, column.value_net)
        if self.log_std is not None:
            column.log_std.data.copy_(self.log_std.vector.data[task, 0])

    def clip_grad_norm_(self, max_norm: float) -> th.Tensor:
        """
        Clip the gradient of each task by the norm of that task's gradient alone.

        :param max_norm: Largest norm, as in :func:`torch.nn.utils.clip_grad_norm_`
        :return: The norms before, shape (n_tasks,)
        """
        squares = th.zeros(self.n_tasks, device=next(self.parameters()).device)
        for parameters in self.stacked.values():
            gradients = [parameter.grad.flatten(1) for parameter in parameters if parameter.grad is not None]
            if gradients:
                norms = th.linalg.vector_norm(th.cat(gradients, dim=1), dim=1)
                squares += norms.square().view(-1, self.n_tasks).sum(dim=0)
        for task, parameter in self.separate:
            if parameter.grad is not None:
                squares[task] += parameter.grad.square().sum()
        norms = squares.sqrt()
        self._scale_gradients((max_norm / (norms + 1e-6)).clamp(max=1.0))
        return norms

    def _scale_gradients(self, scale: th.Tensor) -> None:
        for n_networks, parameters in self.stacked.items():
            network_scale = scale.repeat(n_networks // self.n_tasks)
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(network_scale.view(-1, *[1] * (parameter.dim() - 1)))
        for task, parameter in self.separate:
            if parameter.grad is not None:
                parameter.grad.mul_(scale[task])

    def _sort_parameters(self) -> None:
        """Find once which parameters have a leading axis of networks, by its length, and which belong to one task."""
        self.stacked: dict[int, list[nn.Parameter]] = {}
        self.separate: list[tuple[int, nn.Parameter]] = []
        for module in self.modules():
            if isinstance(module, (StackedLinear, StackedRow)):
                parameters = list(module.parameters())
                self.stacked.setdefault(len(parameters[0]), []).extend(parameters)
            elif isinstance(module, SeparateModules):
                for index, own in enumerate(module):
                    self.separate += [(index % self.n_tasks, parameter) for parameter in own.parameters()]
