"""The algorithm: A2C where it must equal it, and each part of an update against the same written out in loops."""

import functools

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from helpers import (
    N_STATES,
    LogKeeper,
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
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from sb3_distral import DistralA2C, make_task_vec_env

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
COSTS = {"alpha": 0.6, "beta": 4.0}


def unequal_tasks(counts=(1, 3, 2), **arguments):
    """Tasks with different numbers of sub-environments."""
    return [DummyVecEnv([table_task(task, **arguments)] * count) for task, count in enumerate(counts)]


def assert_equal_steps(got, expected):
    for own, other in zip((got[0], *got[1]), (expected[0], *expected[1]), strict=True):
        assert_equal_parameters(own, other, **CLOSE)


def size(step):
    return max(float(change.abs().max()) for change in step.values())


# A2C where there is nothing to distil


@functools.cache
def a2cs_parameters():
    """CartPole, two sub-environments, 50 updates."""
    model = A2C("MlpPolicy", make_vec_env("CartPole-v1", 2), seed=3, device="cpu")
    initial = copied_parameters(model.policy)
    th.manual_seed(7)
    model.learn(50 * 5 * 2)
    return initial, copied_parameters(model.policy)


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
def test_one_task_without_costs_is_a2c(vec_env_cls):
    initial, expected = a2cs_parameters()
    env = make_task_vec_env(["CartPole-v1"], 2, vec_env_cls=vec_env_cls)
    model = DistralA2C(env, architecture="one_column", beta=float("inf"), seed=3, device="cpu")
    distilled = copied_parameters(model.distilled_policy)
    assert_equal_parameters(copied_parameters(model.task_policy(0)), initial)
    th.manual_seed(7)
    model.learn(50 * 5 * 2)
    env.close()
    assert size({name: expected[name] - initial[name] for name in initial}) > 1e-2
    assert_equal_parameters(copied_parameters(model.task_policy(0)), expected, rtol=1e-4, atol=1e-5)
    assert_equal_parameters(copied_parameters(model.distilled_policy), distilled)


def test_one_shared_network_without_costs_is_a2c():
    _, expected = a2cs_parameters()
    model = DistralA2C(
        ["CartPole-v1"], n_envs_per_task=2, architecture="shared", beta=float("inf"), seed=3, device="cpu"
    )
    th.manual_seed(7)
    model.learn(50 * 5 * 2)
    assert_equal_parameters(copied_parameters(model.distilled_policy), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"ent_coef": 0.05, "vf_coef": 0.3},
        {"normalize_advantage": True},
        {"gae_lambda": 0.8, "gamma": 0.7},
        {"use_rms_prop": False, "learning_rate": lambda remaining: 0.01 * remaining},
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a2cs_arguments_mean_what_they_mean_to_a2c(arguments):
    common = {"policy_kwargs": {"net_arch": [8]}, "seed": 1, "device": "cpu", "n_steps": 6, **arguments}
    a2c = A2C("MlpPolicy", DummyVecEnv([table_task(0, time_limit=7)] * 3), **common)
    model = DistralA2C(
        [table_task(0, time_limit=7)], n_envs_per_task=3, architecture="one_column", beta=float("inf"), **common
    )
    for each in (a2c, model):
        th.manual_seed(7)
        each.learn(20 * 6 * 3)
    assert_equal_parameters(copied_parameters(model.task_policy(0)), copied_parameters(a2c.policy), **CLOSE)


# Rewards and returns


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
@pytest.mark.parametrize(("alpha", "beta"), [(0.6, 4.0), (1.0, 2.0), (0.0, 2.0)])
def test_rewards_are_the_regularized_ones(architecture, alpha, beta):
    model = distral(table_tasks(2), n_envs_per_task=2, architecture=architecture, alpha=alpha, beta=beta)
    before = Networks.of(model)
    rows = roll_out(model)
    assert set(rows.tasks.tolist()) == {0, 1}
    for row, task in enumerate(rows.tasks.tolist()):
        observation, action = rows.observations[row : row + 1], int(rows.actions[row])
        own = TableEnv(task).rewards[int(observation.argmax()), action]
        log_prior = before.distilled_log_policy(observation)[0, action].item()
        log_own = before.task_log_policy(task, observation)[0, action].item()
        expected = own + alpha / beta * log_prior - log_own / beta
        assert float(rows.rewards[row]) == pytest.approx(expected, abs=1e-5)


def test_without_costs_rewards_are_the_tasks_own():
    rows = roll_out(distral(table_tasks(2), beta=float("inf")))
    for row, task in enumerate(rows.tasks.tolist()):
        own = TableEnv(task).rewards[int(rows.observations[row].argmax()), int(rows.actions[row])]
        assert float(rows.rewards[row]) == np.float32(own)


def test_returns_and_advantages_by_hand_with_time_limits_and_ends():
    # A truncated episode goes on with its own task's value of the state it was cut at, an ended one with nothing.
    gamma, gae_lambda = 0.8, 0.9
    environment = {"time_limit": 4, "terminal_state": 2}
    arguments = {"n_envs_per_task": 3, "n_steps": 12, "gamma": gamma, "gae_lambda": gae_lambda}
    model = distral(table_tasks(2, **environment), **COSTS, **arguments)
    networks = Networks.of(model)
    rows = roll_out(model)
    n_envs = 6
    last_states = model._last_obs["obs"].argmax(axis=1)

    def value(task, state):
        return networks.column(task).predict_values(th.eye(N_STATES)[[state]]).item()

    n_truncated = n_terminated = 0
    for env in range(n_envs):
        task, episode_length, steps = env // 3, 0, []
        states, actions = rows.observations[env::n_envs].argmax(dim=1).tolist(), rows.actions[env::n_envs].tolist()
        for state, action in zip(states, actions, strict=True):
            table = TableEnv(task, **environment)
            row = th.eye(N_STATES)[[state]]
            prior = networks.distilled_log_policy(row)[0, action].item()
            own = networks.task_log_policy(task, row)[0, action].item()
            reward = table.rewards[state, action] + 0.6 / 4.0 * prior - own / 4.0
            next_state, episode_length = int(table.next_states[state, action]), episode_length + 1
            terminated, truncated = next_state == 2, episode_length == 4 and next_state != 2
            n_terminated, n_truncated = n_terminated + terminated, n_truncated + truncated
            # Where the episode goes on, the next state's value is what the critic says of it.
            steps.append((reward, value(task, state), next_state, terminated, truncated))
            episode_length = 0 if terminated or truncated else episode_length
        following = 0.0
        for t in reversed(range(12)):
            reward, own_value, next_state, terminated, truncated = steps[t]
            assert t < 11 or terminated or truncated or next_state == last_states[env]
            delta = reward - own_value + (0.0 if terminated else gamma * value(task, next_state))
            following = delta + (0.0 if terminated or truncated else gamma * gae_lambda * following)
            row = t * n_envs + env
            assert float(rows.advantages[row]) == pytest.approx(following, abs=1e-4)
            assert float(rows.returns[row]) == pytest.approx(following + own_value, abs=1e-4)
    assert n_truncated > 0
    assert n_terminated > 0


class InfoKeeper(BaseCallback):
    def __init__(self):
        super().__init__()
        self.task_rewards = []
        self.rewards = []

    def _on_step(self):
        self.task_rewards.append([info["task_reward"] for info in self.locals["infos"]])
        self.rewards.append(self.locals["rewards"].tolist())
        return True


def test_info_and_logged_returns_are_the_tasks_own():
    tasks = {
        "one": table_task(0, constant_reward=1.0, time_limit=4),
        "ten": table_task(1, constant_reward=10.0, time_limit=5),
    }
    model = distral(tasks, alpha=0.5, beta=0.5, n_envs_per_task=2, n_steps=10)
    keeper, log = InfoKeeper(), LogKeeper.of(model)
    model.learn(40, keeper, log_interval=1)
    assert keeper.task_rewards == [[1.0, 1.0, 10.0, 10.0]] * 10
    assert np.abs(np.array(keeper.rewards) - np.array(keeper.task_rewards)).min() > 0
    assert log.logs[-1]["rollout/one/ep_rew_mean"] == 4.0
    assert log.logs[-1]["rollout/one/ep_len_mean"] == 4.0
    assert log.logs[-1]["rollout/ten/ep_rew_mean"] == 50.0
    assert log.logs[-1]["rollout/ten/ep_len_mean"] == 5.0


def test_logged_divergence_and_entropy_are_those_of_each_task():
    model = distral(table_tasks(2), **COSTS)
    networks, log = Networks.of(model), LogKeeper.of(model)
    callback = prepare(model)
    rows = roll_out(model, callback)
    model.train()
    model.dump_logs()
    for task in range(2):
        observations = rows.of_task(task).observations
        own, prior = networks.task_log_policy(task, observations), networks.distilled_log_policy(observations)
        kl, entropy = (own.exp() * (own - prior)).sum(1).mean().item(), -(own.exp() * own).sum(1).mean().item()
        assert log.logs[-1][f"distral/table-{task}/kl"] == pytest.approx(kl, abs=1e-5)
        assert log.logs[-1][f"distral/table-{task}/entropy"] == pytest.approx(entropy, abs=1e-5)


# The update, written out


def one_update(tasks, **arguments):
    """
    :return: Parameter steps of π0 and the columns, the gradients of the loss written out, and the model
    """
    model = distral(tasks, **(with_sgd() | arguments))
    before = Networks.of(model)
    rows = roll_out(model)
    model.train()
    written_out_loss(model, before, rows).backward()
    return steps_between(before, Networks.of(model)), before.gradients(), model


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


class CostKeeper(BaseCallback):
    def __init__(self):
        super().__init__()
        self.alphas = []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.alphas.append(self.model.costs.alpha[0].item())


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


# Alternating


def fit_by_hand(model, distilled, rows, log_policies, n_epochs, values):
    """Gradient descent on the distillation loss of a separate π0."""
    optimizer = th.optim.SGD(distilled.parameters(), lr=1.0)
    for _ in range(n_epochs):
        loss = th.zeros(())
        for task in range(model.n_tasks):
            own = rows.of_task(task)
            prior = distilled.get_distribution(own.observations).distribution.logits
            loss = loss - model.costs.kl[task] * (log_policies[task].exp() * prior).sum(dim=1).mean()
            difference = distilled.predict_values(own.observations)[:, 0] - values[task]
            loss = loss + model.value_l2_coef * difference.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
@pytest.mark.parametrize(("n_epochs", "value_l2_coef"), [(1, 0.0), (3, 0.0), (2, 0.2)])
def test_alternating_fits_the_distilled_policy_and_then_trains_against_it(architecture, n_epochs, value_l2_coef):
    model = distral(
        unequal_tasks(),
        architecture=architecture,
        optimization="alternating",
        distillation_epochs=n_epochs,
        value_l2_coef=value_l2_coef,
        **with_sgd(),
        **COSTS,
    )
    before = Networks.of(model)
    rows = roll_out(model)

    fitted = Networks.of(model)
    with th.no_grad():
        log_policies = [before.task_log_policy(task, rows.of_task(task).observations) for task in range(3)]
        values = [before.column(task).predict_values(rows.of_task(task).observations)[:, 0] for task in range(3)]
    moved = steps_between(before, fitted)
    assert size(moved[0]) > 1e-3
    assert all(size(step) == 0.0 for step in moved[1])
    by_hand = Networks.of(model)._replace(distilled=before.distilled)
    fit_by_hand(model, by_hand.distilled, rows, log_policies, n_epochs, values)
    assert_equal_parameters(copied_parameters(fitted.distilled), copied_parameters(by_hand.distilled), **CLOSE)

    model.train()
    after = Networks.of(model)
    assert_equal_parameters(copied_parameters(after.distilled), copied_parameters(fitted.distilled))
    written_out_loss(model, fitted, rows, distillation=False).backward()
    for step, expected in zip(steps_between(fitted, after)[1], fitted.gradients()[1], strict=True):
        assert_equal_parameters(step, expected, **CLOSE)
        assert size(step) > 1e-3


def test_alternating_with_rmsprop_keeps_the_distilled_policy_fixed_while_the_tasks_train():
    # An optimizer with a memory moves parameters whose gradient is zero; only a missing one leaves them in place.
    model = distral(table_tasks(2), optimization="alternating", **COSTS)
    callback = prepare(model)
    for _ in range(4):
        before = copied_parameters(model.distilled_policy)
        roll_out(model, callback)
        fitted = copied_parameters(model.distilled_policy)
        assert any(not th.equal(before[name], fitted[name]) for name in before)
        model.train()
        assert_equal_parameters(copied_parameters(model.distilled_policy), fitted)


def test_alternating_without_task_columns_is_refused():
    with pytest.raises(ValueError, match="nothing alternates"):
        distral(table_tasks(2), optimization="alternating", architecture="shared")
    with pytest.raises(ValueError, match="optimization='both' is unknown"):
        distral(table_tasks(2), optimization="both")


def test_alternating_without_any_epoch_is_refused():
    with pytest.raises(ValueError, match="distillation_epochs=0"):
        distral(table_tasks(2), optimization="alternating", distillation_epochs=0).learn(12)


# Together: the method does what it is for


def test_task_policies_move_towards_the_distilled_one_when_divergence_is_dear():
    # No reward at all: what is left is minus the divergence.
    tasks = table_tasks(2, constant_reward=0.0)
    model = distral(tasks, architecture="one_column", alpha=1.0, beta=1.0, n_envs_per_task=4, learning_rate=0.03)
    observations = th.eye(N_STATES)

    def divergence():
        networks = Networks.of(model)
        prior = networks.distilled_log_policy(observations)
        own = [networks.task_log_policy(task, observations) for task in range(2)]
        return sum((log.exp() * (log - prior)).sum(1).mean().item() for log in own)

    before = divergence()
    model.learn(60 * 8 * model.n_steps)
    assert divergence() < 0.1 * before


def test_continuous_actions_are_refused():
    with pytest.raises(ValueError, match="supports Discrete actions only"):
        DistralA2C([lambda: gym.make("Pendulum-v1")])
