"""The policies of Distral: one distilled column, n task columns, and what each task's policy is made of."""

from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    BasePolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn

from sb3_distral.envs.task_id import TASK_KEY, plain_observation, plain_space
from sb3_distral.errors import UsageError
from sb3_distral.method import objective
from sb3_distral.networks.columns import TaskColumns

Architecture = Literal["shared", "one_column", "two_columns"]


def log_policy(column: ActorCriticPolicy, observations: PyTorchObs) -> th.Tensor:
    """
    :param column: A policy with discrete actions
    :param observations: A batch of plain observations
    :return: log π(·|s), (6), shape (batch, n_actions)
    """
    # The steps of ActorCriticPolicy.get_distribution, without its distribution object.
    features = BasePolicy.extract_features(column, observations, column.pi_features_extractor)
    logits = column.action_net(column.mlp_extractor.forward_actor(features))
    return th.log_softmax(logits, dim=-1)


def log_policy_and_values(column: ActorCriticPolicy, observations: PyTorchObs) -> tuple[th.Tensor, th.Tensor]:
    """
    :param column: A policy with discrete actions
    :param observations: A batch of plain observations
    :return: log π(·|s), shape (batch, n_actions), and V(s), shape (batch, 1)
    """
    if not column.share_features_extractor:
        return log_policy(column, observations), column.predict_values(observations)
    actor, critic = column.mlp_extractor(column.extract_features(observations))
    return th.log_softmax(column.action_net(actor), dim=-1), column.value_net(critic)


class ActionStep(NamedTuple):
    """
    Outputs of the forward pass that chose the actions.

    :param tasks: Task of each row, shape (batch,)
    :param actions: Actions taken, shape (batch,)
    :param task_log_prob: log πi(a|s), shape (batch,)
    :param task_log_policy: log πi(·|s), shape (batch, n_actions)
    :param distilled_log_policy: log π0(·|s), shape (batch, n_actions), ``None`` where nothing needs it
    """

    tasks: th.Tensor
    actions: th.Tensor
    task_log_prob: th.Tensor
    task_log_policy: th.Tensor
    distilled_log_policy: th.Tensor | None


