"""What the wrapper of the tasks pays, what it refuses, and what becomes of it in returns, infos and logs."""

import numpy as np
import pytest
import torch as th
from helpers import (
    N_STATES,
    LogKeeper,
    Networks,
    TableEnv,
    distral,
    prepare,
    roll_out,
    table_task,
    table_tasks,
)
from stable_baselines3.common.callbacks import BaseCallback

from .updates import COSTS


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
