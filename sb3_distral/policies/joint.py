"""The columns of all policies: one distilled policy or several, n task columns, and what they say about a batch."""

from collections.abc import Sequence
from contextlib import nullcontext
from inspect import signature
from typing import Any, ClassVar

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from typing_extensions import override

from sb3_distral.envs.task_id import MASK_KEY, TASK_KEY, plain_observation, plain_space
from sb3_distral.method.choices import TaskMask
from sb3_distral.method.families import make_family
from sb3_distral.networks.columns import TaskColumns
from sb3_distral.networks.heads import Column, evaluate_actor, evaluate_column
from sb3_distral.networks.view import View, Visible, check_blind, parse_view
from sb3_distral.policies.bank import DistilledBank
from sb3_distral.policies.checks import check_arguments, check_bank
from sb3_distral.policies.evaluation import Architecture, Evaluation, Prior
from sb3_distral.policies.start import check_same_networks, silence


class JointPolicy(BasePolicy):
    """
    The columns of π0 and of the policies πi of n tasks, evaluated together on observations that name the task.

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
        check_bank(n_distilled, architecture, self.is_recurrent)
        super().__init__(observation_space, action_space)
        self.family = make_family(action_space, column_kwargs.get("state_dependent_std", False))
        self.architecture = architecture
        self.distilled_weight = distilled_weight
        self.column_kwargs = column_kwargs
        self.plain_observation_space = plain_space(observation_space)
        self.n_distilled = n_distilled
        self.distilled_view = parse_view(distilled_view, self.plain_observation_space)
        self.n_tasks = int(observation_space[TASK_KEY].n)  # type: ignore[attr-defined]
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
        self._make_optimizer(distilled[0], lr_schedule)

    def _make_optimizer(self, column: ActorCriticPolicy, lr_schedule: Schedule) -> None:
        self.optimizer_class, self.optimizer_kwargs = column.optimizer_class, column.optimizer_kwargs
        options = dict(self.optimizer_kwargs)
        if "foreach" in signature(self.optimizer_class).parameters and "fused" not in options:
            # The same arithmetic in fewer calls: columns have many small parameters.
            options.setdefault("foreach", True)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **options)  # type: ignore[call-arg]

    def _make_column(self, lr_schedule: Schedule, view: View | None = None) -> ActorCriticPolicy:
        arguments: Any = (self.plain_observation_space, self.action_space, lr_schedule)
        kwargs = self.column_kwargs if view is None else {**self.column_kwargs, "view": view}
        return self.column_class(*arguments, **kwargs)

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

    def start_from(self, distilled_policy: ActorCriticPolicy) -> None:
        """
        Begin with the distilled policy of another model: every task policy is that one then.

        With two columns (weighed 1) it is up to what :meth:`~sb3_distral.method.families.Family.neutral` adds. Task
        columns begin with what the distilled network sees in its observations.

        :param distilled_policy: π0 of another model, of the same spaces and networks
        :raises UsageError: If its networks are of other shapes
        """
        check_same_networks(distilled_policy, self.distilled_policy)
        self.distilled_policy.load_state_dict(distilled_policy.state_dict())
        if self.task_columns is not None:
            with th.random.fork_rng():
                column = self._make_column(self._dummy_schedule)
            column.load_state_dict(distilled_policy.state_dict())
            if self.architecture == "two_columns":
                silence(column, self.family.neutral())
            else:
                check_blind(distilled_policy)
            self.task_columns.load_state_dict(self.task_columns_class([column] * self.n_tasks).state_dict())

    def split(self, obs: dict[str, th.Tensor]) -> tuple[PyTorchObs, th.Tensor]:
        """
        Take the task out of observations.

        :param obs: A batch of observations with a task
        :return: Plain observations, and the task of each row, shape (batch,)
        """
        return plain_observation(obs), obs[TASK_KEY].long().flatten()

    def mask(self, obs: dict[str, th.Tensor]) -> th.Tensor | None:
        """
        Take the mask of actions out of observations.

        :param obs: A batch of observations with a task
        :return: Whether each choice is valid, shape (batch, n_parameters); ``None`` where there is no mask
        """
        if self._predict_mask is not None:
            return self._predict_mask
        if self.task_masks is None or MASK_KEY in obs:
            return obs.get(MASK_KEY)
        tasks = obs[TASK_KEY].long().flatten()
        return th.tensor([mask.valid for mask in self.task_masks], device=tasks.device)[tasks]

    def evaluate(
        self,
        obs: dict[str, th.Tensor],
        memory: Any = None,
        *,
        distilled: bool = False,
        distilled_values: bool = False,
        distilled_gradient: bool = True,
    ) -> Evaluation:
        """
        Evaluate the policy of each row's task, and π0 where it is asked for or a part of the task policies.

        :param obs: A batch of observations with a task
        :param memory: What recurrent columns remember; these have none
        :param distilled: Whether π0 is wanted although the task policies do not contain it
        :param distilled_values: Whether V0 is wanted too
        :param distilled_gradient: Whether gradients reach π0
        :return: Policies and values
        """
        plain, tasks = self.split(obs)
        mask = self.mask(obs)
        if self.task_columns is None:
            parameters, values = self.evaluate_distilled(plain, memory, mask)
            return Evaluation(tasks, parameters, parameters, values)
        outputs, values = self._evaluate_task_columns(plain, tasks, memory)
        prior = Prior()
        if distilled or distilled_values or self.architecture == "two_columns":
            with nullcontext() if distilled_gradient else th.no_grad():
                prior = self._evaluate_prior(plain, tasks, memory, mask, distilled_values)
        if self.architecture == "one_column":
            parameters = self.family.canonical(outputs)
        else:
            assert prior.parameters is not None
            parameters = self.family.combine(prior.parameters, outputs, self.distilled_weights[tasks].unsqueeze(1))
        return Evaluation(
            tasks,
            self._restrict(parameters, mask),
            prior.parameters,
            values,
            prior.values,
            prior.log_normalizer,
            prior.components,
        )

    def _evaluate_prior(
        self, plain: PyTorchObs, tasks: th.Tensor, memory: Any, mask: th.Tensor | None, with_values: bool
    ) -> Prior:
        if self.bank is not None:
            return self.bank.evaluate(plain, tasks, mask)
        if with_values:
            return Prior(*self.evaluate_distilled(plain, memory, mask))
        return Prior(self._evaluate_distilled_actor(plain, memory, mask))

    def evaluate_distilled(
        self, plain: PyTorchObs, memory: Any = None, mask: th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor]:
        """
        Evaluate π0 and its value.

        :param plain: A batch of plain observations
        :param memory: What recurrent columns remember
        :param mask: Whether each choice is valid, shape (batch, n_parameters); ``None``: all are
        :return: Parameters of π0(·|s), shape (batch, n_parameters), and V0(s), shape (batch, 1)
        """
        outputs, values = self._run_distilled(plain, memory)
        return self._restrict(self.family.canonical(outputs), mask), values

    def _evaluate_distilled_actor(self, plain: PyTorchObs, memory: Any, mask: th.Tensor | None) -> th.Tensor:
        outputs = evaluate_actor(self.distilled_policy, plain)
        return self._restrict(self.family.canonical(outputs), mask)

    def _run_distilled(self, plain: PyTorchObs, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        return evaluate_column(self.distilled_policy, plain)

    def _evaluate_task_columns(self, plain: Any, tasks: th.Tensor, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        assert self.task_columns is not None
        outputs, values = self.task_columns(plain, tasks)
        return outputs, values

    def _restrict(self, parameters: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
        return parameters if mask is None else self.family.restrict(parameters, mask)

    def clip_grad_norm_(self, max_norm: float) -> None:
        """
        Clip the gradient of each column by its own norm, so that no task's rewards shrink the step of another.

        :param max_norm: Largest norm, as in :func:`torch.nn.utils.clip_grad_norm_`
        """
        if self.bank is not None:
            self.bank.columns.clip_grad_norm_(max_norm)
        else:
            th.nn.utils.clip_grad_norm_(self.distilled_policy.parameters(), max_norm)
        if self.task_columns is not None:
            self.task_columns.clip_grad_norm_(max_norm)

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
