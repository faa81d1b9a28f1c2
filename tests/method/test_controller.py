"""Costs that follow targets: the arithmetic of a step, its bounds, and the range of entropies."""

import math

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from sb3_distral.method.choices import TaskMask
from sb3_distral.method.controller import CostController, entropy_range
from sb3_distral.method.costs import Costs

CONTROLLER = CostController(target_kl=0.2, entropy_share=0.5, rate=0.5, lowest=1e-3, highest=0.1)


def step(kl=(0.2,), entropy=(0.0,), costs=(0.01, 0.02), progress=0.0, n_steps=1000, controller=CONTROLLER):
    """One step with entropies between 0 and 2 nats. Everything is on target where nothing else is given."""
    n_tasks = len(kl)
    before = Costs(*(th.full((n_tasks,), value) for value in (0.5, *costs)))
    ranges = th.tensor([[0.0, 2.0]] * n_tasks)
    return controller.step(before, th.tensor(kl), th.tensor(entropy), ranges, progress, th.tensor([n_steps] * n_tasks))


def test_on_target_nothing_changes():
    costs = step(kl=(0.2,), entropy=(0.5,), progress=0.5)
    assert costs.kl.tolist() == [pytest.approx(0.01)]
    assert costs.entropy.tolist() == [pytest.approx(0.02)]
    assert costs.alpha.tolist() == [0.5]


def test_the_logarithm_of_the_kl_cost_moves_by_the_relative_distance_and_at_most_by_the_rate():
    costs = step(kl=(0.0, 0.1, 0.3, 4.0), entropy=(0.0,) * 4)
    th.testing.assert_close((costs.kl / 0.01).log(), th.tensor([-0.5, -0.25, 0.25, 0.5]))
    th.testing.assert_close(costs.entropy, th.full((4,), 0.02))


def test_the_logarithm_of_the_entropy_cost_moves_against_the_entropy_and_at_most_by_the_rate():
    # Half of the range of 2 nats is the target; a quarter of the range is as far as it counts.
    costs = step(kl=(0.2,) * 4, entropy=(2.0, 1.25, 0.75, 0.0), progress=1.0)
    th.testing.assert_close((costs.entropy / 0.02).log(), th.tensor([-0.5, -0.25, 0.25, 0.5]))
    th.testing.assert_close(costs.kl, th.full((4,), 0.01))


def test_a_change_is_in_proportion_to_the_steps_of_the_roll_out():
    few, many = step(kl=(4.0,), n_steps=40), step(kl=(4.0,), n_steps=400)
    assert math.log(few.kl.item() / 0.01) == pytest.approx(0.5 * 0.04, rel=1e-4)
    assert math.log(many.kl.item() / 0.01) == pytest.approx(0.5 * 0.4, rel=1e-4)


def test_costs_stay_within_their_bounds():
    high = step(kl=(9.0,), entropy=(0.0,), costs=(0.09, 0.09), progress=1.0)
    low = step(kl=(0.0,), entropy=(2.0,), costs=(0.0011, 0.0011))
    assert high[1:] == (th.tensor([0.1]), th.tensor([0.1]))
    assert low[1:] == (th.tensor([0.001]), th.tensor([0.001]))


def test_a_cost_of_zero_stays_zero():
    costs = step(kl=(9.0,), entropy=(0.0,), costs=(0.0, 0.0), progress=1.0)
    assert costs[1:] == (th.tensor([0.0]), th.tensor([0.0]))
    assert CONTROLLER.bounded(Costs(*th.zeros(3, 1)))[1:] == (th.tensor([0.0]), th.tensor([0.0]))


def test_costs_begin_within_the_bounds():
    costs = CONTROLLER.bounded(Costs(th.tensor([1.0]), th.tensor([5.0]), th.tensor([1e-9])))
    assert costs[1:] == (th.tensor([0.1]), th.tensor([0.001]))


def test_the_target_entropy_falls_from_its_share_to_the_lower_end():
    ranges = th.tensor([[0.0, 2.0], [-3.0, 1.0]])
    assert CONTROLLER.target_entropy(ranges, 1.0).tolist() == [1.0, -1.0]
    assert CONTROLLER.target_entropy(ranges, 0.25).tolist() == [0.25, -2.5]
    assert CONTROLLER.target_entropy(ranges, 0.0).tolist() == [0.0, -3.0]


def test_a_task_with_one_action_changes_no_entropy_cost():
    one = CONTROLLER.step(
        Costs(*(th.tensor([0.02]) for _ in range(3))), th.tensor([0.2]), th.zeros(1), th.zeros(1, 2), 1.0, th.ones(1)
    )
    assert one.entropy.tolist() == [pytest.approx(0.02)]


# The range of entropies


def test_discrete_entropies_lie_between_one_action_and_all_actions_alike():
    assert entropy_range(spaces.Discrete(4)) == (0.0, pytest.approx(math.log(4)))
    assert entropy_range(spaces.MultiDiscrete([2, 3])) == (0.0, pytest.approx(math.log(6)))
    assert entropy_range(spaces.MultiBinary(3)) == (0.0, pytest.approx(math.log(8)))


def test_actions_that_a_task_never_has_do_not_count():
    own = [True, True, False]
    assert entropy_range(spaces.Discrete(3), TaskMask(own, own)) == (0.0, pytest.approx(math.log(2)))
    valid = [True, False, True, True, False]
    joint = TaskMask([True] * 5, valid)
    assert entropy_range(spaces.MultiDiscrete([2, 3]), joint) == (0.0, pytest.approx(math.log(2)))


def test_box_entropies_lie_between_the_target_of_soft_actor_critic_and_uniform_actions():
    assert entropy_range(spaces.Box(-1.0, 1.0, (3,))) == (pytest.approx(-3.0), pytest.approx(3 * math.log(2)))


def test_wider_bounds_of_a_box_move_both_ends():
    low, high = entropy_range(spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 1.0]), dtype=np.float64))
    moved = math.log(2.0) + math.log(0.5)
    assert (low, high) == (pytest.approx(moved - 2), pytest.approx(moved + 2 * math.log(2)))


def test_a_box_without_bounds_counts_as_one_from_minus_one_to_one():
    assert entropy_range(spaces.Box(-np.inf, np.inf, (1,))) == (pytest.approx(-1.0), pytest.approx(math.log(2)))
    assert entropy_range(spaces.Box(0.0, np.inf, (1,))) == (pytest.approx(-1.0), pytest.approx(math.log(2)))


# What is refused


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0.0},
        {"beta": math.inf},
        {"target_kl": -1.0},
        {"rate": 0.0},
        {"lowest": 0.0},
        {"entropy_share": 1.5},
        {"lowest": 0.1, "highest": 0.01},
    ],
)
def test_settings_without_a_meaning_are_refused(settings):
    with pytest.raises(ValueError, match=f"CostController got {next(iter(settings))}"):
        CostController(**settings)
