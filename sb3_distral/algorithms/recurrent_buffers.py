"""Recurrent roll-outs in order of task, as whole sequences."""

from typing import Any

import numpy as np
import torch as th
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer
from sb3_contrib.common.recurrent.type_aliases import RecurrentDictRolloutBufferSamples, RNNStates
from stable_baselines3.common.vec_env import VecNormalize

from sb3_distral.networks.memory import State


class RecurrentTaskRolloutBuffer(RecurrentDictRolloutBuffer):
    """
    A recurrent roll-out buffer that gives one whole sequence for each sub-environment, in their order.

    sb3-contrib's starts a padded sequence wherever an episode begins, from a state that was kept for every step, and
    cuts one at a random place. Here an episode that begins resets the LSTM inside the sequence: nothing is padded or
    cut, the rows come in order of task, and the state before the first step is all that is kept.

    :param buffer_size: Steps of a roll-out
    :param args: As :class:`RecurrentDictRolloutBuffer`, without the shape of the states
    :param kwargs: As :class:`RecurrentDictRolloutBuffer`, without the shape of the states
    """

    first_state: State

    def __init__(self, buffer_size: int, *args: Any, n_envs: int = 1, **kwargs: Any):
        kwargs |= {"hidden_state_shape": (buffer_size, 0, n_envs, 0), "n_envs": n_envs}
        super().__init__(buffer_size, *args, **kwargs)

    def add(self, *args: Any, lstm_states: RNNStates, **kwargs: Any) -> None:  # type: ignore[override]
        """
        :param args: As :class:`RecurrentDictRolloutBuffer`
        :param lstm_states: States before the step
        :param kwargs: As :class:`RecurrentDictRolloutBuffer`
        """
        hidden, cell = lstm_states.pi
        if self.pos == 0:
            self.first_state = (hidden, cell)
        none = (hidden[:0, :, :0], cell[:0, :, :0])
        super().add(*args, lstm_states=RNNStates(none, none), **kwargs)

    def starts(self) -> th.Tensor:
        """
        :return: 1 where a row is the first of its episode, in the order of :meth:`get`, shape (n_envs * n_steps,)
        """
        rows = self.episode_starts if self.generator_ready else self.swap_and_flatten(self.episode_starts)
        return self.to_torch(rows).flatten()

    def _get_samples(  # type: ignore[override]
        self, batch_inds: np.ndarray, env_change: np.ndarray, env: VecNormalize | None = None
    ) -> RecurrentDictRolloutBufferSamples:
        return RecurrentDictRolloutBufferSamples(
            observations={key: self.to_torch(rows) for key, rows in self.observations.items()},
            actions=self.to_torch(self.actions),
            old_values=self.to_torch(self.values).flatten(),
            old_log_prob=self.to_torch(self.log_probs).flatten(),
            advantages=self.to_torch(self.advantages).flatten(),
            returns=self.to_torch(self.returns).flatten(),
            lstm_states=RNNStates(self.first_state, self.first_state),
            episode_starts=self.starts(),
            mask=th.ones(len(batch_inds), device=self.device),
        )
