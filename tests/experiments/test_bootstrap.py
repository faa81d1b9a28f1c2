"""The bootstrap over seeds."""

import numpy as np
import pytest

from experiments.common.bootstrap import Estimate, ends, widened, widening


def test_interval_of_a_mean_is_that_of_a_t_test() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=10)
    means = values[generator.integers(10, size=(20_000, 10))].mean(axis=1)
    half = 2.2622 * values.std(ddof=1) / 10**0.5
    found = ends(widened(means, values.mean(), widening(10, 9)))
    assert found == pytest.approx([values.mean() - half, values.mean() + half], abs=0.08 * half)


def test_one_seed_says_nothing_about_others() -> None:
    assert np.isnan(widening(1, 0))
    assert np.isnan(ends(widened(np.ones(9), 1.0, widening(1, 0)))).all()


def test_ends_are_taken_sample_by_sample_along_the_first_axis() -> None:
    samples = np.arange(101.0)[:, None] + [0, 1000]
    assert ends(samples).tolist() == [[2.5, 1002.5], [97.5, 1097.5]]


def test_intervals_that_hold_together_are_wider() -> None:
    samples = np.random.default_rng(0).normal(size=4000)
    (low, high), (lower, higher) = ends(samples), ends(samples, n_comparisons=12)
    assert lower < low < high < higher


def test_infinite_samples_stay_infinite() -> None:
    samples = np.where(np.arange(100) < 10, np.inf, 2.0)
    assert ends(widened(samples, 2.0, 3.0)).tolist() == [2.0, np.inf]


def test_mirrored_reaches_as_far_to_the_other_side_of_the_value() -> None:
    assert Estimate(1.0, 0.5, 4.0).mirrored() == (1.0, -2.0, 4.0)
    assert Estimate(1.0, -4.0, 1.5).mirrored() == (1.0, -4.0, 6.0)
