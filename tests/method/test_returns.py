"""Rewards in units of the spread of their returns: against sums written out, and for rewards of any factor."""

import numpy as np
import pytest

from sb3_distral.method.returns import LARGEST, ReturnScales

TASKS = np.array([0, 0, 1, 1, 1])
GAMMA = 0.9


def steps(n_steps=60, factors=(1.0, 1.0)):
    """Rewards and ends of five sub-environments of two tasks."""
    generator = np.random.default_rng(3)
    rewards = generator.normal([0.0, 0.0, 2.0, 2.0, 2.0], [1.0, 1.0, 0.3, 0.3, 0.3], size=(n_steps, 5))
    return rewards * np.array(factors)[TASKS], generator.random((n_steps, 5)) < 0.1


def run(scales, rewards, dones):
    return np.array([scales.normalize(*step) for step in zip(rewards, dones, strict=True)])


def test_rewards_are_divided_by_the_deviation_of_all_discounted_returns_of_their_task():
    rewards, dones = steps()
    normalized = run(ReturnScales(TASKS, GAMMA), rewards, dones)
    returns, seen = np.zeros(5), [[], []]
    for step, (own, done) in enumerate(zip(rewards, dones, strict=True)):
        returns = GAMMA * returns + own
        for env, task in enumerate(TASKS):
            seen[task].append(returns[env])
        if step > 0:
            expected = own / np.array([np.std(seen[task]) for task in TASKS])
            np.testing.assert_allclose(normalized[step], np.clip(expected, -LARGEST, LARGEST), rtol=1e-9)
        returns[done] = 0.0


def test_factors_of_two_change_nothing_and_other_factors_nothing_but_rounding():
    first = run(ReturnScales(TASKS, GAMMA), *steps())
    assert np.array_equal(first, run(ReturnScales(TASKS, GAMMA), *steps(factors=(1024.0, 0.125))))
    np.testing.assert_allclose(first, run(ReturnScales(TASKS, GAMMA), *steps(factors=(1000.0, 0.1))), rtol=1e-9)


def test_the_first_reward_of_a_sparse_task_is_cut():
    scales = ReturnScales(np.zeros(1000, dtype=np.int64), GAMMA)
    rewards, dones = np.zeros(1000), np.zeros(1000, dtype=bool)
    assert not scales.normalize(rewards, dones).any()
    rewards[7] = 1e-3
    assert scales.normalize(rewards, dones)[7] == LARGEST


def test_returns_that_are_all_alike_are_divided_by_their_size():
    scales = ReturnScales(np.array([0, 1]), GAMMA)
    assert scales.normalize(np.array([-500.0, 0.0]), np.zeros(2, dtype=bool)).tolist() == [-1.0, 0.0]
    assert scales.scales.tolist() == [500.0, 1.0]


def test_a_restart_forgets_the_returns_and_keeps_what_is_known_of_the_tasks():
    rewards, dones = steps()
    scales = ReturnScales(TASKS, GAMMA)
    run(scales, rewards, dones)
    known = scales.scales
    scales.restart()
    assert np.array_equal(scales.scales, known)
    assert not scales.returns.any()
    scales.restart(np.array([0, 1]))
    assert scales.normalize(np.array([1.0, 1.0]), np.zeros(2, dtype=bool)) == pytest.approx(1 / known, rel=0.1)


def test_episodes_of_tasks_that_stay_go_on():
    scales = ReturnScales(np.array([0, 0, 1, 1]), GAMMA)
    scales.normalize(np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4, dtype=bool))
    scales.keep([1], np.array([2, 3]), np.array([0, 0, 1]))
    assert scales.returns.tolist() == [3.0, 4.0, 0.0]
    assert scales.tasks.tolist() == [0, 0, 1]


def test_tasks_that_stay_keep_what_is_known_of_them_and_new_ones_begin_with_nothing():
    scales = ReturnScales(TASKS, GAMMA)
    run(scales, *steps())
    known = scales.scales
    scales.keep([1], np.array([1]), np.array([0, 1]))
    assert scales.scales.tolist() == [known[1], 1.0]
    assert scales.normalize(np.array([0.0, -7.0]), np.zeros(2, dtype=bool)).tolist() == [0.0, -1.0]
