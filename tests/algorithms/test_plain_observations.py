"""Observations that name no task: π0 acts, or the only task; and where π0 has learned nothing a warning says so."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch as th
from helpers import distral, randomize
from integration.toys import Toy
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import ALGORITHMS, RecurrentDistralA2C, TaskEvalCallback
from sb3_distral.errors import UsageError

TASKS = {"first": partial(Toy, n_actions=3), "second": partial(Toy, n_actions=3)}
UNTRAINED = ("A3C", "A3C_2col")


def observations(n=5):
    return np.random.default_rng(0).uniform(size=(n, 3)).astype(np.float32)


@pytest.mark.parametrize("name", UNTRAINED)
def test_an_untrained_distilled_policy_does_not_act_without_a_word(name):
    model = distral(TASKS, **ALGORITHMS[name])
    with pytest.warns(UserWarning, match=r"Nothing trains π0 here.*model\.task_policy"):
        evaluate_policy(model, Monitor(Toy(n_actions=3)), 1)
    callback = EvalCallback(DummyVecEnv([lambda: Monitor(Toy(n_actions=3))]), n_eval_episodes=1, eval_freq=4, verbose=0)
    with pytest.warns(UserWarning, match="Nothing trains π0 here"):
        model.learn(20, callback)
    with pytest.raises(UsageError, match=r"best_by='distilled'.*nothing trains"):
        model.learn(20, TaskEvalCallback(TASKS, best_by="distilled"))


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - set(UNTRAINED)))
def test_a_distilled_policy_that_learns_acts(name, tmp_path):
    model = distral(TASKS, **ALGORITHMS[name])
    model.save(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for own in (model, type(model).load(tmp_path / "model")):
            expected = own.distilled_policy.predict(observations(), deterministic=True)[0]
            assert np.array_equal(own.predict(observations(), deterministic=True)[0], expected)


def test_one_that_came_along_or_has_learned_before_is_not_called_untrained():
    prior = distral(TASKS).distilled_policy
    ends = distral(TASKS, alpha=lambda progress: progress, beta=10.0)
    ends.learn(24)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distral(TASKS, randomized=False, distilled_policy=prior, beta=float("inf"), train_distilled=False).predict(
            observations()
        )
        ends.predict(observations())


@pytest.mark.parametrize("name", [*UNTRAINED, "KL_1col", "A3C_multitask"])
def test_the_policy_of_the_only_task_acts(name):
    model = distral({"only": TASKS["first"]}, **ALGORITHMS[name])
    own = model.task_policy("only")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (observations(), observations()[0]):
            expected = own.predict(given, deterministic=True)[0]
            assert np.array_equal(model.predict(given, deterministic=True)[0], expected)
            assert model.predict(given)[0].shape == np.shape(expected)
        evaluate_policy(model, Monitor(Toy(n_actions=3)), 1)


@pytest.mark.parametrize("tasks", [{"only": TASKS["first"]}, TASKS], ids=["one", "two"])
def test_the_methods_of_policies_take_plain_observations(tasks):
    model = distral(tasks)
    acting = model.task_policy("only") if len(tasks) == 1 else model.distilled_policy
    rows, is_batch = model.policy.obs_to_tensor(observations())
    assert is_batch and not model.policy.obs_to_tensor(observations()[0])[1]
    actions = th.zeros(5, dtype=th.long)
    with th.no_grad():
        expected = acting.get_distribution(rows)
        got = model.policy.get_distribution(rows)
        th.testing.assert_close(got.distribution.probs, expected.distribution.probs)
        th.testing.assert_close(model.policy.predict_values(rows), acting.predict_values(rows))
        for one, other in zip(
            model.policy.evaluate_actions(rows, actions), acting.evaluate_actions(rows, actions), strict=True
        ):
            th.testing.assert_close(one, other)


def test_recurrent_policies_say_what_they_need():
    model = RecurrentDistralA2C(TASKS, policy_kwargs={"lstm_hidden_size": 4})
    rows = model.policy.obs_to_tensor(observations())[0]
    zeros = th.zeros(2, 5, 4)
    with pytest.raises(UsageError, match=r"without a task were given.*'task'.*model\.distilled_policy"):
        model.policy.predict_values(rows, (zeros, zeros), th.ones(5))


@pytest.mark.parametrize("architecture", ["shared", "one_column", "two_columns"])
def test_a_task_policy_has_the_methods_of_stable_baselines3s(architecture):
    """Those of two columns had neither forward nor evaluate_actions."""
    model = distral(TASKS, architecture=architecture)
    own = model.task_policy("second")
    rows = th.as_tensor(observations())
    named = {"obs": rows, "task": th.ones(5, dtype=th.long)}
    with th.no_grad():
        actions, values, log_prob = own(rows, deterministic=True)
        others = model.policy(named, deterministic=True)
        for one, other in zip((actions, values, log_prob), others, strict=True):
            th.testing.assert_close(one, other)
        for one, other in zip(
            own.evaluate_actions(rows, actions), model.policy.evaluate_actions(named, actions), strict=True
        ):
            th.testing.assert_close(one, other)


def test_a_recurrent_task_policy_has_them_too():
    from sb3_contrib.common.recurrent.type_aliases import RNNStates

    model = RecurrentDistralA2C(TASKS, policy_kwargs={"lstm_hidden_size": 4})
    randomize(model.policy)
    own, rows = model.task_policy(1), th.as_tensor(observations())
    zeros = th.zeros(own.lstm_hidden_state_shape[0], 5, 4)
    states, starts = RNNStates((zeros, zeros), (zeros, zeros)), th.ones(5)
    with th.no_grad():
        actions, values, log_prob, after = own(rows, states, starts, deterministic=True)
        again = own.evaluate_actions(rows, actions, states, starts)
    assert after.pi[0].shape == zeros.shape
    th.testing.assert_close(again[0], values)
    th.testing.assert_close(again[1], log_prob)


def test_tasks_are_told_by_index_or_by_name():
    model = distral(TASKS)
    rows = {"obs": observations(4)}
    expected = model.predict({**rows, "task": np.array([1, 0, 1, 1])}, deterministic=True)[0]
    for tasks in (["second", "first", "second", "second"], np.array([1.0, 0.0, 1.0, 1.0])):
        assert np.array_equal(model.predict({**rows, "task": tasks}, deterministic=True)[0], expected)
    one = {"obs": observations()[0]}
    assert (
        model.predict({**one, "task": "second"}, deterministic=True)[0]
        == model.predict({**one, "task": 1}, deterministic=True)[0]
    )
    for wrong in (1.7, "third", 2, -1, [0, 1.5]):
        with pytest.raises(UsageError, match=r"names the tasks .* expected integers below 2, or names among \['first'"):
            model.predict({**one, "task": wrong})


@pytest.mark.parametrize("tasks", [{"only": TASKS["first"]}, TASKS], ids=["one", "two"])
def test_what_a_reset_of_gymnasium_gives_is_refused_in_the_words_of_stable_baselines3(tasks):
    with pytest.raises(ValueError, match="mixing Gym API"):
        distral(tasks).predict((observations()[0], {}))
