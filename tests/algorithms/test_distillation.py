"""What π0 learns from: the callback alternating with the tasks, and one of the user's own."""

import pytest
import torch as th
from helpers import (
    Networks,
    Rows,
    assert_equal_parameters,
    copied_parameters,
    distral,
    gradients_of,
    prepare,
    randomize,
    roll_out,
    steps_between,
    table_tasks,
    with_sgd,
    written_out_loss,
)
from recurrent_helpers import recurrent
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from sb3_distral import DistillationCallback, DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.errors import UsageError

from .updates import CLOSE, COSTS, assert_equal_steps, size, unequal_tasks


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


# One of the user's own


class Doubled(DistillationCallback):
    """Twice the loss, and how often it was asked for."""

    n_losses = 0

    def loss(self, evaluation):
        self.n_losses += 1
        return 2.0 * super().loss(evaluation)


class Nothing(DistillationCallback):
    def loss(self, evaluation):
        return 0.0 * super().loss(evaluation)


def steps_of_one_roll_out(callback, **arguments):
    model = distral(unequal_tasks(), **(with_sgd() | COSTS | arguments))
    before = Networks.of(model)
    model.learn(6 * 6, callback)
    return steps_between(before, Networks.of(model))


@pytest.mark.parametrize("alternating", [False, True])
def test_a_loss_of_the_users_own_changes_the_distilled_policy_and_nothing_else(alternating):
    arguments = {"architecture": "one_column", "optimization": "alternating" if alternating else "joint"}
    distilled, columns = steps_of_one_roll_out(None, **arguments)
    for nested in (Doubled(alternating), [[Doubled(alternating)]], CallbackList([Doubled(alternating)])):
        twice, others = steps_of_one_roll_out(nested, **arguments)
        assert_equal_parameters(twice, {name: 2.0 * step for name, step in distilled.items()}, **CLOSE)
        for own, other in zip(columns, others, strict=True):
            assert_equal_parameters(own, other)
    assert size(distilled) > 1e-3


def test_with_two_columns_the_policy_gradient_of_the_distilled_policy_stays():
    distilled, columns = steps_of_one_roll_out(None)
    alone, others = steps_of_one_roll_out(Nothing())
    twice, _ = steps_of_one_roll_out(Doubled())
    assert size(alone) > 1e-3
    expected = {name: alone[name] + 2.0 * (step - alone[name]) for name, step in distilled.items()}
    assert_equal_parameters(twice, expected, rtol=1e-3, atol=1e-4)
    for own, other in zip(columns, others, strict=True):
        assert_equal_parameters(own, other)


def test_the_users_callback_replaces_the_built_in_one():
    distilled, columns = steps_of_one_roll_out(Nothing(), architecture="one_column")
    assert size(distilled) == 0.0
    assert all(size(column) > 1e-3 for column in columns)


@pytest.mark.parametrize(
    ("make", "n_losses"),
    [
        (lambda: distral(table_tasks(2)), 3),
        (lambda: distral(table_tasks(2), algorithm=DistralPPO, batch_size=6, n_epochs=4), 3 * 4 * 2),
        (lambda: recurrent(table_tasks(2)), 3),
        (lambda: recurrent(table_tasks(2), algorithm=RecurrentDistralPPO, batch_size=12, n_epochs=4), 3 * 4),
    ],
    ids=["a2c", "ppo", "recurrent a2c", "recurrent ppo"],
)
def test_every_learner_asks_it_for_the_loss_of_each_batch(make, n_losses):
    callback = Doubled()
    make().learn(3 * 12, callback)
    assert callback.n_losses == n_losses


def test_two_distillations_are_refused():
    with pytest.raises(UsageError, match=r"2 DistillationCallbacks were given, but only one can teach π0. Give one"):
        distral(table_tasks(2)).learn(12, [DistillationCallback(), CallbackList([Doubled()])])


def test_the_callback_says_how_the_model_is_optimized(tmp_path):
    model = distral(table_tasks(2), **COSTS)
    model.learn(12, DistillationCallback(alternating=True, n_epochs=3, value_l2_coef=0.1))
    assert (model.optimization, model.distillation_epochs, model.value_l2_coef) == ("alternating", 3, 0.1)
    model.learn(12)
    assert model._distillation.alternating
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=table_tasks(2))
    assert (loaded.optimization, loaded.distillation_epochs, loaded.value_l2_coef) == ("alternating", 3, 0.1)
    loaded.learn(12, Doubled())
    assert loaded.optimization == "joint"


def test_a_callback_cannot_alternate_where_nothing_alternates():
    with pytest.raises(UsageError, match="nothing alternates"):
        distral(table_tasks(2), architecture="shared").learn(12, DistillationCallback(alternating=True))


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_the_task_policies_are_constants_of_the_loss(architecture):
    model = distral(table_tasks(2), architecture=architecture, value_l2_coef=0.1, **COSTS)
    roll_out(model)
    data = next(model.rollout_buffer.get())
    evaluation = model.policy.evaluate(data.observations, distilled=True, distilled_values=True)
    model._distillation.loss(evaluation).sum().backward()
    assert all(not gradient.any() for gradient in gradients_of(model.policy.task_columns).values())
    assert all(gradient.any() for gradient in gradients_of(model.distilled_policy).values())


class MovesParameters(BaseCallback):
    """Changes all networks in place at the end of a roll-out, and keeps what they are then."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        randomize(self.model.policy, 0.2, seed=8)
        self.networks, self.rows = Networks.of(self.model), Rows.of(self.model)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_a_callback_may_change_parameters_at_the_end_of_a_roll_out(architecture):
    """The update is the gradient at what the parameters are when it begins."""
    model = distral(unequal_tasks(), architecture=architecture, value_l2_coef=0.1, **with_sgd(), **COSTS)
    callback = MovesParameters()
    model.learn(6 * 6, callback)
    written_out_loss(model, callback.networks, callback.rows).backward()
    assert_equal_steps(steps_between(callback.networks, Networks.of(model)), callback.networks.gradients())


@pytest.mark.parametrize("optimization", ["joint", "alternating"])
@pytest.mark.parametrize("algorithm", [DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO])
def test_a_callback_may_do_so_with_every_learner(algorithm, optimization):
    arguments = {"optimization": optimization} | ({"batch_size": 12} if "PPO" in algorithm.__name__ else {})
    make = recurrent if "Recurrent" in algorithm.__name__ else distral
    model = make(table_tasks(2), algorithm=algorithm, **arguments)
    model.learn(3 * 12, SmallMoves())
    assert all(parameter.isfinite().all() for parameter in model.policy.parameters())


class SmallMoves(BaseCallback):
    def _on_step(self):
        return True

    def _on_rollout_end(self):
        randomize(self.model.policy, 0.01)
