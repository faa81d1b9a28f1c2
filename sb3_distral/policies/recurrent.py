"""The policies of Distral with LSTM columns, on sb3-contrib's protocol for states."""

from typing import Any, ClassVar

import torch as th
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from typing_extensions import override

from sb3_distral.networks.columns import TaskColumns
from sb3_distral.networks.distributions import distribution_of
from sb3_distral.networks.lstm import LstmCnnColumn, LstmColumn, LstmMultiInputColumn, evaluate_lstm_column
from sb3_distral.networks.lstm_columns import RecurrentTaskColumns
from sb3_distral.networks.memory import Memory, State
from sb3_distral.policies.feedforward import DistralPolicy
from sb3_distral.policies.task_policy import TaskPolicy


class RecurrentTaskPolicy(TaskPolicy):
    """
    The two-column recurrent policy of one task, on plain observations.

    Its state holds that of π0's LSTM, then that of the task's.
    """

    distilled_policy: LstmColumn
    task_column: LstmColumn

    @override
    def predict(self, observation: Any, *args: Any, action_masks: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        self.check_normalized(observation)
        with self.masked(action_masks):
            return RecurrentActorCriticPolicy.predict(self, observation, *args, **kwargs)  # type: ignore[arg-type]

    @property
    def lstm_hidden_state_shape(self) -> tuple[int, int, int]:
        """Shape of the state of one sub-environment, (n_layers of both columns, 1, hidden_size)."""
        layers, _, size = self.distilled_policy.lstm_hidden_state_shape
        return 2 * layers, 1, size

    @override
    def forward(  # type: ignore[override]
        self, obs: PyTorchObs, lstm_states: RNNStates, episode_starts: th.Tensor, deterministic: bool = False
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, RNNStates]:
        before: State = lstm_states.pi  # type: ignore[assignment]
        distribution, state = self.get_distribution(obs, before, episode_starts)
        actions = distribution.get_actions(deterministic=deterministic)
        values, log_prob = self.predict_values(obs, before, episode_starts), distribution.log_prob(actions)
        return actions.reshape(-1, *self.action_space.shape), values, log_prob, RNNStates(state, state)  # type: ignore[misc]

    @override
    def evaluate_actions(  # type: ignore[override]
        self, obs: PyTorchObs, actions: th.Tensor, lstm_states: RNNStates, episode_starts: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        before: State = lstm_states.pi  # type: ignore[assignment]
        distribution, _ = self.get_distribution(obs, before, episode_starts)
        values = self.predict_values(obs, before, episode_starts)
        return values, distribution.log_prob(actions), distribution.entropy()

    def _memory(self, lstm_states: State, episode_starts: th.Tensor) -> Memory:
        n_layers = self.distilled_policy.lstm_actor.num_layers
        return Memory.of(lstm_states, episode_starts, n_layers, n_layers)

    @override
    def get_distribution(  # type: ignore[override]
        self, obs: PyTorchObs, lstm_states: State, episode_starts: th.Tensor
    ) -> tuple[Distribution, State]:
        memory = self._memory(lstm_states, episode_starts)
        distilled, _, memory.distilled = evaluate_lstm_column(
            self.distilled_policy, obs, memory.distilled, episode_starts
        )
        task, _, memory.task = evaluate_lstm_column(self.task_column, obs, memory.task, episode_starts)
        return self.combine(distilled, task), memory.state

    @override
    def predict_values(self, obs: PyTorchObs, lstm_states: State, episode_starts: th.Tensor) -> th.Tensor:  # type: ignore[override]
        memory = self._memory(lstm_states, episode_starts)
        return evaluate_lstm_column(self.task_column, obs, memory.task, episode_starts)[1]

    @override
    def _predict(  # type: ignore[override]
        self, observation: PyTorchObs, lstm_states: State, episode_starts: th.Tensor, deterministic: bool = False
    ) -> tuple[th.Tensor, State]:
        distribution, lstm_states = self.get_distribution(observation, lstm_states, episode_starts)
        return distribution.get_actions(deterministic=deterministic), lstm_states


class RecurrentDistralPolicy(DistralPolicy):
    """
    :class:`~sb3_distral.policies.DistralPolicy` whose columns remember, each in one LSTM behind policy and value.

    States have sb3-contrib's form, (n_layers, n_sequences, hidden_size) for hidden and cell states; the layers of π0
    come first, those of the rows' tasks after them, those of a former π0 last. Arguments are those of
    :class:`DistralPolicy`; ``column_kwargs`` are those of :class:`~sb3_distral.networks.lstm_columns.LstmColumn`.
    """

    is_recurrent: ClassVar[bool] = True
    column_class: ClassVar[type[ActorCriticPolicy]] = LstmColumn
    task_columns_class: ClassVar[type[TaskColumns]] = RecurrentTaskColumns
    task_policy_class: ClassVar[type[TaskPolicy]] = RecurrentTaskPolicy
    distilled_policy: LstmColumn
    task_columns: RecurrentTaskColumns | None
    #: States after the last forward pass
    last_state: State

    @property
    def lstm_hidden_state_shape(self) -> tuple[int, int, int]:
        """Shape of the state of one sub-environment, (n_layers of all its columns, 1, hidden_size)."""
        layers, _, size = self.distilled_policy.lstm_hidden_state_shape
        n_columns = 1 + (self.task_columns is not None) + (self.former_distilled_policy is not None)
        return n_columns * layers, 1, size

    def memory(self, lstm_states: State, episode_starts: th.Tensor) -> Memory:
        """
        What the columns remember before a batch.

        :param lstm_states: States before a batch
        :param episode_starts: 1 where a row of it is the first of its episode, shape (batch,)
        :return: The memory
        """
        n_layers = self.distilled_policy.lstm_actor.num_layers
        return Memory.of(lstm_states, episode_starts, n_layers, 0 if self.task_columns is None else n_layers)

    @override
    def _run_distilled(self, plain: PyTorchObs, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        evaluation = evaluate_lstm_column(self.distilled_policy, plain, memory.distilled, memory.episode_starts)
        outputs, values, memory.distilled = evaluation
        return outputs, values

    @override
    def _run_former(self, former: ActorCriticPolicy, plain: PyTorchObs, memory: Any) -> th.Tensor:
        evaluation = evaluate_lstm_column(former, plain, memory.former, memory.episode_starts)  # type: ignore[arg-type]
        outputs, _, memory.former = evaluation
        return outputs

    @override
    def _evaluate_distilled_actor(self, plain: PyTorchObs, memory: Any, mask: th.Tensor | None) -> th.Tensor:
        return self.evaluate_distilled(plain, memory, mask)[0]

    @override
    def _evaluate_task_columns(self, plain: Any, tasks: th.Tensor, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        assert self.task_columns is not None
        return self.task_columns.run(plain, tasks, memory)

    @override
    def forward(  # type: ignore[override]
        self, obs: dict[str, th.Tensor], lstm_states: RNNStates, episode_starts: th.Tensor, deterministic: bool = False
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, RNNStates]:
        memory = self.memory(lstm_states.pi, episode_starts)  # type: ignore[arg-type]
        actions, values, log_prob = self._act(obs, deterministic, memory)
        self.last_state = memory.state
        return actions, values, log_prob, RNNStates(self.last_state, self.last_state)

    @override
    def get_distribution(  # type: ignore[override]
        self, obs: dict[str, th.Tensor], lstm_states: State, episode_starts: th.Tensor
    ) -> tuple[Distribution, State]:
        memory = self.memory(lstm_states, episode_starts)
        return distribution_of(self.evaluate(obs, memory).task_parameters, self.action_space), memory.state

    @override
    def predict_values(self, obs: dict[str, th.Tensor], lstm_states: State, episode_starts: th.Tensor) -> th.Tensor:  # type: ignore[override]
        plain, tasks = self.split(obs)
        memory = self.memory(lstm_states, episode_starts)
        if self.task_columns is None:
            return self._run_distilled(plain, memory)[1]
        return self.task_columns.run(plain, tasks, memory)[1]

    @override
    def _predict_task(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return RecurrentActorCriticPolicy.predict(self, *args, **kwargs)  # type: ignore[arg-type]

    @override
    def _predict(  # type: ignore[override]
        self,
        observation: dict[str, th.Tensor],
        lstm_states: State,
        episode_starts: th.Tensor,
        deterministic: bool = False,
    ) -> tuple[th.Tensor, State]:
        distribution, lstm_states = self.get_distribution(observation, lstm_states, episode_starts)
        return distribution.get_actions(deterministic=deterministic), lstm_states


MlpLstmPolicy = RecurrentDistralPolicy


class CnnLstmPolicy(RecurrentDistralPolicy):
    """:class:`RecurrentDistralPolicy` with the paper's convolutional columns, for images."""

    column_class = LstmCnnColumn


class MultiInputLstmPolicy(RecurrentDistralPolicy):
    """:class:`RecurrentDistralPolicy` for Dict observations: images as in the paper, all else beside their features."""

    column_class = LstmMultiInputColumn


RECURRENT_POLICY_ALIASES: dict[str, type[BasePolicy]] = {
    "MlpLstmPolicy": MlpLstmPolicy,
    "CnnLstmPolicy": CnnLstmPolicy,
    "MultiInputLstmPolicy": MultiInputLstmPolicy,
}
