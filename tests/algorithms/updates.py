"""One update, and how its parts are compared."""

from helpers import (
    Networks,
    assert_equal_parameters,
    distral,
    roll_out,
    steps_between,
    table_task,
    with_sgd,
    written_out_loss,
)
from stable_baselines3.common.vec_env import DummyVecEnv

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
