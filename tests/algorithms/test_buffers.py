"""Minibatches: every task in proportion, every row once, and whole sequences where columns remember."""

import functools

import numpy as np
import pytest
import torch as th
from helpers import distral, roll_out, table_task, table_tasks
from hypothesis import given
from hypothesis import strategies as st
from recurrent_helpers import recurrent
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import DistralPPO, RecurrentDistralPPO
from sb3_distral.algorithms.buffers import deal

from .updates import unequal_tasks

ppo = functools.partial(distral, algorithm=DistralPPO)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 40), st.integers(0, 10**6))
def test_every_run_of_rows_holds_each_task_in_proportion(tasks, size, seed):
    tasks = np.array(tasks)
    order = np.random.default_rng(seed).permutation(len(tasks))
    dealt = deal(order, tasks[order])
    assert sorted(dealt.tolist()) == list(range(len(tasks)))
    for first in range(0, len(tasks), size):
        run = tasks[dealt[first : first + size]]
        for task in np.unique(tasks):
            share = (tasks == task).sum() / len(tasks) * len(run)
            # Within a row at each end of a run, for each task that has its turn there.
            assert abs((run == task).sum() - share) <= 2 + len(np.unique(tasks)) / 2


@given(st.integers(1, 20), st.integers(2, 4), st.integers(0, 10**6))
def test_equal_tasks_take_turns(n_rows, n_tasks, seed):
    tasks = np.repeat(np.arange(n_tasks), n_rows)
    order = np.random.default_rng(seed).permutation(len(tasks))
    dealt = tasks[deal(order, tasks[order])].reshape(n_rows, n_tasks)
    assert (np.sort(dealt, axis=1) == np.arange(n_tasks)).all()


def test_dealing_keeps_the_random_order_within_a_task():
    order = np.random.default_rng(0).permutation(30)
    tasks = np.repeat([0, 1, 2], 10)
    dealt = deal(order, tasks[order])
    for task in range(3):
        assert dealt[tasks[dealt] == task].tolist() == order[tasks[order] == task].tolist()
    assert deal(order, np.zeros(30)).tolist() == order.tolist()


def batches_of(model, batch_size):
    return list(model.rollout_buffer.get(batch_size))


def tasks_of(data):
    return data.observations["task"].long().flatten().tolist()


@pytest.mark.parametrize(
    ("tasks", "shares"),
    [(lambda: table_tasks(3), [4, 4, 4]), (unequal_tasks, [2, 6, 4])],
    ids=["equal", "unequal"],
)
def test_minibatches_hold_every_task_in_proportion_and_every_row_once(tasks, shares):
    model = ppo(tasks(), n_steps=24)
    rows = roll_out(model)
    batches = batches_of(model, 12)
    assert len(batches) == 24 * model.n_envs // 12
    for data in batches:
        own = tasks_of(data)
        assert own == sorted(own)
        assert np.abs(np.bincount(own, minlength=3) - shares).max() <= 1
    together = th.cat([data.returns for data in batches])
    assert sorted(together.tolist()) == sorted(rows.returns.tolist())
    other = batches_of(model, 12)
    assert sorted(th.cat([data.returns for data in other]).tolist()) == sorted(together.tolist())
    assert not all(th.equal(one.returns, two.returns) for one, two in zip(batches, other, strict=True))


def test_the_rows_of_a_minibatch_belong_together():
    model = ppo(unequal_tasks(), n_steps=10)
    roll_out(model)
    whole = batches_of(model, None)[0]
    advantages = dict(zip(whole.returns.tolist(), whole.advantages.tolist(), strict=True))
    states = dict(zip(whole.returns.tolist(), whole.observations["obs"].tolist(), strict=True))
    for data in batches_of(model, 9):
        for row, number in enumerate(data.returns.tolist()):
            assert advantages[number] == data.advantages[row].item()
            assert states[number] == data.observations["obs"][row].tolist()


