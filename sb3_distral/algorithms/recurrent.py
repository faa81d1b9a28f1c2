"""Distral with policies that remember, on the recurrent roll-outs of sb3-contrib."""

from typing import Any, ClassVar

import torch as th
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import override

from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.arguments import takes_policy_first
from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.algorithms.ppo import DistralPPO
from sb3_distral.algorithms.recurrent_buffers import RecurrentTaskRolloutBuffer
from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.envs.changing import Changed
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.networks.memory import Memory, State
from sb3_distral.policies.recurrent import RECURRENT_POLICY_ALIASES, RecurrentDistralPolicy


class RecurrentDistralAlgorithm(DistralAlgorithm):
    """
    Distral whose policies remember: the paper's agents for first-person tasks (Section 4.2, appendix B.2).

    Each column has an LSTM, through which gradients run back over the whole roll-out. The loop that collects roll-outs
    and its buffer are those of sb3-contrib's ``RecurrentPPO``. ``policy`` is ``"MlpLstmPolicy"``, ``"CnnLstmPolicy"``,
    ``"MultiInputLstmPolicy"`` or a class; ``policy_kwargs`` are those of
    :class:`~sb3_distral.networks.lstm.LstmColumn`.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = RECURRENT_POLICY_ALIASES
    own_rollout_buffer_class: ClassVar[type[RolloutBuffer]] = RecurrentTaskRolloutBuffer
    policy: RecurrentDistralPolicy  # type: ignore[assignment]
    rollout_buffer: RecurrentTaskRolloutBuffer

    @override
    def _setup_model(self) -> None:
        super()._setup_model()
        self._forget()

    def _forget(self) -> None:
        layers, _, size = self.policy.lstm_hidden_state_shape
        zeros = th.zeros(layers, self.n_envs, size, device=self.device)
        self._set_state((zeros, zeros))

    @override
    def _start_from(self, distilled_policy: ActorCriticPolicy) -> None:
        super()._start_from(distilled_policy)
        self._forget()

    @override
    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        super().set_parameters(*args, **kwargs)
        # A former π0 that came along remembers too.
        if len(self.policy.last_state[0]) != self.policy.lstm_hidden_state_shape[0]:
            self._forget()

    @override
    def _renew_buffer(self) -> None:
        super()._renew_buffer()
        self._forget()

    @override
    def _place_after(self, old: RegularizedReward, changed: Changed, new: TaskVecEnv | None) -> dict[str, Any]:
        place = super()._place_after(old, changed, new)
        n_own = self.policy.distilled_policy.lstm_actor.num_layers
        n_layers = n_own if self.policy.task_columns is None else 2 * n_own
        n_new = changed.env.num_envs - len(changed.rows)
        states = []
        for part in self.policy.last_state:
            kept = part[:n_layers, changed.rows]
            if self.rehearsal_coef > 0:
                # π0 as it is now, which is kept, has seen what π0 has.
                kept = th.cat([kept, kept[:n_own]])
            states.append(th.cat([kept, kept.new_zeros(len(kept), n_new, kept.shape[2])], dim=1))
        return place | {"lstm": tuple(states)}

    def _set_state(self, state: State) -> None:
        # Actor and critic are read from the same LSTM.
        self._last_lstm_states = RNNStates(state, state)
        self.policy.last_state = state

    @override
    def _needs_distilled(self) -> bool:
        # π0 has to see every step from the beginning of an episode to be of use later in it.
        return super()._needs_distilled() or self.value_l2_coef > 0 or not self._cost_schedule.is_constant

    @override
    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        self._follow_cost_schedules()
        goes_on = RecurrentPPO.collect_rollouts(self, env, callback, rollout_buffer, n_rollout_steps)  # type: ignore[arg-type]
        return self._check_rollout(goes_on)

    @override
    def rollout_memory(self) -> Memory:
        return self.policy.memory(self.rollout_buffer.first_state, self.rollout_buffer.starts())

    @override
    def _batch_memory(self, rollout_data: Any) -> Memory:
        return self.policy.memory(rollout_data.lstm_states.pi, rollout_data.episode_starts)

    @override
    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_last_lstm_states"]

    @override
    def _get_resume_state(self) -> dict[str, Any]:
        # Amid a roll-out the algorithm's own last states are one step behind.
        return {"lstm": self.policy.last_state} | super()._get_resume_state()

    @override
    def _go_on_from(self, state: dict[str, Any]) -> None:
        super()._go_on_from(state)
        hidden, cell = state["lstm"]
        self._set_state((hidden.to(self.device), cell.to(self.device)))


class RecurrentDistralA2C(RecurrentDistralAlgorithm, DistralA2C):
    """
    :class:`DistralA2C` whose policies remember, see :class:`RecurrentDistralAlgorithm`.

    :param env: As :class:`DistralA2C`
    :param policy: As :class:`RecurrentDistralAlgorithm`
    :param n_steps: Steps of each sub-environment in a roll-out, over which gradients run back
    :param arguments: All other arguments of :class:`DistralA2C`
    """

    @takes_policy_first
    def __init__(self, env: Any = None, policy: Any = "auto", *, n_steps: int = 20, **arguments: Any):
        super().__init__(env, policy, n_steps=n_steps, **arguments)


class RecurrentDistralPPO(RecurrentDistralAlgorithm, DistralPPO):
    """
    :class:`DistralPPO` whose policies remember, see :class:`RecurrentDistralAlgorithm`.

    A minibatch holds whole sequences, as a rule at least one for each task. Defaults are those of ``RecurrentPPO``.

    :param env: As :class:`DistralPPO`
    :param policy: As :class:`RecurrentDistralAlgorithm`
    :param n_steps: Steps of each sub-environment in a roll-out, over which gradients run back
    :param batch_size: Rows of a minibatch, rounded down to whole sequences of ``n_steps``
    :param arguments: All other arguments of :class:`DistralPPO`
    """

    @takes_policy_first
    def __init__(
        self, env: Any = None, policy: Any = "auto", *, n_steps: int = 128, batch_size: int = 128, **arguments: Any
    ):
        super().__init__(env, policy, n_steps=n_steps, batch_size=batch_size, **arguments)
