"""What is measured of an algorithm, in its best setting or in all, and its bootstrap over seeds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from experiments.common.bootstrap import Estimate, ends, widened, widening
from experiments.figure4.results import AlgorithmResults

Array = npt.NDArray[np.float64]
N_RESAMPLES = 4000


class Measure(NamedTuple):
    """
    What is compared between algorithms: a number a run, and the number by which the best setting is chosen.

    :param name: What it is
    :param of_runs: Gives the number of each run, shape (n_settings, n_seeds)
    :param selection: Likewise the number to choose the setting by; ``None``: the mean over all settings counts
    """

    name: str
    of_runs: Callable[[AlgorithmResults], Array]
    selection: Callable[[AlgorithmResults], Array] | None


def _area(own: AlgorithmResults) -> Array:
    return own.area


def _distilled_area(own: AlgorithmResults) -> Array:
    return own.distilled_area


def _final(own: AlgorithmResults) -> Array:
    return np.asarray(own.final.mean(axis=2))


EARLY = Measure("mean return in the first half of training, best setting", lambda own: own.early, _area)
AREA = Measure("area under the curve, best setting", _area, _area)
FINAL = Measure("final score, best setting", _final, _area)
ALL_FINAL = Measure("mean final score of all settings and seeds", _final, None)
DISTILLED = Measure("final score of π0, best setting for π0", lambda own: own.distilled.mean(axis=2), _distilled_area)
UNSEEN = Measure("π0 on unseen tasks, best setting for π0", lambda own: own.unseen.mean(axis=2), _distilled_area)
SPEED = Measure("steps per second of a core, all settings", lambda own: own.speed, None)
#: All of them, in the order of the table.
MEASURES = (EARLY, AREA, FINAL, ALL_FINAL, DISTILLED, UNSEEN, SPEED)


def best_setting(selection: Array) -> int:
    """
    Choose a setting.

    :param selection: A number of each run, NaN where it is missing, shape (n_settings, n_seeds)
    :return: The setting with the highest mean over its seeds
    """
    return int(np.ma.masked_invalid(selection).mean(axis=1).filled(-np.inf).argmax())


def measured(measure: Measure, results: AlgorithmResults) -> float:
    """
    Measure an algorithm.

    :param measure: A measure
    :param results: Results of an algorithm
    :return: Its value from the runs that there are; NaN if there are none
    """
    values = np.ma.masked_invalid(measure.of_runs(results))
    if measure.selection is not None:
        values = values[best_setting(measure.selection(results))]
    return float(np.ma.filled(values.mean(), np.nan))


def resampled(measure: Measure, results: AlgorithmResults, generator: np.random.Generator) -> Array:
    """
    Bootstrap a measure: draw the seeds of each setting anew, with replacement, and choose the best setting anew.

    Whole runs are drawn, since the tasks of a run depend on one another.

    :param measure: A measure
    :param results: Results of an algorithm, complete, with at least two seeds
    :param generator: Source of all draws
    :return: The measure in every resample, shape (N_RESAMPLES,)
    """
    values = measure.of_runs(results)
    n_settings, n_seeds = values.shape
    draws = generator.integers(n_seeds, size=(N_RESAMPLES, n_settings, n_seeds))
    # A comparison is a t test of two groups.
    if measure.selection is None:
        return np.asarray(_resampled_means(values, draws, 2 * n_settings * (n_seeds - 1)).mean(axis=1))
    means = _resampled_means(values, draws, 2 * (n_seeds - 1))
    chosen = _resampled_means(measure.selection(results), draws, 2 * (n_seeds - 1)).argmax(axis=1)
    return np.asarray(means[np.arange(N_RESAMPLES), chosen])


def _resampled_means(values: Array, draws: npt.NDArray[np.int64], freedom: int) -> Array:
    """Return the mean of each setting in every resample."""
    n_settings, n_seeds = values.shape
    means = values[np.arange(n_settings)[:, None], draws].mean(axis=2)
    return widened(means, values.mean(axis=1), widening(n_seeds, freedom))


def estimated(measure: Measure, results: AlgorithmResults) -> Estimate:
    """
    Measure an algorithm with its interval.

    :param measure: A measure
    :param results: Results of an algorithm
    :return: Its value, without an interval if runs are missing or there is but one seed
    """
    value = measured(measure, results)
    if not results.has_intervals or np.isnan(value):
        return Estimate(value)
    return Estimate(value, *ends(resampled(measure, results, np.random.default_rng(0)))).mirrored()


def compare(
    measure: Measure,
    first: AlgorithmResults,
    second: AlgorithmResults,
    is_ratio: bool = False,
    n_comparisons: int = 1,
) -> Estimate:
    """
    Compare two algorithms, without an interval if runs are missing or there is but one seed.

    :param measure: What is compared
    :param first: Results of one algorithm
    :param second: Results of the other
    :param is_ratio: Whether to divide and not to subtract
    :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
    :return: first - second, or first / second
    """
    join = np.divide if is_ratio else np.subtract
    value = float(join(measured(measure, first), measured(measure, second)))
    if not (first.has_intervals and second.has_intervals):
        return Estimate(value)
    generator = np.random.default_rng(0)
    samples = join(*(resampled(measure, own, generator) for own in (first, second)))
    return Estimate(value, *ends(samples, n_comparisons)).mirrored()
