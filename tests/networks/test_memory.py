"""LSTMs over sequences equal their definition, step by step."""

import pytest
import torch as th
from recurrent_helpers import lstm_written_out, random_state
from torch import nn

from sb3_distral.networks.memory import Memory, run_episodes

N_STEPS, N_FEATURES, HIDDEN_SIZE = 7, 3, 5
STARTS = {
    "none": [[0, 0, 0, 0, 0, 0, 0]] * 3,
    "at the first step": [[1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]],
    "inside": [[0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0]],
    "at the last step": [[0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1]],
    "one after the other": [[0, 1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0]],
}


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
def test_sequences_equal_the_lstm_written_out(starts, n_layers):
    th.manual_seed(0)
    lstm, starts = nn.LSTM(N_FEATURES, HIDDEN_SIZE, n_layers), th.tensor(starts, dtype=th.float32)
    rows, state = th.randn(3, N_STEPS, N_FEATURES), random_state(n_layers, 3)
    outputs, after = run_episodes(lstm, rows.flatten(0, 1), state, starts.flatten())
    for sequence in range(3):
        own = (state[0][:, sequence], state[1][:, sequence])
        expected, expected_after = lstm_written_out(lstm, rows[sequence], own, starts[sequence])
        th.testing.assert_close(outputs.view(3, N_STEPS, -1)[sequence], expected)
        th.testing.assert_close(after[0][:, sequence], expected_after[0])
        th.testing.assert_close(after[1][:, sequence], expected_after[1])


def test_gradients_run_back_to_the_beginning_of_the_episode_and_no_further():
    lstm = nn.LSTM(N_FEATURES, HIDDEN_SIZE)
    rows = th.randn(N_STEPS, N_FEATURES, requires_grad=True)
    starts = th.tensor([0.0, 0, 0, 1, 0, 0, 0])
    outputs, _ = run_episodes(lstm, rows, random_state(1, 1), starts)
    outputs[-1].sum().backward()
    assert rows.grad is not None
    assert (rows.grad.abs().sum(dim=1) > 0).tolist() == [False, False, False, True, True, True, True]


def test_whole_sequences_between_the_beginnings_of_episodes():
    """The number of calls of the LSTM, which is what it costs, is that of the pieces and not of the steps."""
    calls = []
    lstm = nn.LSTM(N_FEATURES, HIDDEN_SIZE)
    lstm.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    starts = th.tensor(STARTS["inside"], dtype=th.float32)
    run_episodes(lstm, th.randn(3 * N_STEPS, N_FEATURES), random_state(1, 3), starts.flatten())
    assert calls == [2, 3, 2]


def test_a_state_is_that_of_pi0_then_that_of_the_tasks():
    state = random_state(3, 2)
    memory = Memory.of(state, th.zeros(2), n_layers=2, n_task_layers=1)
    assert [len(part) for part in (*memory.distilled, *memory.task)] == [2, 2, 1, 1]
    for part, expected in zip(memory.state, state, strict=True):
        assert th.equal(part, expected)