def test_with_one_task_the_minibatches_are_those_of_stable_baselines3():
    model = ppo([table_task(0)], n_envs_per_task=3, n_steps=8)
    roll_out(model)
    np.random.seed(5)
    own, next_own = batches_of(model, 10), np.random.rand()
    np.random.seed(5)
    expected, next_expected = list(as_sb3s(model.rollout_buffer).get(10)), np.random.rand()
    assert next_own == next_expected
    for one, other in zip(own, expected, strict=True):
        assert sorted(one.returns.tolist()) == sorted(other.returns.tolist())


def as_sb3s(buffer):
    """The same numbers in a buffer of Stable-Baselines3."""
    plain = DictRolloutBuffer(
        buffer.buffer_size, buffer.observation_space, buffer.action_space, "cpu", n_envs=buffer.n_envs
    )
    plain.__dict__.update(buffer.__dict__)
    return plain


# Sequences


def recurrent_model(counts, n_steps=6, **arguments):
    tasks = [DummyVecEnv([table_task(task, time_limit=4)] * count) for task, count in enumerate(counts)]
    return recurrent(tasks, algorithm=RecurrentDistralPPO, n_steps=n_steps, **arguments)


@pytest.mark.parametrize(
    ("counts", "batch_size", "sizes"),
    [
        ((2, 2), 12, [2, 2]),
        ((2, 2), 6, [2, 2]),
        ((4, 2), 18, [3, 3]),
        ((2, 2), 20, [3, 1]),
        ((2, 2), 24, [4]),
        ((2, 2), 100, [4]),
        ((1, 1, 1), 8, [3]),
    ],
)
def test_recurrent_minibatches_are_whole_sequences_with_every_task(counts, batch_size, sizes):
    model = recurrent_model(counts)
    roll_out(model)
    whole = batches_of(model, None)[0]
    hidden = whole.lstm_states.pi[0].clone()
    by_first_return = {whole.returns[6 * env].item(): env for env in range(sum(counts))}
    batches, seen = batches_of(model, batch_size), []
    assert [len(data.returns) // 6 for data in batches] == sizes
    for data in batches:
        envs = [by_first_return[data.returns[first].item()] for first in range(0, len(data.returns), 6)]
        seen += envs
        for sequence, env in enumerate(envs):
            own, expected = slice(6 * sequence, 6 * sequence + 6), slice(6 * env, 6 * env + 6)
            for name in ("returns", "advantages", "old_values", "old_log_prob", "episode_starts", "actions"):
                assert th.equal(getattr(data, name)[own], getattr(whole, name)[expected]), name
            for key, rows in data.observations.items():
                assert th.equal(rows[own], whole.observations[key][expected]), key
            assert th.equal(data.lstm_states.pi[0][:, sequence], hidden[:, env])
        if len(envs) >= len(counts):
            assert set(tasks_of(data)) == set(range(len(counts)))
        assert tasks_of(data) == sorted(tasks_of(data))
    assert sorted(seen) == list(range(sum(counts)))


def test_sequences_come_in_another_order_each_time():
    model = recurrent_model((4, 4))
    roll_out(model)
    orders = {tuple(data.returns[0].item() for data in batches_of(model, 12)) for _ in range(5)}
    assert len(orders) > 1


def test_recurrent_minibatches_start_from_the_states_before_the_roll_out():
    """The policies of a second roll-out, taken apart into minibatches, are those that acted."""
    model = recurrent_model((2, 2), n_epochs=1, batch_size=12)
    model.learn(24)
    roll_out(model)
    for data in batches_of(model, 12):
        with th.no_grad():
            evaluation = model.policy.evaluate(data.observations, model._batch_memory(data))
        log_prob = model.policy.family.log_prob(evaluation.task_parameters, data.actions)
        th.testing.assert_close(log_prob, data.old_log_prob, rtol=1e-4, atol=1e-5)
