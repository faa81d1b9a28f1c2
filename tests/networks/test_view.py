"""What a column may see: zeros for the rest, by whatever way the features are reached."""

from copy import deepcopy

import numpy as np
import pytest
import torch as th
from envs.messages import refuses
from gymnasium import spaces
from helpers import randomize

from sb3_distral.networks.heads import CnnColumn, Column, MultiInputColumn, evaluate_actor, evaluate_column
from sb3_distral.networks.lstm import LstmColumn
from sb3_distral.networks.view import first_weights, parse_view

VECTOR = spaces.Box(-1.0, 1.0, (4,), np.float32)
DICT = spaces.Dict({"place": VECTOR, "number": spaces.Discrete(3), "rest": spaces.Box(-1.0, 1.0, (2,), np.float32)})
VIEW = [True, False, True, False]


def rate(_):
    return 0.0


def column_of(view=VIEW, column_class=Column, space=VECTOR, **arguments):
    th.manual_seed(0)
    column = column_class(space, spaces.Discrete(3), rate, net_arch=[6], view=view, **arguments)
    randomize(column)
    return column


@pytest.mark.parametrize(
    "view", [VIEW, np.array(VIEW), [0, 2], (0, 2), [-2, -4], slice(0, 3, 2), np.array([0, 2])], ids=str
)
def test_all_forms_say_the_same_of_a_vector(view):
    assert parse_view(view, VECTOR) == VIEW


def test_keys_are_kept_in_the_order_of_the_space():
    assert parse_view(["rest", "number"], DICT) == ["number", "rest"]
    assert parse_view(None, DICT) is None


@pytest.mark.parametrize(
    ("view", "space", "words"),
    [
        ([True, False], VECTOR, ["4 numbers", "indices"]),
        ([4], VECTOR, ["4 numbers"]),
        (slice(4, None), VECTOR, ["see nothing"]),
        ([False] * 4, VECTOR, ["see nothing"]),
        ([], DICT, ["see nothing"]),
        (["colour"], DICT, ["colour", "number", "place", "rest"]),
        ("rest", DICT, ["list of the keys"]),
        ([0], DICT, ["list of the keys"]),
        ([0], spaces.Discrete(3), ["Discrete(3)", "Dict observation"]),
        ([0], spaces.Box(0, 255, (3, 8, 8), np.uint8), ["Dict observation"]),
    ],
)
def test_views_that_do_not_fit_are_refused(view, space, words):
    with refuses(*words):
        parse_view(view, space)


@pytest.mark.parametrize("share", [True, False])
def test_what_is_hidden_changes_nothing_by_any_way(share):
    column = column_of(share_features_extractor=share)
    first = th.randn(5, 4)
    second = first.clone()
    second[:, [1, 3]] = 7.0
    moved = first.clone()
    moved[:, 2] += 1.0
    for read in (
        lambda rows: column.get_distribution(rows).distribution.logits,
        column.predict_values,
        lambda rows: evaluate_actor(column, rows),
        lambda rows: evaluate_column(column, rows)[1],
        lambda rows: column.evaluate_actions(rows, th.zeros(5))[0],
    ):
        assert th.equal(read(first), read(second))
        assert not th.equal(read(first), read(moved))
    assert column.predict(first.numpy(), deterministic=True)[0].shape == (5,)


def test_hidden_keys_of_a_dict_are_zeros():
    column = column_of(["rest"], MultiInputColumn, DICT)
    rows = {"place": th.randn(5, 4), "number": th.tensor([0, 1, 2, 1, 0]), "rest": th.randn(5, 2)}
    others = {"place": th.zeros(5, 4), "number": th.zeros(5, dtype=th.long), "rest": rows["rest"]}
    logits = column.get_distribution(rows).distribution.logits
    assert th.equal(logits, column.get_distribution(others).distribution.logits)
    assert not th.equal(logits, column.get_distribution({**rows, "rest": others["place"][:, :2]}).distribution.logits)


def test_the_layer_behind_hidden_inputs_is_zero_and_stays_so():
    th.manual_seed(0)
    column = Column(VECTOR, spaces.Discrete(3), rate, net_arch=[6], view=VIEW)
    optimizer = th.optim.RMSprop(column.parameters(), lr=0.1)
    for _ in range(3):
        values, log_prob, _ = column.evaluate_actions(th.randn(8, 4), th.zeros(8))
        (values.square().sum() - log_prob.sum()).backward()
        optimizer.step()
    policy, value = first_weights(column)
    for weight in (policy, value):
        assert not weight[:, [1, 3]].any()
        assert weight[:, [0, 2]].all()
    # So that a network which sees all acts likewise with these weights.
    seeing = Column(VECTOR, spaces.Discrete(3), rate, net_arch=[6])
    seeing.load_state_dict(column.state_dict())
    rows = th.randn(5, 4)
    th.testing.assert_close(seeing.predict_values(rows), column.predict_values(rows))


def test_an_lstm_sees_no_more():
    column = LstmColumn(VECTOR, spaces.Discrete(3), rate, lstm_hidden_size=5, view=VIEW)
    (weight,) = first_weights(column)
    assert not weight[:, [1, 3]].any() and weight[:, [0, 2]].all()
    randomize(column)
    first, second = np.ones((2, 4), np.float32), np.ones((2, 4), np.float32)
    second[:, 1] = -1.0
    states = [column.predict(rows, deterministic=True)[1] for rows in (first, second)]
    np.testing.assert_array_equal(states[0], states[1])


def test_features_that_learn_from_zeros_keep_their_weights():
    space = spaces.Dict({"image": spaces.Box(0, 255, (3, 36, 36), np.uint8), "place": VECTOR})
    th.manual_seed(0)
    column = MultiInputColumn(space, spaces.Discrete(3), rate, net_arch=[6], view=["image"])
    assert all(weight.all() for weight in first_weights(column))


def test_a_copy_sees_no_more():
    column = deepcopy(column_of())
    rows = th.randn(5, 4)
    hidden = rows.clone()
    hidden[:, 1] = 3.0
    assert th.equal(column.predict_values(rows), column.predict_values(hidden))


@pytest.mark.parametrize("column_class", [Column, CnnColumn])
def test_a_column_without_a_view_is_saved_as_before(column_class):
    space = VECTOR if column_class is Column else spaces.Box(0, 255, (3, 36, 36), np.uint8)
    assert "view" not in column_of(None, column_class, space)._get_constructor_parameters()
