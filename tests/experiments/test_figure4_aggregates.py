import numpy as np
import pytest
from rliable import library, metrics

from experiments.figure4 import aggregates


def test_interquartile_mean_is_rliables() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 8))
    estimate = aggregates.interquartile_means({"one": scores, "two": scores + 1})["two"]
    middle = np.sort(scores.ravel())[10:30]
    assert estimate.value == pytest.approx(middle.mean() + 1) == pytest.approx(metrics.aggregate_iqm(scores + 1))
    assert estimate.low < estimate.value < estimate.high
    np.random.seed(0)
    _, intervals = library.get_interval_estimates(
        {"one": scores, "two": scores + 1}, lambda own: np.array([metrics.aggregate_iqm(own)]), reps=1000
    )
    assert [estimate.low, estimate.high] == pytest.approx(intervals["two"].ravel())


def test_probability_of_improvement_is_rliables() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.integers(0, 5, (6, 3)).astype(float), generator.integers(0, 5, (4, 3)).astype(float)
    expected = metrics.probability_of_improvement(first, second)
    assert aggregates.improvement_probability(first, second) == pytest.approx(expected)
    estimate = aggregates.improvement_probabilities({"pair": (first, second)})["pair"]
    assert estimate.value == pytest.approx(expected)
    assert estimate.low < estimate.value < estimate.high


def test_performance_profile_by_hand() -> None:
    profiles, intervals = aggregates.performance_profiles({"one": np.array([[1.0, 2.0], [3.0, 4.0]])}, np.arange(5.0))
    assert profiles["one"].tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert intervals["one"].shape == (2, 5)


def test_aggregates_leave_numpys_generator_alone() -> None:
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    aggregates.interquartile_means({"one": np.eye(3)})
    assert np.random.rand() == expected


def test_single_run_has_no_interval() -> None:
    alone, several = np.arange(4.0)[None], np.arange(8.0).reshape(2, 4)
    found = aggregates.interquartile_means({"alone": alone, "several": several})
    assert found["alone"].value == 1.5 and np.isnan(found["alone"][1:]).all()
    assert not np.isnan(found["several"]).any()
    pairs = {"x": (alone, several), "y": (several, alone)}
    assert all(np.isnan(own[1:]).all() for own in aggregates.improvement_probabilities(pairs).values())
