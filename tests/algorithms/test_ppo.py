"""DistralPPO where it must equal PPO and DistralA2C, and each part of its update written out in loops."""

import functools

import numpy as np
import pytest
import torch as th
from helpers import (
    LogKeeper,
    Networks,
    Rows,
    a2cs_optimizer,
    assert_equal_parameters,
    copied_parameters,
    distral,
    prepare,
    roll_out,
    table_task,
    table_tasks,
    with_sgd,
    written_out_loss,
)
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralPPO
from sb3_distral.errors import UsageError

from .updates import CLOSE, COSTS, size, unequal_tasks

ppo = functools.partial(distral, algorithm=DistralPPO)
COLUMNS = pytest.mark.parametrize("architecture", ["one_column", "two_columns"])


# Where there is nothing to distil


HOSTS = {
    "a2c": (A2C, DistralA2C, {"n_steps": 8, "policy_kwargs": {"net_arch": [16], **a2cs_optimizer()}}),
    "ppo": (PPO, DistralPPO, {"n_steps": 32, "batch_size": 32, "n_epochs": 2}),
    # Three minibatches of each roll-out, the last of 14 rows.
    "ppo, cut": (PPO, DistralPPO, {"n_steps": 32, "batch_size": 25, "n_epochs": 3}),
}
ON_CARTPOLE = {
    "clip_range_vf": {"clip_range_vf": 0.1},
    "target_kl": {"target_kl": 1e-3, "learning_rate": 3e-3},
    "ent_coef and schedules": {"ent_coef": 0.02, "clip_range": lambda remaining: 0.3 * remaining, "vf_coef": 0.7},
    "plain advantages": {"normalize_advantage": False, "gae_lambda": 0.8},
}


@functools.cache
def hosts_parameters(host, env_id, arguments):
    """
    :return: The host's parameters before and after 20 updates, and its counter of updates
    """
    algorithm, _, own = HOSTS[host]
    model = algorithm("MlpPolicy", make_vec_env(env_id, 2), **common_arguments(own, arguments))
    initial = copied_parameters(model.policy)
    th.manual_seed(7)
    model.learn(20 * own["n_steps"] * 2)
    return initial, copied_parameters(model.policy), model._n_updates


def common_arguments(own, arguments):
    return {"policy_kwargs": {"net_arch": [16]}, "seed": 3, "device": "cpu", **own, **ON_CARTPOLE.get(arguments, {})}


@pytest.mark.parametrize("architecture", ["one_column", "shared"])
@pytest.mark.parametrize(
    ("host", "env_id", "arguments"),
    [
        *((host, "Pendulum-v1", "") for host in HOSTS),
        *(("ppo, cut", "CartPole-v1", arguments) for arguments in ON_CARTPOLE),
    ],
)
def test_one_task_without_costs_is_the_host(architecture, host, env_id, arguments):
    initial, expected, n_updates = hosts_parameters(host, env_id, arguments)
    _, algorithm, own = HOSTS[host]
    model = algorithm(
        [env_id],
        n_envs_per_task=2,
        architecture=architecture,
        beta=float("inf"),
        **common_arguments(own, arguments),
    )
    distilled = copied_parameters(model.distilled_policy)
    assert_equal_parameters(copied_parameters(model.task_policy(0)), initial)
    th.manual_seed(7)
    model.learn(20 * own["n_steps"] * 2)
    assert size({name: expected[name] - initial[name] for name in initial}) > 1e-3
    assert_equal_parameters(copied_parameters(model.task_policy(0)), expected, rtol=1e-3, atol=1e-5)
    assert model._n_updates == n_updates
    if architecture == "one_column":
        assert_equal_parameters(copied_parameters(model.distilled_policy), distilled)


def test_target_kl_stops_the_update_of_ppo_too():
    """Else the test above says nothing of it."""
    _, _, n_updates = hosts_parameters("ppo, cut", "CartPole-v1", "target_kl")
    assert 20 < n_updates < 20 * 3


