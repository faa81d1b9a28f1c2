import numpy as np
import pytest

from experiments.figure4 import measures
from experiments.figure4.results import AlgorithmResults
from experiments.figure4.training import N_BINS


def results_of(levels: np.ndarray) -> AlgorithmResults:
    """Return flat learning curves of one task at a level for each setting and seed."""
    curves = np.repeat(levels[:, :, None, None], N_BINS, axis=3).astype(float)
    return AlgorithmResults(curves, curves[..., :2], curves[..., 0], curves[..., 0], levels.astype(float))


def test_area_and_final_score_by_hand() -> None:
    own = results_of(np.zeros((1, 1)))
    own.curves[0, 0, 0] = np.arange(N_BINS)
    assert measures.measured(measures.AREA, own) == pytest.approx((N_BINS - 1) / 2)
    assert measures.measured(measures.EARLY, own) == pytest.approx((N_BINS / 2 - 1) / 2)
    assert measures.measured(measures.FINAL, own) == pytest.approx(N_BINS - 2)


def test_best_setting_passes_over_missing_runs() -> None:
    assert measures.best_setting(np.array([[1.0, 2.0], [4.0, np.nan], [np.nan, np.nan]])) == 1


def test_measures_by_hand() -> None:
    own = results_of(np.array([[1, 3], [5, 7]]))
    assert measures.measured(measures.FINAL, own) == 6
    assert measures.measured(measures.ALL_FINAL, own) == 4


def test_setting_is_chosen_by_the_policy_that_is_measured() -> None:
    # The task policies are better in the first setting, π0 in the second.
    first, second = np.array([[5.0], [1.0]]), np.array([[1.0], [4.0]])
    task, distilled = results_of(first), results_of(second)
    at_end = np.array([[[10.0]], [[20.0]]])
    own = AlgorithmResults(task.curves, distilled.curves[..., :2], at_end, 2 * at_end, np.ones((2, 1)))
    several = (measures.FINAL, measures.DISTILLED, measures.UNSEEN)
    assert [measures.measured(measure, own) for measure in several] == [5, 20, 40]


#: What two seeds widen deviations by: √(n / (n - 1)) t(2) / 1.96.
WIDER = 2**0.5 * 4.3027 / 1.95996


def shares(samples: np.ndarray, *values: float) -> list[float]:
    return [float(np.isclose(samples, value, atol=1e-3).mean()) for value in values]


def test_bootstrap_has_the_known_distribution() -> None:
    # Two seeds, one setting: both are the first, one each, or both the second with probability 1/4, 1/2, 1/4.
    own = results_of(np.array([[0, 2]]))
    samples = measures.resampled(measures.FINAL, own, np.random.default_rng(0))
    assert shares(samples, 1 - WIDER, 1, 1 + WIDER) == pytest.approx([0.25, 0.5, 0.25], abs=0.04)


def test_bootstrap_chooses_the_setting_anew() -> None:
    # The second setting is best unless its 0 is drawn twice (1 of 4).
    own = results_of(np.array([[1, 1], [0, 4]]))
    samples = measures.resampled(measures.FINAL, own, np.random.default_rng(0))
    assert shares(samples, 1, 2, 2 + 2 * WIDER) == pytest.approx([0.25, 0.5, 0.25], abs=0.04)


PEAK = np.array([8.0, 6, 6, 6, 6, 4, 4, 4, 4])
NEAR_TIES = np.array([8.0, 7.9, 7.8, 7.7, 7.6, 6, 6, 4, 4])
FLAT = np.full(9, 8.0)


@pytest.mark.parametrize(
    "first, deviation, most_errors",
    [(PEAK, 1.0, 20), (NEAR_TIES, 1.0, 20), (FLAT, 1.0, 20), (FLAT, 2.0, 20)],
    ids=["alike", "near-ties", "flat", "flat and noisy"],
)
def test_algorithms_whose_best_settings_are_alike_are_seldom_told_apart(first, deviation, most_errors) -> None:
    """Against one with a single best setting of the same mean, 200 studies: 5 % would be 10 errors."""
    generator = np.random.default_rng(0)

    def study(means: np.ndarray, deviation: float) -> AlgorithmResults:
        return results_of(means[:, None] + deviation * generator.normal(size=(9, 4)))

    pairs = [(study(first, deviation), study(PEAK, 1.0)) for _ in range(200)]
    estimates = [measures.compare(measures.FINAL, *pair) for pair in pairs]
    assert sum(estimate.low > 0 or estimate.high < 0 for estimate in estimates) <= most_errors


def test_intervals_that_hold_together_are_wider() -> None:
    first, second = (results_of(np.random.default_rng(seed).normal(size=(2, 4))) for seed in (0, 1))
    alone = measures.compare(measures.FINAL, first, second)
    together = measures.compare(measures.FINAL, first, second, n_comparisons=12)
    assert together.low < alone.low < alone.value < alone.high < together.high


def test_one_seed_has_no_interval() -> None:
    assert np.isnan(measures.compare(measures.FINAL, *[results_of(np.ones((2, 1)))] * 2).low)


def test_comparison_of_incomplete_algorithms_has_no_interval() -> None:
    whole, part = results_of(np.array([[1, 1]])), results_of(np.array([[3, np.nan]]))
    estimate = measures.compare(measures.FINAL, part, whole)
    assert estimate.value == 2
    assert np.isnan(estimate.low) and np.isnan(estimate.high)


def test_ratio() -> None:
    estimate = measures.compare(measures.SPEED, results_of(np.full((1, 2), 3)), results_of(np.full((1, 2), 2)), True)
    assert estimate == pytest.approx((1.5, 1.5, 1.5))
