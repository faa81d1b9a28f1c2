"""Rehearsal: π0 stays near what it was before the tasks changed."""

import numpy as np
import pytest
import torch as th
from helpers import copied_parameters, distral, randomize, roll_out, table_tasks, with_sgd
from integration.toys import assert_equal, training_state
from recurrent_helpers import cue_tasks, recurrent

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.errors import UsageError
from sb3_distral.method import objective

COEF = 0.7


def changed(**arguments):
    """A model whose π0 has moved since its tasks changed."""
    model = distral(table_tasks(3), rehearsal_coef=COEF, **arguments)
    model.remove_tasks(["table-0"])
    randomize(model.distilled_policy, 0.3, seed=1)
    return model


def former_of(model):
    return model.policy.former_distilled_policy


def step_of_distilled(model):
    """What one update without other losses does to π0."""
    before = copied_parameters(model.distilled_policy)
    roll_out(model)
    model.train()
    after = copied_parameters(model.distilled_policy)
    return {name: before[name] - after[name] for name in before}


@pytest.mark.parametrize("architecture", ["shared", "one_column", "two_columns"])
def test_the_loss_is_the_divergence_from_the_former_policy(architecture):
    arguments = {"architecture": architecture, "beta": float("inf"), "gamma": 0.0, "gae_lambda": 0.0, **with_sgd()}
    model = changed(**arguments)
    other = changed(**arguments)
    other.rehearsal_coef = 0.0
    th.manual_seed(0)
    with_it = step_of_distilled(model)
    th.manual_seed(0)
    without = step_of_distilled(other)

    by_hand = changed(**arguments)
    th.manual_seed(0)
    rows = roll_out(by_hand)
    loss = th.zeros(())
    for task in range(2):
        own = rows.of_task(task).observations
        former = former_of(by_hand).get_distribution(own).distribution
        now = by_hand.distilled_policy.get_distribution(own).distribution
        loss = loss + COEF * th.distributions.kl_divergence(former, now).mean()
    loss.backward()
    assert float(loss) > 1e-3
    for name, parameter in by_hand.distilled_policy.named_parameters():
        gradient = th.zeros_like(parameter) if parameter.grad is None else parameter.grad
        th.testing.assert_close(with_it[name] - without[name], gradient, rtol=1e-3, atol=1e-5)


def test_its_gradient_is_that_of_the_cross_entropy():
    logits = th.randn(5, 3, requires_grad=True)
    former = th.randn(5, 3).softmax(1)
    divergence = (former * (former.log() - logits.log_softmax(1))).sum(1)
    objective.rehearsal_loss(divergence, COEF).sum().backward()
    expected = COEF * (logits.detach().softmax(1) - former)
    th.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("optimization", ["joint", "alternating"])
@pytest.mark.parametrize("algorithm", [DistralA2C, DistralPPO])
def test_the_former_policy_does_not_learn_and_is_that_before_the_change(algorithm, optimization):
    arguments = {"batch_size": 12, "n_epochs": 2} if algorithm is DistralPPO else {}
    model = distral(
        table_tasks(3), algorithm=algorithm, rehearsal_coef=COEF, optimization=optimization, **arguments
    ).learn(60)
    assert former_of(model) is None
    before = copied_parameters(model.distilled_policy)
    model.remove_tasks(["table-1"]).learn(60, reset_num_timesteps=False)
    assert_equal(copied_parameters(former_of(model)), before)
    assert not any(parameter.requires_grad for parameter in former_of(model).parameters())
    moved = copied_parameters(model.distilled_policy)
    assert any(not th.equal(before[name], moved[name]) for name in before)
    model.remove_tasks(["table-0"])
    assert_equal(copied_parameters(former_of(model)), moved)


def test_without_a_weight_nothing_is_kept():
    model = distral(table_tasks(3)).remove_tasks(["table-1"])
    assert former_of(model) is None


def test_it_keeps_the_policy_where_it_was():
    def divergence(coef):
        model = distral(table_tasks(4), rehearsal_coef=coef, learning_rate=1e-2).remove_tasks(["table-0", "table-1"])
        before = distral(table_tasks(4)).distilled_policy
        model.learn(3000)
        with th.no_grad():
            former, now = (own.get_distribution(th.eye(4)).distribution for own in (before, model.distilled_policy))
            return float(th.distributions.kl_divergence(former, now).mean())

    assert divergence(10.0) < 0.2 * divergence(0.0)


@pytest.mark.parametrize("algorithm", [DistralA2C, RecurrentDistralA2C, RecurrentDistralPPO])
def test_it_is_saved_and_goes_on(algorithm, tmp_path):
    make = distral if algorithm is DistralA2C else recurrent
    tasks = table_tasks(3) if algorithm is DistralA2C else dict(zip("abc", [*cue_tasks(), cue_tasks()[0]], strict=True))
    arguments = {"batch_size": 12} if algorithm is RecurrentDistralPPO else {}
    model = make(tasks, algorithm=algorithm, rehearsal_coef=COEF, **arguments).learn(36)
    gone = model.task_names[1]
    model.remove_tasks([gone]).learn(36, reset_num_timesteps=False)
    model.save(tmp_path / "model")
    env = {name: task for name, task in tasks.items() if name != gone}
    loaded = algorithm.load(tmp_path / "model", env=env)
    assert loaded.rehearsal_coef == COEF
    assert_equal(training_state(loaded), training_state(model))
    loaded.learn(36, reset_num_timesteps=False)
    observation = model.get_env().reset()
    alone = algorithm.load(tmp_path / "model")
    assert alone.predict(observation, deterministic=True)[0].shape == (2,)


def test_a_distilled_policy_that_comes_along_is_rehearsed():
    old = distral(table_tasks(2))
    new = distral(table_tasks(3), randomized=False, distilled_policy=old.distilled_policy, rehearsal_coef=COEF)
    assert_equal(copied_parameters(former_of(new)), copied_parameters(old.distilled_policy))
    new.learn(60)
    assert former_of(distral(table_tasks(3), randomized=False, distilled_policy=old.distilled_policy)) is None


def test_the_former_policy_sees_what_the_distilled_policy_sees():
    model = distral(table_tasks(3), rehearsal_coef=COEF, distilled_view=[0, 2]).remove_tasks(["table-0"])
    evaluation = model.policy.evaluate({"obs": th.rand(6, 4), "task": th.arange(6) % 2}, distilled=True, former=True)
    assert th.equal(evaluation.former_parameters, evaluation.distilled_parameters)


def test_a_recurrent_former_policy_remembers_what_it_has_seen():
    """As long as π0 does not change, both remember the same."""
    model = recurrent(cue_tasks() * 2, rehearsal_coef=COEF, train_distilled=True, learning_rate=0.0).learn(4 * 6 * 2)
    model.remove_tasks(["task-0"]).learn(3 * 6 * 2, reset_num_timesteps=False)
    for part in model.policy.last_state:
        assert len(part) == 3 and part[0].any()
        assert th.equal(part[0], part[2])
    new = recurrent(cue_tasks(), distilled_policy=model.distilled_policy, rehearsal_coef=COEF, learning_rate=0.0)
    new.learn(24)
    assert len(new.policy.last_state[0]) == 3


def test_a_wrong_weight_is_refused():
    for wrong in (-0.1, float("inf"), np.nan):
        with pytest.raises(UsageError, match=r"rehearsal_coef=.*finite number >= 0"):
            distral(table_tasks(2), rehearsal_coef=wrong)
