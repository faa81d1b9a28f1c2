"""The columns of all tasks at once equal separate ones, and the paper's column has the paper's sizes."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import N_ACTIONS, copied_parameters, randomize
from recurrent_helpers import HIDDEN_SIZE, lstm_written_out, random_state

from sb3_distral.networks.lstm import (
    CombinedFeatures,
    ImageFeatures,
    LstmCnnColumn,
    LstmColumn,
    LstmMultiInputColumn,
    evaluate_lstm_column,
)
from sb3_distral.networks.lstm_columns import RecurrentTaskColumns
from sb3_distral.networks.memory import Memory

SPACE, ACTIONS = spaces.Box(-1.0, 1.0, (4,)), spaces.Discrete(N_ACTIONS)
CONTINUOUS = spaces.Box(-1.0, 1.0, (2,))
IMAGES = spaces.Box(0, 255, (3, 84, 84), np.uint8)


def column(actions=ACTIONS, seed=0, **arguments):
    own = LstmColumn(SPACE, actions, lambda _: 1e-3, lstm_hidden_size=HIDDEN_SIZE, **arguments)
    randomize(own, seed=seed)
    return own


def columns(n_tasks=3, **arguments):
    return [column(seed=task, **arguments) for task in range(n_tasks)]


TASKS_OF_SEQUENCES = {
    "in order": [0, 0, 1, 1, 2, 2],
    "uneven": [0, 1, 1, 1, 2, 2],
    "mixed": [2, 0, 1, 2, 2, 0],
    "one missing": [2, 0, 0, 2, 0],
    "single": [1],
}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_lstm_layers": 2},
        {"net_arch": [6]},
        {"net_arch": {"pi": [4], "vf": []}},
        {"actions": CONTINUOUS},
        {"actions": CONTINUOUS, "state_dependent_std": True},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("sequences", TASKS_OF_SEQUENCES.values(), ids=TASKS_OF_SEQUENCES)
@pytest.mark.parametrize("n_steps", [1, 4])
def test_columns_together_equal_separate_ones(n_steps, sequences, arguments):
    th.manual_seed(1)
    separate, n_sequences = columns(**arguments), len(sequences)
    together = RecurrentTaskColumns(separate)
    layers = arguments.get("n_lstm_layers", 1)
    state, rows = random_state(layers, n_sequences), th.randn(n_sequences * n_steps, 4)
    starts = (th.rand(n_sequences * n_steps) < 0.3).float()
    memory = Memory((state[0][:0], state[1][:0]), state, starts)
    tasks = th.tensor(sequences).repeat_interleave(n_steps)
    outputs, values = together.run(rows, tasks, memory)
    for index, task in enumerate(sequences):
        own = slice(index * n_steps, (index + 1) * n_steps)
        own_state = (state[0][:, [index]], state[1][:, [index]])
        expected, expected_values, after = evaluate_lstm_column(separate[task], rows[own], own_state, starts[own])
        th.testing.assert_close(outputs[own], expected)
        th.testing.assert_close(values[own], expected_values)
        th.testing.assert_close(memory.task[0][:, [index]], after[0])
        th.testing.assert_close(memory.task[1][:, [index]], after[1])


@pytest.mark.parametrize("arguments", [{"n_lstm_layers": 2, "net_arch": [6]}, {"actions": CONTINUOUS}], ids=" ".join)
def test_parameters_come_back_out_of_the_stack(arguments):
    separate = columns(**arguments)
    together, copy = RecurrentTaskColumns(separate), column(seed=9, **arguments)
    together.copy_column(1, copy)
    expected = copied_parameters(separate[1])
    for name, parameter in copied_parameters(copy).items():
        assert th.equal(parameter, expected[name]), name


def test_the_gradient_of_each_task_is_clipped_by_its_own_norm():
    together = RecurrentTaskColumns(columns())
    zeros = (th.zeros(1, 3, HIDDEN_SIZE), th.zeros(1, 3, HIDDEN_SIZE))
    memory = Memory((zeros[0][:0], zeros[1][:0]), zeros, th.zeros(3))
    logits, _ = together.run(th.randn(3, 4), th.arange(3), memory)
    (logits[:, 0] * th.tensor([1e-3, 1.0, 1e3])).sum().backward()
    before = [lstm.weight_ih_l0.grad.norm().item() for lstm in together.lstms]
    together.clip_grad_norm_(0.5)
    after = [lstm.weight_ih_l0.grad.norm().item() for lstm in together.lstms]
    assert after[0] == pytest.approx(before[0])
    assert before[2] > 1.0
    norms = [
        th.cat([parameter.grad[task].flatten() for parameter in together.action_net.parameters()]).square().sum()
        + sum(parameter.grad.square().sum() for parameter in lstm.parameters())
        for task, lstm in enumerate(together.lstms)
    ]
    assert norms[2].sqrt().item() == pytest.approx(0.5, rel=1e-3)


def test_a_column_reads_policy_and_value_linearly_from_one_lstm():
    own = column()
    rows, state = th.randn(6, 4), random_state(1, 1)
    starts = th.tensor([0.0, 0, 0, 1, 0, 0])
    hidden, _ = lstm_written_out(own.lstm_actor, rows, (state[0][:, 0], state[1][:, 0]), starts)
    outputs, values, _ = evaluate_lstm_column(own, rows, state, starts)
    th.testing.assert_close(outputs, own.action_net(hidden))
    th.testing.assert_close(values, own.value_net(hidden))


def test_the_value_trains_the_lstm():
    """In sb3-contrib's shared LSTM it does not."""
    own = column()
    evaluate_lstm_column(own, th.randn(6, 4), random_state(1, 2), th.zeros(6))[1].sum().backward()
    assert own.lstm_actor.weight_ih_l0.grad.abs().sum() > 0


