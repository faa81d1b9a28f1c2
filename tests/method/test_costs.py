"""α and β: numbers, schedules, one for each task; and what is refused."""

import math

import numpy as np
import pytest
import torch as th
from helpers import distral, table_tasks
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.utils import LinearSchedule

from sb3_distral.method import objective
from sb3_distral.method.costs import CostSchedule, check_coefficients, task_schedules

NAMES = ["left", "right"]


@given(st.floats(0, 1), st.floats(1e-3, 1e3))
def test_alpha_and_beta_come_back_from_the_costs(alpha, beta):
    kl, entropy = objective.kl_cost(alpha, beta), objective.entropy_cost(alpha, beta)
    assert kl >= 0
    assert entropy >= 0
    assert kl / (kl + entropy) == pytest.approx(alpha)
    assert 1 / (kl + entropy) == pytest.approx(beta)


def test_one_number_holds_for_every_task():
    costs = CostSchedule(0.25, 2.0, NAMES)(1.0)
    th.testing.assert_close(costs.alpha, th.tensor([0.25, 0.25]))
    th.testing.assert_close(costs.kl, th.tensor([0.125, 0.125]))
    th.testing.assert_close(costs.entropy, th.tensor([0.375, 0.375]))


def test_infinite_beta_costs_nothing_whatever_alpha():
    for alpha in (0.0, 0.5, 1.0):
        costs = CostSchedule(alpha, math.inf, NAMES)(1.0)
        assert not costs.kl.any()
        assert not costs.entropy.any()
        assert costs.alpha.tolist() == [alpha, alpha]


def test_alpha_one_has_no_entropy_cost_and_alpha_zero_no_divergence_cost():
    assert not CostSchedule(1.0, 5.0, NAMES)(1.0).entropy.any()
    assert not CostSchedule(0.0, 5.0, NAMES)(1.0).kl.any()


def test_lists_go_by_position_and_dicts_by_name():
    by_list = CostSchedule([0.0, 1.0], [1.0, 4.0], NAMES)(1.0)
    by_name = CostSchedule({"right": 1.0, "left": 0.0}, {"right": 4.0, "left": 1.0}, NAMES)(1.0)
    for costs in (by_list, by_name):
        assert costs.alpha.tolist() == [0.0, 1.0]
        assert costs.kl.tolist() == [0.0, 0.25]
        assert costs.entropy.tolist() == [1.0, 0.0]


def test_schedules_follow_the_remaining_progress_from_one_to_zero():
    schedule = CostSchedule(LinearSchedule(1.0, 0.0, 1.0), lambda remaining: 1.0 + remaining, NAMES)
    assert not schedule.is_constant
    assert schedule(1.0).alpha.tolist() == [1.0, 1.0]
    assert schedule(1.0).kl.tolist() == [0.5, 0.5]
    middle = schedule(0.5)
    assert middle.alpha.tolist() == [0.5, 0.5]
    th.testing.assert_close(middle.kl, th.tensor([0.5 / 1.5] * 2))
    assert schedule(0.0).kl.tolist() == [0.0, 0.0]
    assert schedule(0.0).entropy.tolist() == [1.0, 1.0]


def test_numbers_and_schedules_mix_between_tasks():
    schedule = CostSchedule([0.5, lambda remaining: remaining], 1.0, NAMES)
    assert not schedule.is_constant
    assert schedule(0.25).alpha.tolist() == [0.5, 0.25]


def test_only_numbers_are_constant():
    assert CostSchedule([0.5, 1], {"left": 2, "right": math.inf}, NAMES).is_constant


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan, math.inf])
def test_alpha_outside_its_range_is_refused_with_task_and_value(alpha):
    with pytest.raises(ValueError, match=rf"alpha={alpha} was given for task 'right'.*\[0, 1\]"):
        CostSchedule([0.5, alpha], 1.0, NAMES)(1.0)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, -math.inf])
def test_beta_that_is_not_positive_is_refused_with_task_and_value(beta):
    with pytest.raises(ValueError, match=rf"beta={beta} was given for task 'left'.*is positive"):
        CostSchedule(0.5, {"left": beta, "right": 1.0}, NAMES)(1.0)


def test_a_schedule_that_leaves_the_range_is_refused_when_it_does():
    schedule = CostSchedule(lambda remaining: 2 * remaining, 1.0, NAMES)
    assert schedule(0.5).alpha.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"alpha=2\.0"):
        schedule(1.0)


def test_borders_are_allowed():
    check_coefficients("task", 0.0, 1e-9)
    check_coefficients("task", 1.0, math.inf)


def test_a_list_of_another_length_is_refused_with_the_tasks():
    with pytest.raises(ValueError, match=r"alpha has 3 entries, but there are 2 tasks: \['left', 'right'\]"):
        task_schedules("alpha", [0.1, 0.2, 0.3], NAMES)


def test_a_dict_of_other_names_is_refused_with_both():
    with pytest.raises(
        ValueError, match=r"beta was given for the tasks \['up'\], but the tasks are \['left', 'right'\]"
    ):
        task_schedules("beta", {"up": 1.0}, NAMES)


@pytest.mark.parametrize("alpha", [np.float32(0.5), np.float64(0.5), np.array([0.5, 0.5]), (0.5, 0.5), 1])
def test_numbers_of_numpy_are_numbers_and_its_arrays_lists(alpha):
    expected = [1.0, 1.0] if isinstance(alpha, int) else [0.5, 0.5]
    assert CostSchedule(alpha, 1.0, NAMES)(1.0).alpha.tolist() == expected


@pytest.mark.parametrize("alpha", [None, [0.5, None]])
def test_what_is_neither_number_nor_schedule_is_refused_by_its_own_name(alpha):
    with pytest.raises(ValueError, match=r"alpha.*None"):
        CostSchedule(alpha, 1.0, NAMES)


def test_a_model_refuses_costs_that_do_not_fit_its_tasks():
    with pytest.raises(ValueError, match=r"alpha has 3 entries, but there are 2 tasks"):
        distral(table_tasks(2), alpha=[0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"alpha=1\.5 was given for task 'table-0'"):
        distral(table_tasks(2), alpha=1.5)
    with pytest.raises(ValueError, match=r"beta=0\.0 was given for task 'table-0'"):
        distral(table_tasks(2), beta=0)


def test_entropy_is_not_paid_for_twice():
    with pytest.raises(ValueError, match="paid for twice"):
        distral(table_tasks(2), alpha=0.5, beta=10.0, ent_coef=0.01)
    distral(table_tasks(2), alpha=1.0, beta=10.0, ent_coef=0.01)
    distral(table_tasks(2), alpha=0.5, beta=math.inf, ent_coef=0.01)
