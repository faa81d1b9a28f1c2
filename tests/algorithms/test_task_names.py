"""Evaluations find the policy of a task by its name, whatever else stands beside it."""

import pytest
from envs.messages import refuses
from integration.toys import Chooser

from sb3_distral import DistilledPredictor, DistralA2C, TaskEvalCallback, evaluate_tasks, make_task_vec_env


@pytest.fixture
def decided():
    """Task a takes action 0, b takes 1 and c takes 2."""
    model = DistralA2C(dict.fromkeys("abc", Chooser), architecture="one_column", learning_rate=0.0, device="cpu")
    model.policy.task_columns.action_net.bias.data.view(3, 3)[range(3), range(3)] = 1000.0
    return model


def test_a_part_of_the_tasks_in_any_order_acts_by_name(decided):
    for names in ("c", "ca", "bc", "cab"):
        env = make_task_vec_env(dict.fromkeys(names, Chooser), 2)
        assert evaluate_tasks(decided, env, 2) == {name: [float("abc".index(name))] * 2 for name in names}


def test_tasks_that_a_model_does_not_have_are_refused_where_its_own_policies_act(decided):
    env = make_task_vec_env({"a": Chooser, "new": Chooser})
    with refuses("['a', 'new']", "['a', 'b', 'c']", "['new']", "DistilledPredictor"):
        evaluate_tasks(decided, env, 1)
    assert set(evaluate_tasks(DistilledPredictor.of(decided), env, 1)) == {"a", "new"}


def test_the_best_of_several_distilled_policies_is_that_of_the_name():
    model = DistralA2C(dict.fromkeys("abc", Chooser), n_distilled=2, learning_rate=0.0, device="cpu")
    model.policy.bank.responsibilities.data[:] = model.policy.bank.responsibilities.new_tensor(
        [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]
    )
    model.policy.bank.columns.action_net.bias.data.view(2, 3)[range(2), [1, 2]] = 1000.0
    env = make_task_vec_env(dict.fromkeys("ba", Chooser))
    assert evaluate_tasks(DistilledPredictor.of(model), env, 1) == {"b": [2.0], "a": [1.0]}
    with refuses("['new']"):
        evaluate_tasks(DistilledPredictor.of(model), make_task_vec_env({"new": Chooser}), 1)


def test_a_callback_acts_by_name_and_refuses_others_when_a_training_begins(decided):
    callback = TaskEvalCallback(dict.fromkeys("cb", Chooser), 1, 5)
    decided.learn(15, callback)
    assert callback.results[0]["tasks"] == {"c": [2.0], "b": [1.0]}
    decided.remove_tasks(["b"])
    with refuses("['c', 'b']", "['a', 'c']", "['b']"):
        decided.learn(15, callback, reset_num_timesteps=False)
