"""Recurrent roll-outs in order of task, as whole sequences."""

from collections.abc import Generator
from typing import Any

import numpy as np
import torch as th
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer
from sb3_contrib.common.recurrent.type_aliases import RecurrentDictRolloutBufferSamples, RNNStates
from stable_baselines3.common.vec_env import VecNormalize
from typing_extensions import override

from sb3_distral.algorithms.buffers import deal
from sb3_distral.envs.task_id import keys_in
from sb3_distral.networks.memory import State


class RecurrentTaskRolloutBuffer(RecurrentDictRolloutBuffer):
    """
    A recurrent roll-out buffer that gives whole sequences, one for each sub-environment, in order of task.

    sb3-contrib's starts a padded sequence wherever an episode begins, from a state that was kept for every step, and
    cuts one at a random place. Here an episode that begins resets the LSTM inside the sequence: nothing is padded or
    cut, the rows come in order of task, and the state before the first step is all that is kept. A minibatch holds as
    many sequences as its size has room for, and at least as many as there are tasks, but for the last.

    :param buffer_size: Steps of a roll-out
    :param args: As :class:`RecurrentDictRolloutBuffer`, without the shape of the states
    :param kwargs: As :class:`RecurrentDictRolloutBuffer`, without the shape of the states
    """

    first_state: State

    def __init__(self, buffer_size: int, *args: Any, n_envs: int = 1, **kwargs: Any):
        kwargs |= {"hidden_state_shape": (buffer_size, 0, n_envs, 0), "n_envs": n_envs}
        super().__init__(buffer_size, *args, **kwargs)

    @override
    def add(self, *args: Any, lstm_states: RNNStates, **kwargs: Any) -> None:  # type: ignore[override]
        hidden, cell = lstm_states.pi
        if self.pos == 0:
            self.first_state = (hidden, cell)
        none = (hidden[:0, :, :0], cell[:0, :, :0])
        super().add(*args, lstm_states=RNNStates(none, none), **kwargs)

    @override
    def get(  # type: ignore[override]
        self, batch_size: int | None = None
    ) -> Generator[RecurrentDictRolloutBufferSamples, None, None]:
        next(super().get())  # flattens the arrays
        if batch_size is None or batch_size >= self.n_envs * self.buffer_size:
            yield self._sequences(np.arange(self.n_envs))
            return
        tasks = self.observations[keys_in(self.observations).task].reshape(self.n_envs, -1)[:, 0]
        order = np.random.permutation(self.n_envs)
        order = deal(order, tasks[order])
        n_sequences = max(len(np.unique(tasks)), batch_size // self.buffer_size)
        for first in range(0, self.n_envs, n_sequences):
            yield self._sequences(np.sort(order[first : first + n_sequences]))

    @override
    def _get_samples(  # type: ignore[override]
        self, batch_inds: np.ndarray, env_change: np.ndarray, env: VecNormalize | None = None
    ) -> np.ndarray:
        return batch_inds

    def starts(self) -> th.Tensor:
        """
        Say where episodes begin.

        :return: 1 where a row is the first of its episode, sequence by sequence, shape (n_envs * n_steps,)
        """
        rows = self.episode_starts if self.generator_ready else self.swap_and_flatten(self.episode_starts)
        return self.to_torch(rows).flatten()

    def _sequences(self, envs: np.ndarray) -> RecurrentDictRolloutBufferSamples:
        # All rows as they are: indices would copy them, which counts with images.
        rows: Any = slice(None)
        if len(envs) < self.n_envs:
            rows = (envs[:, None] * self.buffer_size + np.arange(self.buffer_size)).reshape(-1)
        hidden, cell = self.first_state
        state = (hidden[:, envs], cell[:, envs])
        starts = self.to_torch(self.episode_starts[rows]).flatten()
        return RecurrentDictRolloutBufferSamples(
            observations={key: self.to_torch(own[rows]) for key, own in self.observations.items()},
            actions=self.to_torch(self.actions[rows]),
            old_values=self.to_torch(self.values[rows]).flatten(),
            old_log_prob=self.to_torch(self.log_probs[rows]).flatten(),
            advantages=self.to_torch(self.advantages[rows]).flatten(),
            returns=self.to_torch(self.returns[rows]).flatten(),
            lstm_states=RNNStates(state, state),
            episode_starts=starts,
            mask=th.ones_like(starts),
        )