class TaskPolicy(BasePolicy):
    """
    The two-column policy of one task, πi = softmax(α h + f) (8), on plain observations.

    :param observation_space: Plain observation space
    :param action_space: Discrete action space
    :param column_class: Class of both columns
    :param column_kwargs: Arguments of both columns, as ``policy_kwargs``
    :param distilled_weight: Weight α of h in the logits
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        column_class: type[ActorCriticPolicy],
        column_kwargs: dict[str, Any],
        distilled_weight: float,
    ):
        super().__init__(observation_space, action_space)
        self.column_class, self.column_kwargs = column_class, column_kwargs
        self.distilled_weight = distilled_weight
        arguments: Any = (observation_space, action_space, self._dummy_schedule)
        self.distilled_policy = column_class(*arguments, **column_kwargs)
        self.task_column = column_class(*arguments, **column_kwargs)

    def get_distribution(self, obs: PyTorchObs) -> CategoricalDistribution:
        """
        :param obs: A batch of plain observations
        :return: The action distribution
        """
        distilled, task = log_policy(self.distilled_policy, obs), log_policy(self.task_column, obs)
        weight = th.as_tensor(self.distilled_weight)
        return categorical(objective.task_log_policy(distilled, task, weight))

    def predict_values(self, obs: PyTorchObs) -> th.Tensor:
        """
        :param obs: A batch of plain observations
        :return: The task's value of each, regularised returns included, shape (batch, 1)
        """
        return self.task_column.predict_values(obs)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        return self.get_distribution(observation).get_actions(deterministic=deterministic)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        names = ("observation_space", "action_space", "column_class", "column_kwargs", "distilled_weight")
        return {name: getattr(self, name) for name in names}


class DistralPolicy(BasePolicy):
    """
    One distilled column π0 and a policy πi for each of n tasks, on observations that name the task.

    With a ``task`` in the observation it acts as that task's policy, without as π0. π0 is a plain Stable-Baselines3
    policy on the plain observation. What πi is made of is the architecture, a column of Table 1:

    - ``"shared"``: πi = π0 = softmax(h), one network for all tasks;
    - ``"one_column"``: πi = softmax(f), a network for each task;
    - ``"two_columns"``: πi = softmax(α h + f), the distilled network and one for each task (8).

    Each task's value comes from its own column (from the shared network where that is all there is).

    :param observation_space: Space of observations with a task, see :mod:`sb3_distral.envs.task_id`
    :param action_space: Discrete action space
    :param lr_schedule: Learning rate schedule
    :param use_sde: Not supported, must be ``False``
    :param architecture: What the task policies are made of
    :param distilled_weight: Weight of h in the logits of two columns; the algorithm sets α where it is ``None``
    :param column_kwargs: Arguments of every column: ``net_arch``, ``activation_fn``, ``features_extractor_class``, …
    :raises ValueError: If the architecture is unknown or the weight is none
    """

    is_recurrent: ClassVar[bool] = False
    column_class: ClassVar[type[ActorCriticPolicy]] = ActorCriticPolicy
    task_columns_class: ClassVar[type[TaskColumns]] = TaskColumns
    task_policy_class: ClassVar[type[TaskPolicy]] = TaskPolicy
    observation_space: spaces.Dict
    distilled_weights: th.Tensor

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        use_sde: bool = False,
        architecture: Architecture = "two_columns",
        distilled_weight: float | None = None,
        **column_kwargs: Any,
    ):
        if architecture not in get_args(Architecture):
            raise UsageError(f"architecture={architecture!r} is unknown. Choose one of {get_args(Architecture)}.")
        if distilled_weight is not None and not 0.0 <= distilled_weight < float("inf"):
            raise UsageError(
                f"distilled_weight={distilled_weight} was given; expected a finite number >= 0, or None for α."
            )
        super().__init__(observation_space, action_space)
        self.architecture = architecture
        self.distilled_weight = distilled_weight
        self.column_kwargs = dict(column_kwargs, use_sde=use_sde)
        self.plain_observation_space = plain_space(observation_space)
        self.n_tasks = int(observation_space[TASK_KEY].n)  # type: ignore[attr-defined]
        initial_weight = 0.0 if distilled_weight is None else distilled_weight
        self.register_buffer("distilled_weights", th.full((self.n_tasks,), initial_weight))
        self._build(lr_schedule)
        # A module of the user may decide itself what the mode means to it.
        self._has_own_modes = any(type(module).train is not nn.Module.train for module in self.modules())
        # Algorithms that need neither h nor log π0 in a roll-out switch this off.
        self.evaluates_distilled = True
        self.last_step: ActionStep | None = None

    def _build(self, lr_schedule: Schedule) -> None:
        # Task columns first: the first task then starts from the weights that A2C has with the same seed.
        self.task_columns: TaskColumns | None = None
        if self.architecture != "shared":
            self.task_columns = self.task_columns_class([self._make_column(lr_schedule) for _ in range(self.n_tasks)])
        self.distilled_policy = self._make_column(lr_schedule)
        self.optimizer_class = self.distilled_policy.optimizer_class
        self.optimizer_kwargs = self.distilled_policy.optimizer_kwargs
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def _make_column(self, lr_schedule: Schedule) -> ActorCriticPolicy:
        arguments = (self.plain_observation_space, self.action_space, lr_schedule)
        return self.column_class(*arguments, **self.column_kwargs)

    def _make_two_columns(self, distilled_weight: float) -> TaskPolicy:
        return self.task_policy_class(
            self.plain_observation_space,
            self.action_space,  # type: ignore[arg-type]
            self.column_class,
            self.column_kwargs,
            distilled_weight,
        )

    def set_distilled_weights(self, weights: th.Tensor) -> None:
        """
        Follow α, unless the weight of h was given.

        :param weights: α of each task, shape (n_tasks,)
        """
        if self.distilled_weight is None:
            self.distilled_weights.copy_(weights)

    def task_policy(self, task: int) -> BasePolicy:
        """
        A copy of one task's policy as it is now.

        :param task: Index of the task
        :return: A Stable-Baselines3 policy on plain observations
        """
        # Initial weights are overwritten at once: drawing them must not move the generators of a training.
        with th.random.fork_rng():
            if self.architecture == "two_columns":
                policy: Any = self._make_two_columns(float(self.distilled_weights[task]))
                policy.distilled_policy.load_state_dict(self.distilled_policy.state_dict())
                column = policy.task_column
            else:
                policy = column = self._make_column(self._dummy_schedule)
        if self.task_columns is None:
            column.load_state_dict(self.distilled_policy.state_dict())
        else:
            self.task_columns.copy_column(task, column)
        return policy.to(self.device)  # type: ignore[no-any-return]

    def set_training_mode(self, mode: bool) -> None:
        """
        As Stable-Baselines3, in a fraction of the time: :meth:`torch.nn.Module.train` takes longer than a small layer.

        :param mode: Whether to train
        """
        if self._has_own_modes:
            super().set_training_mode(mode)
        else:
            for module in self.modules():
                object.__setattr__(module, "training", mode)

    def split(self, obs: dict[str, th.Tensor]) -> tuple[PyTorchObs, th.Tensor]:
        """
        :param obs: A batch of observations with a task
        :return: Plain observations, and the task of each row, shape (batch,)
        """
        return plain_observation(obs), obs[TASK_KEY].long().flatten()

    def evaluate_policies(
        self,
        obs: dict[str, th.Tensor],
        with_distilled: bool,
        distilled_log_policy: th.Tensor | None = None,
        memory: Any = None,
    ) -> tuple[th.Tensor, th.Tensor | None, th.Tensor]:
        """
        Evaluate the policy of each row's task, and π0 where it is asked for or a part of the task policies.

        :param obs: A batch of observations with a task
        :param with_distilled: Whether log π0 is wanted although the task policies do not contain it
        :param distilled_log_policy: log π0 of the same rows, where it has been evaluated already
        :param memory: What recurrent columns remember; these have none
        :return: log πi(·|s), log π0(·|s) or ``None``, both (batch, n_actions), and values Vi(s), (batch, 1)
        """
        plain, tasks = self.split(obs)
        if self.task_columns is None:
            shared, values = self.evaluate_distilled(plain, memory)
            return shared, shared, values
        logits, values = self._evaluate_task_columns(plain, tasks, memory)
        if self.architecture == "one_column":
            distilled = self.distilled_log_policy(plain, memory) if with_distilled else None
            return th.log_softmax(logits, dim=-1), distilled, values
        prior = distilled_log_policy
        if prior is None:
            prior = self.distilled_log_policy(plain, memory)
        return objective.task_log_policy(prior, logits, self.distilled_weights[tasks].unsqueeze(1)), prior, values

    def distilled_log_policy(self, plain: PyTorchObs, memory: Any = None) -> th.Tensor:
        """
        :param plain: A batch of plain observations
        :param memory: What recurrent columns remember
        :return: log π0(·|s), shape (batch, n_actions)
        """
        return log_policy(self.distilled_policy, plain)

    def evaluate_distilled(self, plain: PyTorchObs, memory: Any = None) -> tuple[th.Tensor, th.Tensor]:
        """
        :param plain: A batch of plain observations
        :param memory: What recurrent columns remember
        :return: log π0(·|s), shape (batch, n_actions), and V0(s), shape (batch, 1)
        """
        return log_policy_and_values(self.distilled_policy, plain)

    def _evaluate_task_columns(self, plain: Any, tasks: th.Tensor, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        assert self.task_columns is not None
        logits, values = self.task_columns(plain, tasks)
        return logits, values

    def forward(self, obs: dict[str, th.Tensor], deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """
        Choose actions, as :class:`ActorCriticPolicy` does, and keep the outputs in ``last_step``.

        :param obs: A batch of observations with a task
        :param deterministic: Whether to take the likeliest action
        :return: Actions (batch,), values (batch, 1) and log-probabilities of the actions (batch,)
        """
        return self._act(obs, deterministic)

    def _act(
        self, obs: dict[str, th.Tensor], deterministic: bool, memory: Any = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        evaluation = self.evaluate_policies(obs, self.evaluates_distilled, memory=memory)
        task_log_policy, distilled_log_policy, values = evaluation
        if deterministic:
            actions = task_log_policy.argmax(dim=1)
        else:
            actions = th.multinomial(task_log_policy.exp(), 1).squeeze(1)
        log_prob = task_log_policy.gather(1, actions.unsqueeze(1)).squeeze(1)
        self.last_step = ActionStep(self.split(obs)[1], actions, log_prob, task_log_policy, distilled_log_policy)
        return actions, values, log_prob

    def evaluate_actions(
        self,
        obs: dict[str, th.Tensor],
        actions: th.Tensor,
        distilled_log_policy: th.Tensor | None = None,
        memory: Any = None,
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """
        :param obs: A batch of observations with a task
        :param actions: Actions, shape (batch,)
        :param distilled_log_policy: log π0 of the same rows, where it has been evaluated already
        :param memory: What recurrent columns remember; these have none
        :return: Values (batch, 1), log-probabilities of the actions (batch,) and entropies (batch,)
        """
        task_log_policy, _, values = self.evaluate_policies(obs, False, distilled_log_policy, memory)
        log_prob = task_log_policy.gather(1, actions.unsqueeze(1)).squeeze(1)
        return values, log_prob, objective.entropy(task_log_policy)

    def get_distribution(self, obs: dict[str, th.Tensor]) -> CategoricalDistribution:
        """
        :param obs: A batch of observations with a task
        :return: The action distributions of the rows' tasks
        """
        return categorical(self.evaluate_policies(obs, with_distilled=False)[0])

    def predict_values(self, obs: dict[str, th.Tensor]) -> th.Tensor:
        """
        :param obs: A batch of observations with a task
        :return: Vi(s) of the rows' tasks, shape (batch, 1)
        """
        plain, tasks = self.split(obs)
        if self.task_columns is None:
            return self.distilled_policy.predict_values(plain)
        return self.task_columns.values(plain, tasks)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """
        Act as the task's policy where the observation names a task, as π0 where it does not.

        :param observation: One observation or a batch
        :param args: As :meth:`stable_baselines3.common.policies.BasePolicy.predict`
        :param kwargs: As :meth:`stable_baselines3.common.policies.BasePolicy.predict`
        :return: Actions and the state, which is ``None`` where columns have no memory
        """
        if isinstance(observation, dict) and TASK_KEY in observation:
            tasks = np.asarray(observation[TASK_KEY])
            if tasks.min() < 0 or tasks.max() >= self.n_tasks:
                raise UsageError(
                    f"The observation names the tasks {tasks.tolist()}; expected integers below {self.n_tasks}."
                )
            return self._predict_task(observation, *args, **kwargs)
        return self.distilled_policy.predict(observation, *args, **kwargs)

    def _predict_task(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return super().predict(*args, **kwargs)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        assert isinstance(observation, dict)
        return self.get_distribution(observation).get_actions(deterministic=deterministic)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return dict(
            self.column_kwargs,
            observation_space=self.observation_space,
            action_space=self.action_space,
            lr_schedule=self._dummy_schedule,
            architecture=self.architecture,
            distilled_weight=self.distilled_weight,
        )


MlpPolicy = DistralPolicy


class CnnPolicy(DistralPolicy):
    """:class:`DistralPolicy` with convolutional columns, for images."""

    column_class = ActorCriticCnnPolicy


class MultiInputPolicy(DistralPolicy):
    """:class:`DistralPolicy` for Dict observations."""

    column_class = MultiInputActorCriticPolicy


POLICY_ALIASES: dict[str, type[BasePolicy]] = {
    "MlpPolicy": MlpPolicy,
    "CnnPolicy": CnnPolicy,
    "MultiInputPolicy": MultiInputPolicy,
}


def categorical(log_policy: th.Tensor) -> CategoricalDistribution:
    """
    :param log_policy: log π(·|s), shape (batch, n_actions)
    :return: Stable-Baselines3's distribution of discrete actions
    """
    return CategoricalDistribution(log_policy.shape[-1]).proba_distribution(action_logits=log_policy)
