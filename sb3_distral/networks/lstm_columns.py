"""The LSTM columns of n tasks together."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn
from typing_extensions import override

from sb3_distral.networks.columns import TaskColumns
from sb3_distral.networks.layout import TaskLayout
from sb3_distral.networks.memory import Memory, State, run_episodes
from sb3_distral.networks.stacking import SeparateModules, copy_parameters


class RecurrentTaskColumns(TaskColumns):
    """
    The recurrent actor-critic networks of n tasks as one network.

    The LSTMs are a loop over tasks in which PyTorch runs whole sequences. One product a step for all tasks was two
    to three times slower at the paper's size.

    :param columns: The separate networks, of equal structure; their parameters are copied
    """

    def __init__(self, columns: Sequence[ActorCriticPolicy]):
        super().__init__(columns)
        self.lstms = SeparateModules([cast(nn.LSTM, column.lstm_actor) for column in columns])
        self._sort_parameters()

    def run(self, observations: PyTorchObs, tasks: th.Tensor, memory: Memory) -> tuple[th.Tensor, th.Tensor]:
        """
        Evaluate the column of each row's task over sequences.

        :param observations: Plain observations, sequences of any tasks in any order
        :param tasks: Task of each row, shape (batch,)
        :param memory: What the columns remember
        :return: Outputs f, shape (batch, n_parameters), and values, shape (batch, 1)
        """
        layout = self._layout(tasks)
        latent = layout.pad(self._run_lstms(self.features_extractor(observations, layout), layout, memory))
        return self._read_out(latent, latent, layout)

    def _run_lstms(self, features: th.Tensor, layout: TaskLayout, memory: Memory) -> th.Tensor:
        """
        :param features: Rows in order of task, shape (batch, features)
        :param layout: Their layout
        :param memory: What the columns remember
        :return: Outputs of the LSTMs in order of task, shape (batch, hidden_size)
        """
        n_steps = len(layout.tasks) // memory.task[0].shape[1]
        sequences = self._layout(layout.tasks[::n_steps])
        rows = th.split(features, layout.counts)
        starts = th.split(layout.sort(memory.episode_starts), layout.counts)
        outputs, hidden_after, cell_after = [], [], []
        for task, state in enumerate(_states_by_task(memory.task, sequences)):
            if sequences.counts[task] > 0:
                lstm: Any = self.lstms[task]
                output, (hidden, cell) = run_episodes(lstm, rows[task], state, starts[task])
                outputs.append(output)
                hidden_after.append(hidden)
                cell_after.append(cell)
        memory.task = (_unsorted(hidden_after, sequences), _unsorted(cell_after, sequences))
        return th.cat(outputs)

    @override
    def copy_column(self, task: int, column: ActorCriticPolicy) -> None:
        super().copy_column(task, column)
        copy_parameters(self.lstms, task, cast(nn.LSTM, column.lstm_actor))


def _states_by_task(state: State, sequences: TaskLayout) -> Iterator[State]:
    """Parts of a state, whose sequences lie along its second axis, by their task."""
    hidden, cell = (th.split(sequences.sort(part.transpose(0, 1)), sequences.counts) for part in state)
    for own_hidden, own_cell in zip(hidden, cell, strict=True):
        yield own_hidden.transpose(0, 1).contiguous(), own_cell.transpose(0, 1).contiguous()


def _unsorted(parts: list[th.Tensor], sequences: TaskLayout) -> th.Tensor:
    """Inverse of :func:`_states_by_task` for hidden or cell states."""
    return sequences.unsort(th.cat(parts, dim=1).transpose(0, 1)).transpose(0, 1)