@COLUMNS
def test_one_epoch_of_one_batch_is_distral_a2c(architecture):
    arguments = with_sgd(optimizer_class=th.optim.Adam) | COSTS
    arguments |= {"learning_rate": 0.01, "architecture": architecture, "gae_lambda": 0.9, "value_l2_coef": 0.1}
    a2c = distral(unequal_tasks(), **arguments)
    model = ppo(
        unequal_tasks(), n_epochs=1, batch_size=36, clip_range=0.01, normalize_advantage=False, gamma=0.99, **arguments
    )
    initial = copied_parameters(a2c.policy)
    assert_equal_parameters(copied_parameters(model.policy), initial)
    for each in (a2c, model):
        th.manual_seed(7)
        each.learn(5 * 36)
    expected = copied_parameters(a2c.policy)
    assert size({name: expected[name] - initial[name] for name in initial}) > 1e-2
    assert_equal_parameters(copied_parameters(model.policy), expected, **CLOSE)


# The update, written out


def written_out_ppo_loss(model, networks, data):
    """The loss of one minibatch, task by task and row by row."""
    tasks, actions = data.observations["task"].long().flatten(), data.actions.long().flatten()
    advantages = data.advantages.clone()
    for task in range(model.n_tasks):
        own = tasks == task
        if model.normalize_advantage:
            advantages[own] = (advantages[own] - advantages[own].mean()) / (advantages[own].std() + 1e-8)
    rows = Rows(data.observations["obs"], tasks, actions, data.returns, advantages, advantages)
    total = written_out_loss(model, networks, rows, policy_gradient=False)
    clip_range, clip_range_vf = model.clip_range(1.0), model.clip_range_vf
    for row, task in enumerate(tasks.tolist()):
        observation, n_rows = rows.observations[row : row + 1], int((tasks == task).sum())
        log_policy = networks.task_log_policy(task, observation)[0]
        ratio = (log_policy[actions[row]] - data.old_log_prob[row]).exp()
        limit = 1 + clip_range if advantages[row] > 0 else 1 - clip_range
        gone_too_far = ratio > limit if advantages[row] > 0 else ratio < limit
        gain = (limit if gone_too_far else ratio) * advantages[row]
        value = networks.column(task).predict_values(observation)[0, 0]
        if clip_range_vf is not None:
            reach, old = clip_range_vf(1.0), data.old_values[row]
            value = old + th.clamp(value - old, -reach, reach)
        entropy = -(log_policy.exp() * log_policy).sum()
        loss = -gain + model.vf_coef * (data.returns[row] - value) ** 2 - model.ent_coef * entropy
        total = total + loss / n_rows
    return total