def test_images_pass_the_papers_network():
    own = LstmCnnColumn(IMAGES, ACTIONS, lambda _: 1e-3)
    shapes = {name: tuple(parameter.shape) for name, parameter in own.named_parameters() if "bias" not in name}
    assert shapes == {
        "features_extractor.layers.0.0.weight": (16, 3, 8, 8),
        "features_extractor.layers.0.2.weight": (32, 16, 4, 4),
        "features_extractor.layers.1.weight": (256, 32 * 9 * 9),
        "lstm_actor.weight_ih_l0": (4 * 256, 256),
        "lstm_actor.weight_hh_l0": (4 * 256, 256),
        "action_net.weight": (N_ACTIONS, 256),
        "value_net.weight": (1, 256),
    }
    convolutions = own.features_extractor.layers[0]
    assert (convolutions[0].stride, convolutions[2].stride) == ((4, 4), (2, 2))


def test_images_beside_other_observations_pass_the_papers_network():
    space = spaces.Dict({"image": IMAGES, "previous_action": spaces.Box(0.0, 1.0, (4,))})
    own = LstmMultiInputColumn(space, ACTIONS, lambda _: 1e-3)
    assert isinstance(own.features_extractor, CombinedFeatures)
    assert isinstance(own.features_extractor.extractors["image"], ImageFeatures)
    assert own.lstm_actor.input_size == 256 + 4


@pytest.mark.parametrize(
    "arguments",
    [
        {"shared_lstm": False},
        {"enable_critic_lstm": True},
        {"enable_critic_lstm": False},
        {"share_features_extractor": False},
        {"lstm_kwargs": {"dropout": 0.5}},
    ],
    ids=str,
)
def test_another_form_than_that_of_a_column_is_refused(arguments):
    with pytest.raises(ValueError, match=rf"{next(iter(arguments))}.*one LSTM"):
        column(**arguments)


def test_the_form_of_a_column_may_be_said_in_the_words_of_sb3_contrib():
    form = {"shared_lstm": True, "enable_critic_lstm": False, "share_features_extractor": True, "lstm_kwargs": None}
    assert column(**form).state_dict().keys() == column().state_dict().keys()
