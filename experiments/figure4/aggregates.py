"""
rliable's aggregates: interquartile means, probabilities of improvement, performance profiles.

Its intervals take the tasks of a run for independent and know nothing of the choice of the best setting.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from experiments.common.bootstrap import Estimate

Array = npt.NDArray[np.float64]
N_RESAMPLES = 1000


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """rliable draws from numpy's global generator."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def interquartile_means(scores: Mapping[str, Array], seed: int = 0) -> dict[str, Estimate]:
    """
    Aggregate the scores of each algorithm by its interquartile mean.

    :param scores: Scores by algorithm, each of shape (n_runs, n_tasks)
    :param seed: Seed of the bootstrap
    :return: Interquartile mean of each with its stratified bootstrap interval, by rliable; a single run has none (NaN)
    """
    from rliable import library, metrics

    with _numpy_seed(seed):
        points, intervals = library.get_interval_estimates(
            dict(scores), lambda own: np.array([metrics.aggregate_iqm(own)]), reps=N_RESAMPLES
        )
    return {name: _estimate(points[name], intervals[name], len(own)) for name, own in scores.items()}


def improvement_probabilities(pairs: Mapping[str, tuple[Array, Array]], seed: int = 0) -> dict[str, Estimate]:
    """
    Compare pairs of algorithms.

    :param pairs: Scores of two algorithms by name of the pair, each of shape (n_runs, n_tasks)
    :param seed: Seed of the bootstrap
    :return: Probability that the first scores higher on a task than the second, with rliable's interval; a single run
        of either has none (NaN)
    """
    from rliable import library

    with _numpy_seed(seed):
        points, intervals = library.get_interval_estimates(dict(pairs), improvement_probability, reps=N_RESAMPLES)
    return {name: _estimate(points[name], intervals[name], min(map(len, pair))) for name, pair in pairs.items()}


def _estimate(point: Array, ends: Array, n_runs: int) -> Estimate:
    # A single run is drawn every time: the interval would have no width and look like certainty.
    return Estimate(float(point[0]), *(ends[:, 0].tolist() if n_runs > 1 else ()))


def improvement_probability(first: Array, second: Array) -> Array:
    """
    Compute what rliable computes by a rank test for each task, in one array operation, which the bootstrap needs.

    :param first: Scores of one algorithm, shape (n_runs, n_tasks)
    :param second: Scores of another
    :return: P(first > second) + P(first = second) / 2, mean over tasks, shape (1,)
    """
    difference = first[:, None] - second[None]
    return np.array([(difference > 0).mean() + 0.5 * (difference == 0).mean()])


def performance_profiles(
    scores: Mapping[str, Array], thresholds: Array, seed: int = 0
) -> tuple[dict[str, Array], dict[str, Array]]:
    """
    Give the performance profiles of algorithms.

    :param scores: Scores by algorithm, each of shape (n_runs, n_tasks)
    :param thresholds: Scores at which to take the profile
    :param seed: Seed of the bootstrap
    :return: Share of runs and tasks above each threshold by algorithm, and its intervals, shape (2, n_thresholds)
    """
    from rliable import library

    with _numpy_seed(seed):
        profiles: dict[str, Array]
        intervals: dict[str, Array]
        profiles, intervals = library.create_performance_profile(dict(scores), thresholds, reps=N_RESAMPLES // 4)
    return profiles, intervals
