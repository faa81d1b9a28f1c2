"""The columns of all policies: one distilled policy or several and n task columns, how they are made and begin."""

from collections.abc import Sequence
from inspect import signature
from typing import Any, ClassVar

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from typing_extensions import override

from sb3_distral.envs.task_id import keys_in, plain_space
from sb3_distral.method.choices import TaskMask
from sb3_distral.method.families import make_family
from sb3_distral.networks.columns import TaskColumns
from sb3_distral.networks.heads import Column
from sb3_distral.networks.view import View, Visible, check_blind, parse_view
from sb3_distral.policies.bank import DistilledBank
from sb3_distral.policies.checks import check_arguments, check_bank, check_rehearsal
from sb3_distral.policies.evaluation import Architecture
from sb3_distral.policies.start import check_same_networks, silence


class PolicyColumns(BasePolicy):
    """
    The columns of π0 and of the policies πi of n tasks, and their optimizer.

    What πi is made of is the architecture, see :class:`~sb3_distral.policies.DistralPolicy`, which acts with them. Its
    arguments are these.

    :param observation_space: Space of observations with a task, see :mod:`sb3_distral.envs.task_id`
    :param action_space: Action space, one that :func:`~sb3_distral.method.families.make_family` takes
    :param lr_schedule: Learning rate schedule
    :param use_sde: Not supported, must be ``False``
    :param architecture: What the task policies are made of
    :param distilled_weight: Weight of π0 in two columns; the algorithm sets α where it is ``None``
    :param n_distilled: Number k of distilled policies. With several of them πi ∝ Πz π0^z^(α q_iz) exp(f), where q_iz is
        the responsibility of each for the task, see :mod:`sb3_distral.method.mixture`
    :param distilled_view: What π0 may see, see :func:`~sb3_distral.networks.view.parse_view`; the task columns see all
    :param task_masks: Fixed mask of each task, for observations without ``action_mask``; the algorithm sets them
    :param column_kwargs: Arguments of every column: ``net_arch``, ``activation_fn``, ``features_extractor_class``,
        ``log_std_init``, …, and ``state_dependent_std`` for Box actions: whether standard deviations are outputs of the
        networks (by default they are free parameters of each column, as in Stable-Baselines3)
    :raises UsageError: If the architecture is unknown, the weight is none or the actions cannot be taken
    """

    is_recurrent: ClassVar[bool] = False
    column_class: ClassVar[type[ActorCriticPolicy]] = Column
    task_columns_class: ClassVar[type[TaskColumns]] = TaskColumns
    observation_space: spaces.Dict
    #: Name of each task, for messages; the algorithm sets them
    task_names: Sequence[str] | None = None
    distilled_weights: th.Tensor

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        architecture: Architecture = "two_columns",
        distilled_weight: float | None = None,
        n_distilled: int = 1,
        distilled_view: Visible | None = None,
        task_masks: Sequence[TaskMask] | None = None,
        **column_kwargs: Any,
    ):
        check_arguments(architecture, distilled_weight, use_sde)
        check_bank(n_distilled, architecture, self.is_recurrent, distilled_weight)
        super().__init__(observation_space, action_space)
        self.family = make_family(action_space, column_kwargs.get("state_dependent_std", False))
        self.architecture = architecture
        self.distilled_weight = distilled_weight
        self.column_kwargs = column_kwargs
        self.plain_observation_space = plain_space(observation_space)
        self.n_distilled = n_distilled
        self.distilled_view = parse_view(distilled_view, self.plain_observation_space)
        self.task_keys = keys_in(observation_space.spaces)
        self.n_tasks = int(observation_space[self.task_keys.task].n)  # type: ignore[attr-defined]
        initial_weight = 0.0 if distilled_weight is None else distilled_weight
        self.register_buffer("distilled_weights", th.full((self.n_tasks,), initial_weight))
        self._build(lr_schedule)
        self.set_task_masks(task_masks)
        # The masks of a call of predict, which hold all that is known.
        self._predict_mask: th.Tensor | None = None

    def _build(self, lr_schedule: Schedule) -> None:
        # Task columns first: the first task then starts from the weights that A2C has with the same seed.
        self.task_columns: TaskColumns | None = None
        if self.architecture != "shared":
            self.task_columns = self.task_columns_class([self._make_column(lr_schedule) for _ in range(self.n_tasks)])
        distilled = [self._make_column(lr_schedule, self.distilled_view) for _ in range(self.n_distilled)]
        self.bank: DistilledBank | None = None
        if self.n_distilled == 1:
            self.distilled_policy = distilled[0]
        else:
            self.bank = DistilledBank(distilled, self.family, self.n_tasks)
        #: π0 as it was before the tasks changed, for rehearsal; it does not learn
        self.former_distilled_policy: ActorCriticPolicy | None = None
        self.optimizer_class, self.optimizer_kwargs = distilled[0].optimizer_class, distilled[0].optimizer_kwargs
        self.optimizer = self.make_optimizer(lr_schedule(1))

    @property
    def distilled_columns(self) -> nn.Module:
        """The distilled policy, or the networks of several as one."""
        return self.distilled_policy if self.bank is None else self.bank.columns

    def make_optimizer(self, learning_rate: float) -> th.optim.Optimizer:
        """
        Make an optimizer that knows nothing yet, of all columns that learn.

        :param learning_rate: Learning rate
        :return: The optimizer
        """
        options = dict(self.optimizer_kwargs)
        if "foreach" in signature(self.optimizer_class).parameters and "fused" not in options:
            # The same arithmetic in fewer calls: columns have many small parameters.
            options.setdefault("foreach", True)
        learning = [columns for columns in (self.task_columns, self.distilled_columns) if columns is not None]
        parameters = [parameter for columns in learning for parameter in columns.parameters()]
        return self.optimizer_class(parameters, lr=learning_rate, **options)  # type: ignore[call-arg]

    def _make_column(self, lr_schedule: Schedule, view: View | None = None) -> ActorCriticPolicy:
        arguments: Any = (self.plain_observation_space, self.action_space, lr_schedule)
        kwargs = self.column_kwargs if view is None else {**self.column_kwargs, "view": view}
        return self.column_class(*arguments, **kwargs)

    def start_from(self, distilled_policy: ActorCriticPolicy) -> None:
        """
        Begin with the distilled policy of another model: every task policy is that one then.

        With two columns (weighed 1) it is up to what :meth:`~sb3_distral.method.families.Family.neutral` adds. Task
        columns begin with what the distilled network sees in its observations.

        :param distilled_policy: π0 of another model, of the same spaces and networks
        :raises UsageError: If its networks are of other shapes, or no task column would act as it does
        """
        check_same_networks(distilled_policy, self.distilled_policy)
        self.distilled_policy.load_state_dict(distilled_policy.state_dict())
        if self.task_columns is not None:
            column = self.column_like(distilled_policy)
            self.task_columns.load_state_dict(self.task_columns_class([column] * self.n_tasks).state_dict())

    def column_like(self, distilled_policy: ActorCriticPolicy) -> ActorCriticPolicy:
        """
        Make the column of a task that begins with a distilled policy.

        :param distilled_policy: A policy of the same networks
        :return: A separate network: that policy, or in two columns one that adds nothing to it
        :raises UsageError: If it shall be that policy, which sees a part and learned its features from it
        """
        column = self._copy_column(distilled_policy)
        if self.architecture == "two_columns":
            silence(column, self.family.neutral())
        else:
            check_blind(distilled_policy)
        return column

    def _copy_column(self, column: ActorCriticPolicy, view: View | None = None) -> ActorCriticPolicy:
        # Initial weights are overwritten at once: drawing them must not move the generators of a training.
        with th.random.fork_rng():
            copy = self._make_column(self._dummy_schedule, view)
        copy.load_state_dict(column.state_dict())
        return copy

    def copy_distilled(self) -> list[ActorCriticPolicy]:
        """
        Copy each distilled policy as it is now.

        :return: Policies on plain observations
        """
        if self.bank is None:
            return [self._copy_column(self.distilled_policy, self.distilled_view).to(self.device)]
        with th.random.fork_rng():
            copies = [self._make_column(self._dummy_schedule, self.distilled_view) for _ in range(self.n_distilled)]
        for index, column in enumerate(copies):
            self.bank.columns.copy_column(index, column)
        return [column.to(self.device) for column in copies]

    def keep_former(self, wanted: bool = True) -> None:
        """
        Keep a copy of π0 as it is now, in place of one that may be there.

        :param wanted: Whether there is to be a copy at all
        :raises UsageError: If it is, and there are several distilled policies
        """
        if wanted:
            check_rehearsal(self.n_distilled)
        self.former_distilled_policy = None
        if wanted:
            self.former_distilled_policy = self.copy_distilled()[0].requires_grad_(False)

    @override
    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        # Whether there is a former π0 is a part of the state.
        self.keep_former(any(name.startswith("former_distilled_policy.") for name in state_dict))
        return super().load_state_dict(state_dict, *args, **kwargs)

    def clip_grad_norm_(self, max_norm: float) -> th.Tensor:
        """
        Clip the gradient of each column by its own norm, so that no task's rewards shrink the step of another.

        :param max_norm: Largest norm, as in :func:`torch.nn.utils.clip_grad_norm_`
        :return: The norms before, those of the distilled policies, then those of the task columns
        """
        if self.bank is not None:
            distilled = self.bank.columns.clip_grad_norm_(max_norm)
        else:
            distilled = th.nn.utils.clip_grad_norm_(self.distilled_policy.parameters(), max_norm).reshape(1)
        return (
            distilled if self.task_columns is None else th.cat([distilled, self.task_columns.clip_grad_norm_(max_norm)])
        )

    def set_distilled_weights(self, weights: th.Tensor) -> None:
        """
        Follow α, unless the weight of π0 was given.

        :param weights: α of each task, shape (n_tasks,)
        """
        if self.distilled_weight is None:
            self.distilled_weights.copy_(weights)

    def set_task_masks(self, masks: Sequence[TaskMask] | None) -> None:
        """
        Follow the masks of the environment.

        :param masks: Fixed mask of each task; ``None``: there are none
        """
        self.task_masks = None if masks is None else [TaskMask(*mask) for mask in masks]

    @override
    def _get_constructor_parameters(self) -> dict[str, Any]:
        return dict(
            self.column_kwargs,
            observation_space=self.observation_space,
            action_space=self.action_space,
            lr_schedule=self._dummy_schedule,
            architecture=self.architecture,
            distilled_weight=self.distilled_weight,
            n_distilled=self.n_distilled,
            distilled_view=self.distilled_view,
            task_masks=self.task_masks,
        )
