"""The seven algorithms of Table 1: each is told from the others by what it does."""

import pytest
import torch as th
from helpers import (
    Networks,
    TableEnv,
    assert_equal_parameters,
    copied_parameters,
    distral,
    gradients_of,
    roll_out,
    steps_between,
    table_tasks,
    with_sgd,
    written_out_loss,
)

from sb3_distral import ALGORITHMS
from sb3_distral.algorithms.table1 import algorithm_arguments

BETA = 2.0

# Name: α, share of h in the logits, share of f, entropy bonus in the loss.
TABLE_1 = {
    "A3C_multitask": (0.0, 1.0, 0.0, 1 / BETA),
    "A3C": (0.0, 0.0, 1.0, 1 / BETA),
    "A3C_2col": (0.0, 0.5, 1.0, 1 / BETA),
    "KL_1col": (1.0, 0.0, 1.0, 0.0),
    "KL_2col": (1.0, 1.0, 1.0, 0.0),
    "KL+ent_1col": (0.5, 0.0, 1.0, 0.0),
    "KL+ent_2col": (0.5, 0.5, 1.0, 0.0),
}
A3C_ROW = ["A3C_multitask", "A3C", "A3C_2col"]


def model_of(name, **arguments):
    return distral(table_tasks(2), **(with_sgd() | algorithm_arguments(name, BETA) | arguments))


def update(name, **arguments):
    """
    :return: The model, networks before and after one update, and the roll-out between them
    """
    model = model_of(name, **arguments)
    before = Networks.of(model)
    rows = roll_out(model)
    model.train()
    return model, before, Networks.of(model), rows


def test_there_are_the_seven_of_table_1():
    assert set(ALGORITHMS) == set(TABLE_1)


@pytest.mark.parametrize("name", TABLE_1)
def test_every_algorithm_learns_with_its_default_arguments(name):
    model = distral(table_tasks(2, time_limit=5), **ALGORITHMS[name])
    before = copied_parameters(model.policy)
    model.learn(5 * 2 * model.n_steps)
    after = copied_parameters(model.policy)
    assert all(parameter.isfinite().all() for parameter in after.values())
    assert any(not th.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", TABLE_1)
def test_logits_are_those_of_table_1(name):
    _, share_of_h, share_of_f, _ = TABLE_1[name]
    model, rows = model_of(name), th.eye(4)
    networks = Networks.of(model)
    for task in range(2):
        h, f = networks.distilled_log_policy(rows), networks.column(task).get_distribution(rows).distribution.logits
        expected = (share_of_h * h + share_of_f * f).softmax(dim=1)
        got = model.task_policy(task).get_distribution(rows).distribution.probs
        th.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TABLE_1)
def test_rewards_are_regularized_where_table_1_has_distral(name):
    alpha = TABLE_1[name][0]
    _, before, _, rows = update(name)
    scale = 0.0 if name in A3C_ROW else 1.0
    for row, task in enumerate(rows.tasks.tolist()):
        observation, action = rows.observations[row : row + 1], int(rows.actions[row])
        own = TableEnv(task).rewards[int(observation.argmax()), action]
        log_prior = before.distilled_log_policy(observation)[0, action].item()
        log_own = before.task_log_policy(task, observation)[0, action].item()
        expected = own + scale * (alpha * log_prior - log_own) / BETA
        assert float(rows.rewards[row]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", TABLE_1)
def test_an_update_is_the_gradient_of_table_1s_loss(name):
    model, before, after, rows = update(name)
    assert model.ent_coef == TABLE_1[name][3]
    written_out_loss(model, before, rows).backward()
    (distilled, columns), (expected_distilled, expected_columns) = steps_between(before, after), before.gradients()
    for step, expected in zip([distilled, *columns], [expected_distilled, *expected_columns], strict=True):
        assert_equal_parameters(step, expected, rtol=1e-4, atol=1e-5)


def test_a3c_leaves_the_distilled_policy_untrained():
    _, before, after, _ = update("A3C")
    assert_equal_parameters(copied_parameters(before.distilled), copied_parameters(after.distilled))
    model = distral(table_tasks(2), **ALGORITHMS["A3C"])
    initial = copied_parameters(model.distilled_policy)
    model.learn(10 * 2 * model.n_steps)
    assert_equal_parameters(copied_parameters(model.distilled_policy), initial)


def test_a3cs_tasks_share_nothing():
    # The first task's policy is the same whatever the second one is.
    updated = []
    for scale in (1.0, 50.0):
        tasks = [lambda: TableEnv(0), lambda scale=scale: TableEnv(1, reward_scale=scale)]
        model = distral(tasks, **ALGORITHMS["A3C"])
        th.manual_seed(0)
        roll_out(model)
        model.train()
        updated.append(copied_parameters(model.task_policy(0)))
    assert_equal_parameters(*updated)


def test_a3c_multitask_has_one_policy_for_all_tasks():
    _, _, after, _ = update("A3C_multitask")
    model = model_of("A3C_multitask")
    roll_out(model)
    model.train()
    expected = copied_parameters(model.distilled_policy)
    for task in range(2):
        assert_equal_parameters(copied_parameters(model.task_policy(task)), expected)
    assert after.columns == []


@pytest.mark.parametrize("name", ["KL_1col", "KL+ent_1col"])
def test_one_column_distral_trains_the_distilled_policy_by_the_second_term_of_10_alone(name):
    model, before, after, rows = update(name)
    written_out_loss(model, before, rows, policy_gradient=False).backward()
    step, _ = steps_between(before, after)
    assert_equal_parameters(step, gradients_of(before.distilled), rtol=1e-4, atol=1e-5)
    assert max(float(change.abs().max()) for change in step.values()) > 1e-3


@pytest.mark.parametrize("name", ["KL_2col", "KL+ent_2col"])
def test_two_column_distral_trains_the_distilled_policy_by_both_terms_of_10(name):
    model, before, after, rows = update(name)
    step, _ = steps_between(before, after)
    for parts in ({"policy_gradient": False}, {"distillation": False}):
        before.distilled.zero_grad()
        written_out_loss(model, before, rows, **parts).backward()
        alone = gradients_of(before.distilled)
        assert max(float((step[key] - alone[key]).abs().max()) for key in step) > 1e-3


def test_a3c_2col_trains_the_distilled_column_by_the_policy_gradient_alone():
    model, before, after, rows = update("A3C_2col")
    written_out_loss(model, before, rows, distillation=False).backward()
    step, _ = steps_between(before, after)
    assert_equal_parameters(step, gradients_of(before.distilled), rtol=1e-4, atol=1e-5)
    assert max(float(change.abs().max()) for change in step.values()) > 1e-3


def test_beta_sets_the_total_cost_of_every_algorithm():
    for name, (alpha, _, _, _) in TABLE_1.items():
        model = distral(table_tasks(2), **algorithm_arguments(name, beta=8.0))
        total = float((model.costs.kl + model.costs.entropy)[0]) + model.ent_coef
        assert total == pytest.approx(1 / 8)
        assert model.costs.kl[0] == pytest.approx(alpha / 8)


def test_an_unknown_name_is_refused_with_those_of_table_1():
    with pytest.raises(ValueError, match=r"no algorithm 'PPO' in Table 1.*KL_2col"):
        algorithm_arguments("PPO")
