"""Equations (2) to (5) against brute force, and the alternation on an exactly solved problem."""

import math

import numpy as np
import pytest

from sb3_distral.method.tabular import boltzmann_policy, distilled_policy_from_counts, soft_backup, soft_value
from tests.method.small_tasks import N_ACTIONS, N_STATES, distil, objective, random_tasks, solve_task

GENERATOR = np.random.default_rng(3)
Q_VALUES = GENERATOR.normal(size=(4, 3))
PRIOR = GENERATOR.dirichlet(np.ones(3), size=4)
LOG_PRIOR = np.log(PRIOR)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("beta", [0.5, 5.0])
def test_value_and_policy_by_brute_force(alpha: float, beta: float) -> None:
    values, policy = soft_value(LOG_PRIOR, Q_VALUES, alpha, beta), boltzmann_policy(LOG_PRIOR, Q_VALUES, alpha, beta)
    for row in range(4):
        terms = [PRIOR[row, action] ** alpha * math.exp(beta * Q_VALUES[row, action]) for action in range(3)]
        assert values[row] == pytest.approx(math.log(sum(terms)) / beta)
        assert policy[row] == pytest.approx([term / sum(terms) for term in terms])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_value_is_the_maximum_over_policies(alpha: float) -> None:
    """V is the greatest Σ π (Q + (α/β) log π0 − (1/β) log π), and (4) attains it."""
    beta, best = 2.0, boltzmann_policy(LOG_PRIOR, Q_VALUES, alpha, 2.0)

    def regularized(policy: np.ndarray) -> np.ndarray:
        return (policy * (Q_VALUES + alpha / beta * LOG_PRIOR - np.log(policy) / beta)).sum(axis=-1)

    values = soft_value(LOG_PRIOR, Q_VALUES, alpha, beta)
    assert regularized(best) == pytest.approx(values)
    for other in GENERATOR.dirichlet(np.ones(3), size=(200, 4)):
        assert (regularized(other) <= values + 1e-12).all()


def test_limits() -> None:
    """β → ∞: the maximum, greedily. β → 0 with α = 1: the mean under π0, which acts. Large values do not overflow."""
    assert soft_value(LOG_PRIOR, Q_VALUES, 1.0, 1e7) == pytest.approx(Q_VALUES.max(axis=-1), abs=1e-5)
    greedy = np.eye(3)[Q_VALUES.argmax(axis=-1)]
    assert boltzmann_policy(LOG_PRIOR, Q_VALUES, 1.0, 1e4) == pytest.approx(greedy)
    assert soft_value(LOG_PRIOR, Q_VALUES, 1.0, 1e-7) == pytest.approx((PRIOR * Q_VALUES).sum(axis=-1), abs=1e-5)
    assert boltzmann_policy(LOG_PRIOR, Q_VALUES, 1.0, 1e-7) == pytest.approx(PRIOR, abs=1e-5)
    assert soft_value(LOG_PRIOR, 1e6 + Q_VALUES, 1.0, 5.0) - 1e6 == pytest.approx(
        soft_value(LOG_PRIOR, Q_VALUES, 1.0, 5.0), abs=1e-6
    )


def test_alpha_0_is_the_entropy_bonus() -> None:
    """The prior has no effect; equal values gain log(n)/β. With α = 1 and a uniform prior they gain nothing."""
    other = np.log(GENERATOR.dirichlet(np.ones(3), size=4))
    assert (soft_value(LOG_PRIOR, Q_VALUES, 0.0, 5.0) == soft_value(other, Q_VALUES, 0.0, 5.0)).all()
    equal, uniform = np.full((1, 3), 0.7), np.full((1, 3), math.log(1 / 3))
    assert soft_value(uniform, equal, 0.0, 5.0) == pytest.approx(0.7 + math.log(3) / 5)
    assert soft_value(uniform, equal, 1.0, 5.0) == pytest.approx(0.7)


def test_backup() -> None:
    ended = np.array([False, True])
    assert soft_backup(np.array([1.0, 1.0]), ended, np.array([2.0, 2.0]), 0.5).tolist() == [2.0, 1.0]


def test_distilled_policy() -> None:
    counts = np.array([[3, 0], [0, 0]])
    assert distilled_policy_from_counts(counts).tolist() == [[4 / 5, 1 / 5], [1 / 2, 1 / 2]]
    with pytest.raises(ValueError, match="pseudocount is 0, expected a number above 0"):
        distilled_policy_from_counts(counts, 0)


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_alternation_never_lowers_the_objective(alpha: float) -> None:
    """Each half is solved exactly and evaluated exactly; perturbed solutions are no better."""
    tasks, beta = random_tasks(n_tasks=3), 2.0
    distilled = np.full((N_STATES, N_ACTIONS), 1 / N_ACTIONS)
    policies = [distilled] * 3
    values = [objective(tasks, policies, distilled, alpha, beta)]
    for _ in range(4):
        policies = [solve_task(tasks, task, distilled, alpha, beta) for task in range(3)]
        values.append(objective(tasks, policies, distilled, alpha, beta))
        distilled = distil(tasks, policies)
        values.append(objective(tasks, policies, distilled, alpha, beta))
    assert (np.diff(values) >= -1e-9).all()
    assert values[-1] > values[1] + 1e-3
    for noise in np.random.default_rng(0).dirichlet(np.ones(N_ACTIONS), size=(20, N_STATES)):
        mixed = 0.9 * distilled + 0.1 * noise
        assert objective(tasks, policies, mixed, alpha, beta) <= values[-1] + 1e-9
