"""The policy of one task on its own."""

from collections.abc import Sequence
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn
from typing_extensions import override

from sb3_distral.method.choices import TaskMask
from sb3_distral.method.families import make_family
from sb3_distral.networks.distributions import distribution_of
from sb3_distral.networks.heads import Maskable, evaluate_actor
from sb3_distral.networks.view import View


class TaskPolicy(Maskable, BasePolicy):
    """
    The two-column policy of one task, πi ∝ π0^α exp(f) (8), on plain observations.

    :param observation_space: Plain observation space
    :param action_space: Action space
    :param column_class: Class of both columns
    :param column_kwargs: Arguments of both columns, as ``policy_kwargs``
    :param distilled_weight: Weight α of π0
    :param task_mask: Fixed mask of the task
    :param distilled_view: What π0 may see, see :mod:`sb3_distral.networks.view`
    :param observation_normalization: How the observations of its training were normalised, which this class only keeps
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        column_class: type[ActorCriticPolicy],
        column_kwargs: dict[str, Any],
        distilled_weight: float,
        task_mask: TaskMask | None = None,
        distilled_view: View | None = None,
        observation_normalization: Any = None,
    ):
        super().__init__(observation_space, action_space)
        self.column_class, self.column_kwargs = column_class, column_kwargs
        self.distilled_weight = distilled_weight
        self.observation_normalization = observation_normalization
        self.set_task_mask(task_mask)
        self.family = make_family(action_space, column_kwargs.get("state_dependent_std", False))
        self.distilled_view = distilled_view
        self.distilled_policy = self._make_column(distilled_view)
        self.task_column = self._make_column()

    def _make_column(self, view: View | None = None) -> ActorCriticPolicy:
        arguments: Any = (self.observation_space, self.action_space, self._dummy_schedule)
        kwargs = self.column_kwargs if view is None else {**self.column_kwargs, "view": view}
        return self.column_class(*arguments, **kwargs)

    @override
    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        distribution = self.get_distribution(obs)
        actions = distribution.get_actions(deterministic=deterministic)
        log_prob = distribution.log_prob(actions)
        return actions.reshape(-1, *self.action_space.shape), self.predict_values(obs), log_prob  # type: ignore[misc]

    def evaluate_actions(self, obs: PyTorchObs, actions: th.Tensor) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """
        Evaluate actions, as :meth:`ActorCriticPolicy.evaluate_actions` does.

        :param obs: A batch of plain observations
        :param actions: Actions, shape (batch,) or (batch, n_dimensions)
        :return: Values (batch, 1), log-probabilities of the actions (batch,) and entropies (batch,)
        """
        distribution = self.get_distribution(obs)
        return self.predict_values(obs), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """
        Distribution of the actions in a batch of states.

        :param obs: A batch of plain observations
        :return: The action distribution
        """
        return self.combine(evaluate_actor(self.distilled_policy, obs), evaluate_actor(self.task_column, obs))

    def combine(self, distilled: th.Tensor, task: th.Tensor) -> Distribution:
        """
        Distribution of the actions from the outputs of both columns, (8).

        :param distilled: Outputs h of π0, shape (batch, n_parameters)
        :param task: Outputs f of the task's column, shape (batch, n_parameters)
        :return: The action distribution
        """
        weight = th.as_tensor(self.distilled_weight)
        parameters = self.family.combine(self.family.canonical(distilled), task, weight)
        return distribution_of(self.restrict(parameters), self.action_space)

    def predict_values(self, obs: PyTorchObs) -> th.Tensor:
        """
        Value of a batch of states in the task, regularised returns included.

        :param obs: A batch of plain observations
        :return: Vi(s), shape (batch, 1)
        """
        return self.task_column.predict_values(obs)

    @override
    def predict(self, observation: Any, *args: Any, action_masks: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        self.check_normalized(observation)
        with self.masked(action_masks):
            return super().predict(observation, *args, **kwargs)

    @override
    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        return self.get_distribution(observation).get_actions(deterministic=deterministic)

    @override
    def _get_constructor_parameters(self) -> dict[str, Any]:
        names = ("observation_space", "action_space", "column_class", "column_kwargs", "distilled_weight", "task_mask")
        return {name: getattr(self, name) for name in (*names, "distilled_view", "observation_normalization")}


class MixtureTaskPolicy(TaskPolicy):
    """
    The policy of one task among several distilled ones, πi ∝ Πz π0^z^(α q_iz) exp(f), on plain observations.

    :param arguments: As :class:`TaskPolicy`
    :param responsibilities: q_iz of each distilled policy, they sum to 1
    :param named_arguments: As :class:`TaskPolicy`
    """

    def __init__(self, *arguments: Any, responsibilities: Sequence[float], **named_arguments: Any):
        super().__init__(*arguments, **named_arguments)
        self.responsibilities = list(responsibilities)
        others = [self._make_column(self.distilled_view) for _ in self.responsibilities[1:]]
        self.components = nn.ModuleList([self.distilled_policy, *others])

    @override
    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        outputs = th.stack([evaluate_actor(component, obs) for component in self.components])  # type: ignore[arg-type]
        weights = outputs.new_tensor(self.responsibilities).expand(outputs.shape[1], -1)
        pooled = self.family.pool(self.family.canonical(outputs), weights)
        return self.combine(pooled, evaluate_actor(self.task_column, obs))

    @override
    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "responsibilities": self.responsibilities}