@pytest.mark.parametrize("tasks", [lambda: table_tasks(3), unequal_tasks], ids=["equal", "unequal"])
@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("one_column", COSTS),
        ("two_columns", COSTS),
        ("shared", {"beta": float("inf"), "ent_coef": 0.1}),
        ("two_columns", COSTS | {"clip_range_vf": 0.05, "value_l2_coef": 0.3, "normalize_advantage": False}),
        ("one_column", {"alpha": 1.0, "beta": 2.0, "ent_coef": 0.3, "max_grad_norm": 0.2, "learning_rate": 2.0}),
    ],
)
def test_minibatches_one_after_the_other_are_the_loss_written_out(architecture, arguments, tasks, monkeypatch):
    """Three steps of two epochs each, by hand on copies of the networks: ratios leave the clip range on the way."""
    options = with_sgd() | {"learning_rate": 0.1, "clip_range": 0.05, "n_steps": 12} | arguments
    tasks = tasks()
    model = ppo(tasks, architecture=architecture, n_epochs=2, batch_size=24, **options)
    networks = Networks.of(model)
    roll_out(model)
    batches, get = [], model.rollout_buffer.get

    def get_and_keep(batch_size):
        for data in get(batch_size):
            batches.append(data)
            yield data

    monkeypatch.setattr(model.rollout_buffer, "get", get_and_keep)
    log = LogKeeper.of(model)
    model.train()
    model.logger.dump()
    assert len(batches) == 2 * -(-12 * model.n_envs // 24)
    optimizers = [
        th.optim.SGD(each.parameters(), lr=model.learning_rate) for each in (networks.distilled, *networks.columns)
    ]
    for data in batches:
        written_out_ppo_loss(model, networks, data).backward()
        for each, optimizer in zip((networks.distilled, *networks.columns), optimizers, strict=True):
            th.nn.utils.clip_grad_norm_(each.parameters(), model.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
    after = Networks.of(model)
    for own, by_hand in zip((after.distilled, *after.columns), (networks.distilled, *networks.columns), strict=True):
        assert_equal_parameters(copied_parameters(own), copied_parameters(by_hand), rtol=1e-3, atol=1e-5)
    assert log.logs[-1]["train/clip_fraction"] > 0.1
    assert log.logs[-1]["train/approx_kl"] > 0.0


@COLUMNS
def test_alternating_trains_the_tasks_against_the_fitted_distilled_policy(architecture):
    model = ppo(table_tasks(2), architecture=architecture, optimization="alternating", batch_size=8, **COSTS)
    before = copied_parameters(model.distilled_policy)
    roll_out(model)
    fitted = copied_parameters(model.distilled_policy)
    assert size({name: fitted[name] - before[name] for name in before}) > 0
    columns = copied_parameters(model.policy.task_columns)
    model.train()
    assert_equal_parameters(copied_parameters(model.distilled_policy), fitted)
    assert size({name: own - columns[name] for name, own in copied_parameters(model.policy.task_columns).items()}) > 0


# How far an update goes


def count_steps(model, monkeypatch):
    steps, step = [], model._step
    monkeypatch.setattr(model, "_step", lambda: steps.append(step()))
    return steps


@pytest.mark.parametrize("target_kl", [None, 1e-6, 1e6])
def test_target_kl_stops_the_update_when_the_policies_have_moved(target_kl, monkeypatch):
    model = ppo(table_tasks(2), n_steps=8, batch_size=8, n_epochs=3, learning_rate=0.1, target_kl=target_kl, **COSTS)
    roll_out(model)
    steps = count_steps(model, monkeypatch)
    model.train()
    # At the first minibatch nothing has moved yet.
    assert len(steps) == (1 if target_kl == 1e-6 else 2 * 3)
    assert model._n_updates == (1 if target_kl == 1e-6 else 3)


def test_the_log_of_an_update_that_target_kl_stops_is_that_of_its_last_whole_pass():
    """It stops at the first minibatch of the second pass, in which nothing was learned."""
    logged = []
    for arguments in ({"n_epochs": 1}, {"n_epochs": 3, "target_kl": 1e-6}):
        model = ppo(table_tasks(2), n_steps=8, batch_size=16, learning_rate=0.1, **arguments, **COSTS)
        callback, log = prepare(model), LogKeeper.of(model)
        roll_out(model, callback)
        model.train()
        model.dump_logs()
        logged.append({key: value for key, value in log.logs[-1].items() if not key.startswith("time/")})
    for name in ("table-0", "table-1"):
        assert {f"distral/{name}/kl", f"distral/{name}/entropy"} <= set(logged[0])
    assert {"train/approx_kl", "train/policy_gradient_loss", "train/n_updates"} <= set(logged[0])
    # As in PPO, a pass that was begun counts.
    assert [each.pop("train/n_updates") for each in logged] == [1, 2]
    assert logged[1] == logged[0]


def test_the_logged_divergences_are_those_of_the_last_pass_alone():
    """The second of two passes begins with the parameters that one pass of an equal model ends with."""
    once, twice = (
        ppo(table_tasks(2), n_steps=8, batch_size=16, n_epochs=n, learning_rate=0.1, **COSTS) for n in (1, 2)
    )
    for model in (once, twice):
        th.manual_seed(7)
        callback, log = prepare(model), LogKeeper.of(model)
        roll_out(model, callback)
        model.train()
    twice.dump_logs()
    (batch,) = once.rollout_buffer.get(16)
    evaluation = once.policy.evaluate(batch.observations, distilled=True)
    family, (parameters, prior) = once.policy.family, evaluation[1:3]
    for key, rows in (("entropy", family.entropy(parameters)), ("kl", family.kl_divergence(parameters, prior))):
        for task in range(2):
            expected = float(rows[evaluation.tasks == task].mean())
            assert log.logs[-1][f"distral/table-{task}/{key}"] == pytest.approx(expected, rel=1e-4)


def test_how_far_policies_have_moved_is_the_mean_over_tasks(monkeypatch):
    model = ppo(unequal_tasks(), n_steps=8, batch_size=48, n_epochs=1, **COSTS)
    callback, log = prepare(model), LogKeeper.of(model)
    roll_out(model, callback)
    buffer = model.rollout_buffer
    # As if the actions of task 1 alone had been twice as likely.
    buffer.log_probs[:, 1:4] += np.log(2.0)
    model.train()
    model.logger.dump()
    moved = 0.5 - 1 - np.log(0.5)
    assert log.logs[-1]["train/approx_kl"] == pytest.approx(moved / 3, abs=1e-5)
    assert log.logs[-1]["train/clip_fraction"] == pytest.approx(1 / 3)


def test_everything_that_ppo_logs_is_logged():
    logs = []
    arguments = {"n_steps": 16, "batch_size": 8}
    for model in (PPO("MlpPolicy", "Pendulum-v1", **arguments), DistralPPO(["Pendulum-v1"] * 2, **arguments)):
        log = LogKeeper.of(model)
        model.learn(64)
        logs.append({key for each in log.logs for key in each})
    expected = {key for key in logs[0] if not key.startswith("rollout/")}
    assert expected | {"distral/distillation_loss", "distral/Pendulum-v1-0/kl"} <= logs[1]


# One task's rewards do not reach another's step


@pytest.mark.parametrize("normalize_advantage", [False, True])
@pytest.mark.parametrize(("architecture", "n_epochs", "batch_size"), [("one_column", 3, 9), ("two_columns", 1, 18)])
def test_a_hundredfold_reward_of_one_task_leaves_the_others_update_as_it_was(
    architecture, n_epochs, batch_size, normalize_advantage
):
    """With two columns in one step: in the next π0, which is a part of all policies, has moved."""
    updated = []
    for scale in (1.0, 100.0):
        tasks = [table_task(0), table_task(1, reward_scale=scale), table_task(2)]
        model = ppo(
            tasks,
            architecture=architecture,
            n_epochs=n_epochs,
            batch_size=batch_size,
            normalize_advantage=normalize_advantage,
            learning_rate=0.1,
            **COSTS,
        )
        before = Networks.of(model)
        np.random.seed(1)
        roll_out(model)
        model.train()
        updated.append([copied_parameters(column) for column in Networks.of(model).columns])
    plain, scaled = updated
    assert_equal_parameters(plain[0], scaled[0])
    assert_equal_parameters(plain[2], scaled[2])
    assert any(not th.equal(plain[1][name], scaled[1][name]) for name in plain[1])
    assert any(not th.equal(plain[0][name], old) for name, old in copied_parameters(before.columns[0]).items())


# Tasks of few rows


@COLUMNS
def test_a_task_with_a_single_row_in_a_minibatch_trains_its_policy(architecture, monkeypatch):
    """The second minibatch holds 8 rows of 48, one of them of the task with one sub-environment of six."""
    options = with_sgd() | {"architecture": architecture, "n_steps": 8, "batch_size": 40, "n_epochs": 1} | COSTS
    model = ppo(unequal_tasks(), **options)
    roll_out(model)
    counts, steps, descend = [], [], model._descend

    def descend_and_compare(batch, *rows):
        before = copied_parameters(Networks.of(model).columns[0])
        losses = descend(batch, *rows)
        after = copied_parameters(Networks.of(model).columns[0])
        counts.append(int((batch.evaluation.tasks == 0).sum()))
        # The value has a network of its own.
        steps.append(size({name: after[name] - before[name] for name in before if "value" not in name}))
        return losses

    monkeypatch.setattr(model, "_descend", descend_and_compare)
    model.train()
    assert counts == [7, 1]
    assert all(1e-4 < step < float("inf") for step in steps)


# Errors


@pytest.mark.parametrize("algorithm", [DistralPPO, RecurrentDistralPPO])
def test_a_minibatch_too_small_for_all_tasks_is_refused(algorithm):
    with pytest.raises(UsageError, match=r"batch_size=5 was given with 3 tasks.*batch_size=6 or more"):
        algorithm(table_tasks(3), n_steps=8, batch_size=5)
    assert algorithm(table_tasks(3), n_steps=8, batch_size=6).batch_size == 6
    algorithm(table_tasks(3), n_steps=8, batch_size=2, normalize_advantage=False).learn(24)


def test_the_smallest_minibatch_is_that_of_the_task_with_the_fewest_sub_environments():
    with pytest.raises(UsageError, match=r"batch_size=11 was given with 3 tasks.*batch_size=12 or more"):
        ppo(unequal_tasks(), batch_size=11)
    assert ppo(unequal_tasks(), batch_size=12).batch_size == 12


def test_a_misspelt_argument_is_named():
    with pytest.raises(TypeError, match="'n_epoch'"):
        DistralPPO(table_tasks(2), n_epoch=3)
