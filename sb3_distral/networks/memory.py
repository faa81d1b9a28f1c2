"""What LSTM columns remember, and how they run over sequences in which episodes begin."""

from dataclasses import dataclass
from itertools import pairwise

import torch as th
from torch import nn

#: Hidden and cell states, shape (n_layers, n_sequences, hidden_size) each
State = tuple[th.Tensor, th.Tensor]


@dataclass
class Memory:
    """
    States of the LSTMs of π0 and of the rows' tasks; columns that run over a batch leave their states after it here.

    A batch holds ``n_sequences`` sequences of equal length, one after the other.

    :param distilled: State of π0 before the batch
    :param task: State of the task columns before it; without layers where there are none
    :param episode_starts: 1 where a row is the first of its episode, shape (n_sequences * n_steps,)
    :param former: State of the π0 before the tasks changed, where there is one
    """

    distilled: State
    task: State
    episode_starts: th.Tensor
    former: State | None = None

    @classmethod
    def of(cls, state: State, episode_starts: th.Tensor, n_layers: int, n_task_layers: int) -> "Memory":
        """
        Split the states that travel together into those of π0, of the tasks and of a former π0.

        :param state: States of all, those of π0 first, as :attr:`state` gives them
        :param episode_starts: As above
        :param n_layers: Layers of the LSTM of π0
        :param n_task_layers: Layers of the LSTM of a task column, 0 where there are none
        :return: The memory
        """
        sizes = [n_layers, n_task_layers, len(state[0]) - n_layers - n_task_layers]
        distilled, task, former = zip(*(th.split(part, sizes) for part in state), strict=True)
        return cls(distilled, task, episode_starts, former)

    @property
    def state(self) -> State:
        """States of all after the batch, in the form in which sb3-contrib's loop and buffer carry them."""
        states = [self.distilled, self.task, *([] if self.former is None else [self.former])]
        hidden, cell = zip(*states, strict=True)
        return th.cat(hidden), th.cat(cell)


def run_episodes(lstm: nn.LSTM, rows: th.Tensor, state: State, episode_starts: th.Tensor) -> tuple[th.Tensor, State]:
    """
    Run an LSTM over sequences, with zeros as its state where an episode begins.

    The sequences are cut where any of them begins an episode; between the cuts they run as wholes.

    :param lstm: The LSTM
    :param rows: Inputs of one sequence after the other, shape (n_sequences * n_steps, n_features)
    :param state: State before the first step
    :param episode_starts: 1 where a row is the first of its episode, shape (n_sequences * n_steps,)
    :return: Outputs, shape (n_sequences * n_steps, hidden_size), and the state after the last step
    """
    n_sequences = state[0].shape[1]
    inputs = rows.view(n_sequences, -1, rows.shape[1]).transpose(0, 1)
    starts = episode_starts.view(n_sequences, -1).t()
    begins = starts.any(dim=1).tolist()
    cuts = [step for step in range(len(begins)) if step == 0 or begins[step]] + [len(begins)]
    outputs = []
    for begin, end in pairwise(cuts):
        if begins[begin]:
            goes_on = 1.0 - starts[begin].unsqueeze(1)
            state = (goes_on * state[0], goes_on * state[1])
        output, state = run_sequences(lstm, inputs[begin:end], state)
        outputs.append(output)
    return th.cat(outputs).transpose(0, 1).flatten(0, 1), state


def run_sequences(lstm: nn.LSTM, inputs: th.Tensor, state: State) -> tuple[th.Tensor, State]:
    """
    Run an LSTM over sequences; one step in half the time that it takes as a sequence.

    :param lstm: The LSTM
    :param inputs: Shape (n_steps, n_sequences, n_features)
    :param state: State before the first step
    :return: Outputs, shape (n_steps, n_sequences, hidden_size), and the state after the last step
    """
    if len(inputs) > 1:
        return lstm(inputs, state)  # type: ignore[no-any-return]
    output, states = inputs[0], []
    for weights, hidden, cell in zip(lstm.all_weights, *state, strict=True):
        states.append(th.lstm_cell(output, (hidden, cell), *weights))
        output = states[-1][0]
    hidden_after, cell_after = zip(*states, strict=True)
    return output.unsqueeze(0), (th.stack(hidden_after), th.stack(cell_after))
