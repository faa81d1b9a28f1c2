"""What π0 learns from: the callback alternating with the tasks, and one of the user's own."""

import pytest
import torch as th
from helpers import (
    Networks,
    assert_equal_parameters,
    copied_parameters,
    distral,
    prepare,
    roll_out,
    steps_between,
    table_tasks,
    with_sgd,
    written_out_loss,
)

from .updates import CLOSE, COSTS, size, unequal_tasks


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
