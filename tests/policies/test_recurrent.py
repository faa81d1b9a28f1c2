"""Recurrent policies follow sb3-contrib's protocol for states."""

import numpy as np
import pytest
import torch as th
from helpers import table_tasks
from recurrent_helpers import HIDDEN_SIZE, recurrent
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_distral import DistralA2C, RecurrentDistralA2C, make_task_vec_env
from sb3_distral.policies import DistralPolicy, RecurrentDistralPolicy

ARCHITECTURES = {
    "two_columns": {},
    "one_column": {"architecture": "one_column"},
    "shared": {"architecture": "shared", "alpha": 0.0, "beta": float("inf")},
}


@pytest.fixture(params=ARCHITECTURES)
def model(request):
    return recurrent(table_tasks(), **ARCHITECTURES[request.param])


def observations(n_steps=5, n_envs=1):
    return np.random.default_rng(3).uniform(0, 1, (n_steps, n_envs, 4)).astype(np.float32)


def acts(policy, rows, starts, tasks=None):
    """Likeliest actions, and the state after the last row."""
    state, actions = None, []
    for row, start in zip(rows, starts, strict=True):
        observation = row if tasks is None else {"obs": row, "task": tasks}
        action, state = policy.predict(observation, state=state, episode_start=start, deterministic=True)
        actions.append(action)
    return np.array(actions), state


def test_a_task_policy_acts_as_the_model_does_on_its_task(model):
    rows, starts = observations(n_envs=2), np.zeros((5, 2), dtype=bool)
    starts[3, 1] = True
    expected, expected_state = acts(model, rows, starts, tasks=np.array([1, 1]))
    actions, state = acts(model.task_policy(1), rows, starts)
    np.testing.assert_array_equal(actions, expected)
    for own, other in zip(state, expected_state, strict=True):
        # The policy of one column does not need π0, whose layers come first.
        np.testing.assert_allclose(own, other[-len(own) :], atol=1e-6)


def test_plain_observations_are_pi0s(model):
    rows, starts = observations(n_envs=2), np.zeros((5, 2), dtype=bool)
    expected, expected_state = acts(model.distilled_policy, rows, starts)
    actions, state = acts(model, rows, starts)
    np.testing.assert_array_equal(actions, expected)
    np.testing.assert_array_equal(state[0], expected_state[0])


def test_the_state_of_an_episode_that_begins_is_forgotten(model):
    rows, starts = observations(n_envs=2), np.zeros((5, 2), dtype=bool)
    starts[4, 0] = True
    _, state = acts(model, rows, starts, tasks=np.array([0, 2]))
    _, fresh = acts(model, rows[4:], starts[4:] * 0, tasks=np.array([0, 2]))
    for own, other in zip(state, fresh, strict=True):
        np.testing.assert_allclose(own[:, 0], other[:, 0], atol=1e-6)
        assert not np.allclose(own[:, 1], other[:, 1], atol=1e-3)


def test_a_forward_pass_gives_the_state_of_all_columns(model):
    layers, _, size = model.policy.lstm_hidden_state_shape
    assert (layers, size) == (1 if model.policy.architecture == "shared" else 2, HIDDEN_SIZE)
    zeros = (th.zeros(layers, 3, size), th.zeros(layers, 3, size))
    rows = th.tensor(observations(n_steps=1, n_envs=3)[0])
    tasks = th.arange(3)
    model.policy.evaluates_distilled = False
    *_, states = model.policy({"obs": rows, "task": tasks}, RNNStates(zeros, zeros), th.zeros(3))
    _, predicted = model.predict({"obs": rows.numpy(), "task": tasks.numpy()})
    for own, other in zip(states.pi, predicted, strict=True):
        np.testing.assert_allclose(own.detach().numpy(), other, atol=1e-6)
    model.policy.evaluates_distilled = True
    *_, states = model.policy({"obs": rows, "task": tasks}, RNNStates(zeros, zeros), th.zeros(3))
    assert all(part.abs().sum() > 0 for own in states.pi for part in own)


def test_evaluate_policy_carries_states(model):
    """Stable-Baselines3's own function, on the task policies, on π0 and on a task policy alone."""
    env = make_task_vec_env(table_tasks(time_limit=6), seed=1)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=3, warn=False)
    plain = table_tasks(time_limit=6)["table-0"]()
    others = [
        evaluate_policy(policy, plain, 1, warn=False)[0] for policy in (model.distilled_policy, model.task_policy(0))
    ]
    assert np.isfinite([mean, *others]).all()


def test_policies_are_saved_and_loaded_alone(model, tmp_path):
    rows, starts = observations(), np.zeros((5, 1), dtype=bool)
    for policy in (model.distilled_policy, model.task_policy(1)):
        policy.save(tmp_path / "policy")
        loaded = type(policy).load(tmp_path / "policy")
        np.testing.assert_array_equal(acts(loaded, rows, starts)[1], acts(policy, rows, starts)[1])


def test_names_of_the_other_algorithms_policies_are_refused():
    with pytest.raises(ValueError, match=r"'MlpPolicy' is unknown.*MlpLstmPolicy.*recurrent algorithms"):
        RecurrentDistralA2C("MlpPolicy", table_tasks())


def test_classes_and_models_of_the_other_algorithm_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"RecurrentDistralPolicy was given.*Use RecurrentDistralA2C"):
        DistralA2C(table_tasks(), RecurrentDistralPolicy)
    with pytest.raises(ValueError, match=r"DistralPolicy was given.*Use DistralA2C"):
        RecurrentDistralA2C(table_tasks(), DistralPolicy)
    recurrent(table_tasks()).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"Use RecurrentDistralA2C"):
        DistralA2C.load(tmp_path / "model")
