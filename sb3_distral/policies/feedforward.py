"""The policies of Distral: one distilled column, n task columns, and what each task's policy is made of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from inspect import signature
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from typing_extensions import override

from sb3_distral.envs.task_id import MASK_KEY, TASK_KEY, plain_observation, plain_space
from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask, narrow, unmasked
from sb3_distral.method.families import make_family
from sb3_distral.networks.columns import TaskColumns
from sb3_distral.networks.distributions import distribution_of
from sb3_distral.networks.heads import (
    CnnColumn,
    Column,
    Maskable,
    MultiInputColumn,
    evaluate_actor,
    evaluate_column,
)
from sb3_distral.policies.task_policy import TaskPolicy

Architecture = Literal["shared", "one_column", "two_columns"]


class Evaluation(NamedTuple):
    """
    Policies and values on a batch of observations.

    :param tasks: Task of each row, shape (batch,)
    :param task_parameters: Parameters of πi(·|s), shape (batch, n_parameters)
    :param distilled_parameters: Parameters of π0(·|s), shape (batch, n_parameters), ``None`` where nothing needs them
    :param values: Vi(s), shape (batch, 1)
    :param distilled_values: V0(s), shape (batch, 1), ``None`` where nothing needs them
    :param former_parameters: Parameters of the π0 before the tasks changed, likewise
    """

    tasks: th.Tensor
    task_parameters: th.Tensor
    distilled_parameters: th.Tensor | None
    values: th.Tensor
    distilled_values: th.Tensor | None = None
    former_parameters: th.Tensor | None = None


class ActionStep(NamedTuple):
    r"""
    What the forward pass that chose the actions says about them.

    :param actions: Actions taken, shape (batch, \*action_space.shape)
    :param task_log_prob: log πi(a|s), shape (batch,)
    :param distilled_log_prob: log π0(a|s), shape (batch,), ``None`` where nothing needs it
    """

    actions: th.Tensor
    task_log_prob: th.Tensor
    distilled_log_prob: th.Tensor | None


class DistralPolicy(BasePolicy):
    """
    One distilled column π0 and a policy πi for each of n tasks, on observations that name the task.

    With a ``task`` in the observation it acts as that task's policy, without as π0. π0 is a plain Stable-Baselines3
    policy on the plain observation. What πi is made of is the architecture, a column of Table 1:

    - ``"shared"``: πi = π0, one network for all tasks;
    - ``"one_column"``: πi from a network for each task;
    - ``"two_columns"``: πi ∝ π0^α exp(f), the distilled network and one for each task (8).

    Each task's value comes from its own column (from the shared network where that is all there is).

    :param observation_space: Space of observations with a task, see :mod:`sb3_distral.envs.task_id`
    :param action_space: Action space, one that :func:`~sb3_distral.method.families.make_family` takes
    :param lr_schedule: Learning rate schedule
    :param use_sde: Not supported, must be ``False``
    :param architecture: What the task policies are made of
    :param distilled_weight: Weight of π0 in two columns; the algorithm sets α where it is ``None``
    :param task_masks: Fixed mask of each task, for observations without ``action_mask``; the algorithm sets them
    :param column_kwargs: Arguments of every column: ``net_arch``, ``activation_fn``, ``features_extractor_class``,
        ``log_std_init``, …, and ``state_dependent_std`` for Box actions: whether standard deviations are outputs of the
        networks (by default they are free parameters of each column, as in Stable-Baselines3)
    :raises UsageError: If the architecture is unknown, the weight is none or the actions cannot be taken
    """

    is_recurrent: ClassVar[bool] = False
    column_class: ClassVar[type[ActorCriticPolicy]] = Column
    task_columns_class: ClassVar[type[TaskColumns]] = TaskColumns
    task_policy_class: ClassVar[type[TaskPolicy]] = TaskPolicy
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
        task_masks: Sequence[TaskMask] | None = None,
        **column_kwargs: Any,
    ):
        check_arguments(architecture, distilled_weight, use_sde)
        super().__init__(observation_space, action_space)
        self.family = make_family(action_space, column_kwargs.get("state_dependent_std", False))
        self.architecture = architecture
        self.distilled_weight = distilled_weight
        self.column_kwargs = column_kwargs
        self.plain_observation_space = plain_space(observation_space)
        self.n_tasks = int(observation_space[TASK_KEY].n)  # type: ignore[attr-defined]
        initial_weight = 0.0 if distilled_weight is None else distilled_weight
        self.register_buffer("distilled_weights", th.full((self.n_tasks,), initial_weight))
        self._build(lr_schedule)
        self.set_task_masks(task_masks)
        # The masks of a call of predict, which hold all that is known.
        self._predict_mask: th.Tensor | None = None
        # Algorithms that need nothing of π0 in a roll-out switch this off.
        self.evaluates_distilled = True
        self.last_step: ActionStep | None = None

    def _build(self, lr_schedule: Schedule) -> None:
        # Task columns first: the first task then starts from the weights that A2C has with the same seed.
        self.task_columns: TaskColumns | None = None
        if self.architecture != "shared":
            self.task_columns = self.task_columns_class([self._make_column(lr_schedule) for _ in range(self.n_tasks)])
        self.distilled_policy = self._make_column(lr_schedule)
        #: π0 as it was before the tasks changed, for rehearsal; it does not learn
        self.former_distilled_policy: ActorCriticPolicy | None = None
        self.optimizer_class = self.distilled_policy.optimizer_class
        self.optimizer_kwargs = self.distilled_policy.optimizer_kwargs
        self.optimizer = self.make_optimizer(lr_schedule(1))

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
        learning = [column for column in (self.task_columns, self.distilled_policy) if column is not None]
        parameters = [parameter for column in learning for parameter in column.parameters()]
        return self.optimizer_class(parameters, lr=learning_rate, **options)  # type: ignore[call-arg]

    def _make_column(self, lr_schedule: Schedule) -> ActorCriticPolicy:
        arguments: Any = (self.plain_observation_space, self.action_space, lr_schedule)
        return self.column_class(*arguments, **self.column_kwargs)

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
            column = self.column_like(distilled_policy)
            self.task_columns.load_state_dict(self.task_columns_class([column] * self.n_tasks).state_dict())

    def column_like(self, distilled_policy: ActorCriticPolicy) -> ActorCriticPolicy:
        """
        Make the column of a task that begins with a distilled policy.

        :param distilled_policy: A policy of the same networks
        :return: A separate network: that policy, or in two columns one that adds nothing to it
        """
        column = self._copy_column(distilled_policy)
        if self.architecture == "two_columns":
            silence(column, self.family.neutral())
        return column

    def _copy_column(self, column: ActorCriticPolicy) -> ActorCriticPolicy:
        with th.random.fork_rng():
            copy = self._make_column(self._dummy_schedule)
        copy.load_state_dict(column.state_dict())
        return copy

    def keep_former(self, wanted: bool = True) -> None:
        """
        Keep a copy of π0 as it is now, in place of one that may be there.

        :param wanted: Whether there is to be a copy at all
        """
        self.former_distilled_policy = None
        if wanted:
            copy = self._copy_column(self.distilled_policy).to(self.device)
            self.former_distilled_policy = copy.requires_grad_(False)

    @override
    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        # Whether there is a former π0 is a part of the state.
        self.keep_former(any(name.startswith("former_distilled_policy.") for name in state_dict))
        return super().load_state_dict(state_dict, *args, **kwargs)

    def task_policy(self, task: int) -> BasePolicy:
        """
        Copy one task's policy as it is now.

        :param task: Index of the task
        :return: A Stable-Baselines3 policy on plain observations, among the actions that the task's fixed mask leaves;
            its ``predict`` takes ``action_masks``
        :raises UsageError: If the task has a mask, which columns of this class cannot have
        """
        # Initial weights are overwritten at once: drawing them must not move the generators of a training.
        with th.random.fork_rng():
            if self.architecture == "two_columns":
                policy: Any = self.task_policy_class(
                    self.plain_observation_space,
                    self.action_space,
                    self.column_class,
                    self.column_kwargs,
                    float(self.distilled_weights[task]),
                )
                policy.distilled_policy.load_state_dict(self.distilled_policy.state_dict())
                column = policy.task_column
            else:
                policy = column = self._make_column(self._dummy_schedule)
        if self.task_columns is None:
            column.load_state_dict(self.distilled_policy.state_dict())
        else:
            self.task_columns.copy_column(task, column)
        if self.task_masks is not None and not all(self.task_masks[task].valid):
            check_maskable(policy)
            policy.set_task_mask(self.task_masks[task])
        return policy.to(self.device)  # type: ignore[no-any-return]

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
        former: bool = False,
    ) -> Evaluation:
        """
        Evaluate the policy of each row's task, and π0 where it is asked for or a part of the task policies.

        :param obs: A batch of observations with a task
        :param memory: What recurrent columns remember; these have none
        :param distilled: Whether π0 is wanted although the task policies do not contain it
        :param distilled_values: Whether V0 is wanted too
        :param distilled_gradient: Whether gradients reach π0
        :param former: Whether the π0 before the tasks changed is wanted, where there is one
        :return: Policies and values
        """
        plain, tasks = self.split(obs)
        mask = self.mask(obs)
        former_parameters = self._evaluate_former(plain, memory, mask) if former else None
        if self.task_columns is None:
            parameters, values = self.evaluate_distilled(plain, memory, mask)
            return Evaluation(tasks, parameters, parameters, values, former_parameters=former_parameters)
        outputs, values = self._evaluate_task_columns(plain, tasks, memory)
        prior = distilled_value = None
        if distilled or distilled_values or self.architecture == "two_columns":
            with nullcontext() if distilled_gradient else th.no_grad():
                if distilled_values:
                    prior, distilled_value = self.evaluate_distilled(plain, memory, mask)
                else:
                    prior = self._evaluate_distilled_actor(plain, memory, mask)
        if self.architecture == "one_column":
            parameters = self.family.canonical(outputs)
        else:
            assert prior is not None
            parameters = self.family.combine(prior, outputs, self.distilled_weights[tasks].unsqueeze(1))
        parameters = self._restrict(parameters, mask)
        return Evaluation(tasks, parameters, prior, values, distilled_value, former_parameters)

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

    def _evaluate_former(self, plain: PyTorchObs, memory: Any, mask: th.Tensor | None) -> th.Tensor | None:
        if self.former_distilled_policy is None:
            return None
        with th.no_grad():
            outputs = self._run_former(self.former_distilled_policy, plain, memory)
            return self._restrict(self.family.canonical(outputs), mask)

    def _run_former(self, former: ActorCriticPolicy, plain: PyTorchObs, memory: Any) -> th.Tensor:
        return evaluate_actor(former, plain)

    def _run_distilled(self, plain: PyTorchObs, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        return evaluate_column(self.distilled_policy, plain)

    def _evaluate_task_columns(self, plain: Any, tasks: th.Tensor, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        assert self.task_columns is not None
        outputs, values = self.task_columns(plain, tasks)
        return outputs, values

    def _restrict(self, parameters: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
        return parameters if mask is None else self.family.restrict(parameters, mask)

    @override
    def forward(self, obs: dict[str, th.Tensor], deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        return self._act(obs, deterministic)

    def _act(
        self, obs: dict[str, th.Tensor], deterministic: bool, memory: Any = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """
        Choose actions, as :class:`ActorCriticPolicy` does, and keep what is to be known about them in ``last_step``.

        :param obs: A batch of observations with a task
        :param deterministic: Whether to take the likeliest action
        :param memory: What recurrent columns remember
        :return: Actions (batch, ...), values (batch, 1) and log-probabilities of the actions (batch,)
        """
        # What remembers has to see every step.
        evaluation = self.evaluate(obs, memory, distilled=self.evaluates_distilled, former=self.is_recurrent)
        family, parameters, prior = self.family, evaluation.task_parameters, evaluation.distilled_parameters
        check_finite(parameters, evaluation.tasks)
        rows = family.mode(parameters) if deterministic else family.sample(parameters)
        log_prob = family.log_prob(parameters, rows)
        distilled_log_prob = None
        if self.evaluates_distilled and prior is not None:
            distilled_log_prob = log_prob if prior is parameters else family.log_prob(prior, rows)
        actions = rows.reshape(-1, *self.action_space.shape)  # type: ignore[misc]
        self.last_step = ActionStep(actions, log_prob, distilled_log_prob)
        return actions, evaluation.values, log_prob

    def evaluate_actions(self, obs: dict[str, th.Tensor], actions: th.Tensor) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """
        Evaluate actions, as :meth:`ActorCriticPolicy.evaluate_actions` does.

        :param obs: A batch of observations with a task
        :param actions: Actions, shape (batch,) or (batch, n_dimensions)
        :return: Values (batch, 1), log-probabilities of the actions (batch,) and entropies (batch,)
        """
        evaluation = self.evaluate(obs)
        parameters = evaluation.task_parameters
        return evaluation.values, self.family.log_prob(parameters, actions), self.family.entropy(parameters)

    def get_distribution(self, obs: dict[str, th.Tensor]) -> Distribution:
        """
        Distribution of the actions in a batch of states.

        :param obs: A batch of observations with a task
        :return: The action distributions of the rows' tasks
        """
        return distribution_of(self.evaluate(obs).task_parameters, self.action_space)

    def predict_values(self, obs: dict[str, th.Tensor]) -> th.Tensor:
        """
        Value of a batch of states in the rows' tasks, regularised returns included.

        :param obs: A batch of observations with a task
        :return: Vi(s), shape (batch, 1)
        """
        plain, tasks = self.split(obs)
        if self.task_columns is None:
            return self.distilled_policy.predict_values(plain)
        return self.task_columns.values(plain, tasks)

    @override
    def predict(self, observation: Any, *args: Any, action_masks: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        if not (isinstance(observation, dict) and TASK_KEY in observation):
            masks: dict[str, Any] = {} if action_masks is None else {"action_masks": action_masks}
            return self.distilled_policy.predict(observation, *args, **(kwargs | masks))
        tasks = np.asarray(observation[TASK_KEY]).ravel()
        if tasks.min() < 0 or tasks.max() >= self.n_tasks:
            raise UsageError(
                f"The observation names the tasks {tasks.tolist()}; expected integers below {self.n_tasks}."
            )
        with self._masked(tasks, [observation.get(MASK_KEY), action_masks]):
            return self._predict_task(observation, *args, **kwargs)

    @contextmanager
    def _masked(self, tasks: np.ndarray, given: Sequence[Any]) -> Iterator[None]:
        """
        Hold the masks of rows while actions are chosen.

        :param tasks: Task of each row, shape (batch,)
        :param given: Masks that hold beside those of the tasks, each for all rows, for each row or ``None``
        :raises UsageError: If one does not fit the actions, or no action is left
        """
        given = [masks for masks in given if masks is not None]
        if given:
            task_masks = self.task_masks or [unmasked(self.action_space)] * self.n_tasks
            narrowed = narrow([task_masks[task] for task in tasks], given, self.action_space)
            self._predict_mask = th.as_tensor(narrowed, device=self.device)
        try:
            yield
        finally:
            self._predict_mask = None

    def _predict_task(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return super().predict(*args, **kwargs)

    @override
    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        assert isinstance(observation, dict)
        parameters = self.evaluate(observation).task_parameters
        return self.family.mode(parameters) if deterministic else self.family.sample(parameters)

    @override
    def _get_constructor_parameters(self) -> dict[str, Any]:
        return dict(
            self.column_kwargs,
            observation_space=self.observation_space,
            action_space=self.action_space,
            lr_schedule=self._dummy_schedule,
            architecture=self.architecture,
            distilled_weight=self.distilled_weight,
            task_masks=self.task_masks,
        )


def check_same_networks(given: ActorCriticPolicy, own: ActorCriticPolicy) -> None:
    """
    Refuse a network that cannot take the place of another.

    :param given: A column of another model
    :param own: A column of this one
    :raises UsageError: If parameters have other names or shapes
    """
    shapes, own_shapes = ({key: tuple(p.shape) for key, p in net.state_dict().items()} for net in (given, own))
    if shapes != own_shapes:
        differing = sorted(dict(set(shapes.items()) ^ set(own_shapes.items())))
        raise UsageError(
            f"The distilled_policy and the columns of this model differ in {differing}. Give the policy and "
            "policy_kwargs of the model that the distilled policy comes from, or none."
        )


def silence(column: ActorCriticPolicy, outputs: th.Tensor) -> None:
    """
    Let a network put out the same whatever it sees.

    :param column: The network; its features are kept
    :param outputs: What it shall put out, shape (n_parameters,)
    """
    with th.no_grad():
        n_outputs = len(column.action_net.bias)  # type: ignore[arg-type]
        column.action_net.weight.zero_()  # type: ignore[operator]
        column.action_net.bias.copy_(outputs[:n_outputs])  # type: ignore[operator]
        if n_outputs < len(outputs):
            column.log_std.copy_(outputs[n_outputs:])


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


def check_finite(parameters: th.Tensor, tasks: th.Tensor) -> None:
    """
    Refuse policies that are no policies any more, before an action is drawn from them.

    :param parameters: Parameters of πi, a row for each sub-environment, shape (batch, n_parameters)
    :param tasks: Task of each row, shape (batch,)
    :raises UsageError: If one is NaN or infinite
    """
    if th.isfinite(parameters).all():
        return
    index = int(th.isfinite(parameters).all(dim=1).logical_not().nonzero()[0])
    raise UsageError(
        f"The policy of task {int(tasks[index])} is not finite in sub-environment {index}. Either the observation "
        "holds numbers that are not finite (look at the environment), or the training diverged: take a lower learning "
        "rate, or smaller rewards."
    )


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
            "use_sde=True was given, but the divergence from π0 has no closed form under generalised state-dependent "
            "exploration. Leave it out; policy_kwargs=dict(state_dependent_std=True) gives standard deviations that "
            "depend on the state."
        )


MlpPolicy = DistralPolicy


class CnnPolicy(DistralPolicy):
    """:class:`DistralPolicy` with convolutional columns, for images."""

    column_class = CnnColumn


class MultiInputPolicy(DistralPolicy):
    """:class:`DistralPolicy` for Dict observations."""

    column_class = MultiInputColumn


POLICY_ALIASES: dict[str, type[BasePolicy]] = {
    "MlpPolicy": MlpPolicy,
    "CnnPolicy": CnnPolicy,
    "MultiInputPolicy": MultiInputPolicy,
}
