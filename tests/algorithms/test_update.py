"""Each part of an update of DistralA2C against the same written out in loops."""

import numpy as np
import pytest
import torch as th
from helpers import (
    Networks,
    Rows,
    TableEnv,
    assert_equal_parameters,
    copied_parameters,
    distral,
    prepare,
    roll_out,
    steps_between,
    table_task,
    table_tasks,
    with_sgd,
    written_out_loss,
)
from stable_baselines3.common.callbacks import BaseCallback

from .updates import COSTS, assert_equal_steps, one_update, size, unequal_tasks


class CostKeeper(BaseCallback):
    def __init__(self):
        super().__init__()
        self.alphas = []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.alphas.append(self.model.costs.alpha[0].item())


@pytest.mark.parametrize("architecture", ["shared", "one_column", "two_columns"])
@pytest.mark.parametrize("tasks", [lambda: table_tasks(3), unequal_tasks], ids=["equal", "unequal"])
def test_a_joint_update_is_the_gradient_of_the_sum_over_tasks_of_means(architecture, tasks):
    got, expected, _ = one_update(tasks(), architecture=architecture, **COSTS)
    assert_equal_steps(got, expected)
    assert all(size(step) > 1e-3 for step in (got[0], *got[1]))


def test_costs_of_each_task_reach_rewards_and_distillation():
    alpha, beta = {"table-0": 1.0, "table-1": 0.0, "table-2": 0.5}, [0.5, 1.0, 2.0]
    got, expected, model = one_update(table_tasks(3), architecture="one_column", alpha=alpha, beta=beta)
    th.testing.assert_close(model.costs.kl, th.tensor([2.0, 0.0, 0.25]))
    th.testing.assert_close(model.costs.entropy, th.tensor([0.0, 1.0, 0.25]))
    assert_equal_steps(got, expected)

    model = distral(table_tasks(3), alpha=alpha, beta=beta)
    networks, rows = Networks.of(model), roll_out(model)
    for task, (kl, total) in enumerate([(2.0, 2.0), (0.0, 1.0), (0.25, 0.5)]):
        own = rows.of_task(task)
        index = own.actions.unsqueeze(1)
        prior = networks.distilled_log_policy(own.observations).gather(1, index).squeeze(1)
        log_own = networks.task_log_policy(task, own.observations).gather(1, index).squeeze(1)
        table = th.tensor(TableEnv(task).rewards)[own.observations.argmax(1), own.actions]
        expected_rewards = (table + kl * prior - total * log_own).float()
        th.testing.assert_close(own.rewards, expected_rewards, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_scheduled_costs_reach_rewards_and_distillation(architecture):
    arguments = with_sgd() | {"alpha": lambda remaining: remaining, "beta": lambda remaining: 1 / (2 - remaining)}
    model = distral(table_tasks(2), architecture=architecture, **arguments)
    fixed = distral(table_tasks(2), architecture=architecture, **(with_sgd() | {"alpha": 0.25, "beta": 1 / 1.75}))
    steps = []
    for each in (model, fixed):
        callback = prepare(each, remaining=0.25)
        before = Networks.of(each)
        th.manual_seed(1)
        rows = roll_out(each, callback)
        before = before._replace(distilled_weights=each.policy.distilled_weights.tolist())
        each.train()
        steps.append((steps_between(before, Networks.of(each)), rows))
    (got, rows), (expected, expected_rows) = steps
    th.testing.assert_close(rows.rewards, expected_rows.rewards)
    assert_equal_steps(got, expected)
    assert size(got[0]) > 1e-3


def test_schedules_begin_anew_with_every_call_of_learn():
    model, keeper = distral(table_tasks(2), alpha=lambda remaining: remaining), CostKeeper()
    steps = 4 * model.n_steps * model.n_envs
    for _ in range(2):
        model.learn(steps, callback=keeper)
    model.learn(steps, callback=keeper, reset_num_timesteps=False)
    first_of_roll_out = np.array(keeper.alphas).reshape(3, 4, -1)[:, :, 0]
    np.testing.assert_allclose(first_of_roll_out, [[1, 0.75, 0.5, 0.25]] * 2 + [[0.5, 0.375, 0.25, 0.125]])


def test_schedules_follow_the_progress_of_learning():
    model, keeper = distral(table_tasks(2), alpha=lambda remaining: remaining, beta=2.0), CostKeeper()
    model.learn(4 * 2 * model.n_steps, keeper)
    assert keeper.alphas == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_the_entropy_bonus_in_the_loss_is_the_mean_of_each_task(architecture):
    costs = {"alpha": 1.0, "beta": 2.0, "ent_coef": 0.3, "vf_coef": 0.2}
    got, expected, _ = one_update(unequal_tasks(), architecture=architecture, **costs)
    assert_equal_steps(got, expected)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
@pytest.mark.parametrize("beta", [4.0, float("inf")])
def test_the_value_transfer_is_the_squared_difference_to_the_distilled_value(architecture, beta):
    got, expected, _ = one_update(unequal_tasks(), architecture=architecture, alpha=0.6, beta=beta, value_l2_coef=0.5)
    assert_equal_steps(got, expected)
    without, _, _ = one_update(unequal_tasks(), architecture=architecture, alpha=0.6, beta=beta)
    assert size({name: got[1][0][name] - without[1][0][name] for name in got[1][0]}) > 1e-3
    assert size({"value_net.weight": got[0]["value_net.weight"]}) > 1e-3


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_without_value_transfer_nothing_trains_the_distilled_value(architecture):
    assert distral(table_tasks(2)).value_l2_coef == 0.0
    got, _, _ = one_update(table_tasks(2), architecture=architecture, **COSTS)
    values = {name: step for name, step in got[0].items() if "value" in name}
    assert len(values) == 4
    assert size(values) == 0.0


def test_the_papers_coefficient_of_value_transfer():
    got, expected, _ = one_update(table_tasks(2), **COSTS, value_l2_coef=0.005)
    assert_equal_steps(got, expected)


def test_distillation_leaves_no_gradient_behind_for_the_next_update():
    model = distral(table_tasks(2), **with_sgd(), **COSTS)
    callback = prepare(model)
    for _ in range(3):
        before = Networks.of(model)
        rows = roll_out(model, callback)
        model.train()
        written_out_loss(model, before, rows).backward()
        assert_equal_steps(steps_between(before, Networks.of(model)), before.gradients())


def test_advantages_are_normalized_in_each_task_alone():
    arguments = with_sgd() | COSTS | {"architecture": "one_column"}
    model = distral(unequal_tasks(), normalize_advantage=True, **arguments)
    before, rows = Networks.of(model), roll_out(model)
    model.train()
    advantages = rows.advantages.clone()
    for task in range(3):
        own = rows.tasks == task
        advantages[own] = (advantages[own] - advantages[own].mean()) / advantages[own].std()
    written_out_loss(model, before, Rows(*rows)._replace(advantages=advantages)).backward()
    assert_equal_steps(steps_between(before, Networks.of(model)), before.gradients())


# One task's rewards do not reach another's step


@pytest.mark.parametrize("optimizer", ["RMSprop", "SGD"])
@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_a_hundredfold_reward_of_one_task_leaves_the_others_update_as_it_was(architecture, optimizer):
    policy_kwargs = {"net_arch": [8]} | ({"optimizer_class": th.optim.SGD} if optimizer == "SGD" else {})
    updated, before = [], None
    for scale in (1.0, 100.0):
        tasks = [table_task(0), table_task(1, reward_scale=scale), table_task(2)]
        model = distral(tasks, architecture=architecture, policy_kwargs=policy_kwargs, learning_rate=0.1, **COSTS)
        before = Networks.of(model)
        roll_out(model)
        model.train()
        updated.append([copied_parameters(column) for column in Networks.of(model).columns])
    plain, scaled = updated
    assert_equal_parameters(plain[0], scaled[0])
    assert_equal_parameters(plain[2], scaled[2])
    assert any(not th.equal(plain[1][name], scaled[1][name]) for name in plain[1])
    assert any(not th.equal(plain[0][name], old) for name, old in copied_parameters(before.columns[0]).items())


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_every_column_is_clipped_by_its_own_norm(architecture):
    arguments = with_sgd() | {"max_grad_norm": 0.05, "architecture": architecture} | COSTS
    model = distral([table_task(0), table_task(1, reward_scale=100.0)], **arguments)
    before, rows = Networks.of(model), roll_out(model)
    model.train()
    written_out_loss(model, before, rows).backward()
    for column in (before.distilled, *before.columns):
        th.nn.utils.clip_grad_norm_(column.parameters(), 0.05)
    assert_equal_steps(steps_between(before, Networks.of(model)), before.gradients())
