"""What the paper claims of Figure 3, measured: curves, crossings, intervals over seeds, verdicts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from sb3_distral.experiments.two_rooms import Results

Array = npt.NDArray[Any]
Statistic = Callable[[Results], float]

N_RESAMPLES = 2000
DISTRAL, SEPARATE = 0, 1
TRAINING, TEST = 0, 1
STAY, UP, DOWN, LEFT, RIGHT = range(5)


class Claim(NamedTuple):
    """
    A claim that a number is above or below a bound.

    :param text: The claim
    :param statistic: Gives the number
    :param bound: The bound
    :param is_above: Whether the number should be above the bound, else below
    :param unit: How the number is printed, a format specification
    """

    text: str
    statistic: Statistic
    bound: float
    is_above: bool = True
    unit: str = ".2f"

    def verdict(self, low: float, high: float) -> str:
        """
        :param low: Lower end of the interval
        :param high: Upper end of the interval
        :return: "holds" or "does not hold" where the whole interval is on one side of the bound, else "undecided"
        """
        if low >= self.bound if self.is_above else high <= self.bound:
            return "holds"
        return "does not hold" if (high < self.bound if self.is_above else low > self.bound) else "undecided"


def window(n_iterations: int) -> int:
    """
    :param n_iterations: Length of a learning curve
    :return: Iterations that a smoothed curve averages over, a fiftieth of all
    """
    return max(1, n_iterations // 50)


def smoothed(curves: Array) -> Array:
    """
    Average each point with those before it, over :func:`window` iterations.

    :param curves: Shape (..., n_iterations)
    :return: Means that end with each iteration from the ``window``-th on, shape (..., n_iterations - window + 1)
    """
    width = window(curves.shape[-1])
    sums = np.cumsum(np.pad(curves, [(0, 0)] * (curves.ndim - 1) + [(1, 0)]), axis=-1, dtype=np.float64)
    means: Array = (sums[..., width:] - sums[..., :-width]) / width
    return means


def crossing(curve: Array, level: float) -> float:
    """
    :param curve: A learning curve, not smoothed, shape (n_iterations,)
    :param level: A return
    :return: Iterations after which the smoothed curve is first at the level or above; infinite if it never is
    """
    above = smoothed(curve) >= level
    return float(np.argmax(above)) + window(len(curve)) if above.any() else np.inf


def mean_curves(results: Results, phase: int) -> Array:
    """
    :param results: Results
    :param phase: Training or test tasks
    :return: Mean learning curves over seeds, shape (methods, n_iterations)
    """
    curves: Array = results.returns[:, :, phase].mean(axis=0, dtype=np.float64)
    return curves


def crossings(results: Results, phase: int, level: float | None = None) -> tuple[float, float, float]:
    """
    :param results: Results
    :param phase: Training or test tasks
    :param level: A return; ``None``: that of separate learning at the end
    :return: The level, and after how many iterations Distral and separate learning pass it
    """
    distral, separate = mean_curves(results, phase)
    level = float(smoothed(separate)[-1]) if level is None else level
    return level, crossing(distral, level), crossing(separate, level)


def crossing_ratio(results: Results, phase: int, level: float | None = None) -> float:
    """
    :param results: Results
    :param phase: Training or test tasks
    :param level: A return; ``None``: that of separate learning at the end
    :return: How many times earlier Distral passes the level: 0 if it never does, infinite if only it does, NaN if
        neither does
    """
    _, distral, separate = crossings(results, phase, level)
    if np.isinf(distral):
        return np.nan if np.isinf(separate) else 0.0
    return separate / distral


def difference(results: Results, phase: int, at_end: bool) -> float:
    """
    :param results: Results
    :param phase: Training or test tasks
    :param at_end: Compare the end of learning instead of the mean over all of it
    :return: Return of Distral less that of separate learning
    """
    curves = mean_curves(results, phase)
    scores = smoothed(curves)[:, -1] if at_end else curves.mean(axis=-1)
    return float(scores[DISTRAL] - scores[SEPARATE])


def spread_difference(results: Results) -> float:
    """
    :param results: Results
    :return: Standard deviation between seeds on the training tasks, mean over learning: Distral less separate learning
    """
    spreads = smoothed(results.returns[:, :, TRAINING]).std(axis=0).mean(axis=-1)
    return float(spreads[DISTRAL] - spreads[SEPARATE])


def sideways_probability(results: Results) -> float:
    """
    :param results: Results
    :return: π0(up) + π0(down), mean over the corridor's cells and the previous actions left and right
    """
    return float(results.corridor[:, :, [LEFT, RIGHT]][..., [UP, DOWN]].sum(axis=-1).mean())


def direction_margin(results: Results) -> float:
    """
    :param results: Results
    :return: Probability that π0 goes on in the direction of travel less that of its likeliest other action, the smaller
        of left and right, mean over the corridor's cells
    """
    policy = results.corridor.mean(axis=(0, 1))
    margins = [policy[action, action] - np.delete(policy[action], action).max() for action in (LEFT, RIGHT)]
    return float(min(margins))


def widening(n_seeds: int) -> float:
    """
    What resampled deviations from the measured number are widened by, because seeds are few.

    The means of n drawn seeds vary (n - 1) / n as much as they should, and the variance is known as badly as in a t
    test. Without this the intervals of a mean over ten seeds miss it in 10 % of all studies; with it, in 5 %.

    :param n_seeds: Number of seeds
    :return: The factor, NaN for one seed, which says nothing about others
    """
    if n_seeds < 2:
        return np.nan
    return float(np.sqrt(n_seeds / (n_seeds - 1)) * t.ppf(0.975, n_seeds - 1) / norm.ppf(0.975))


def interval(results: Results, statistic: Statistic) -> tuple[float, float]:
    """
    Bootstrap over seeds: the statistic of seeds drawn with replacement, ``N_RESAMPLES`` times; see :func:`widening`.

    :param results: Results
    :param statistic: A number of them
    :return: 95 % interval, NaN where the number is NaN in any resample or there is one seed
    """
    n_seeds = len(results.seeds)
    if n_seeds < 2:
        return np.nan, np.nan
    rows = np.random.default_rng(0).integers(n_seeds, size=(N_RESAMPLES, n_seeds))
    values = [statistic(results.of(row)) for row in rows]
    # A percentile between two values could be infinity less infinity.
    low, high = np.percentile(values, [2.5, 97.5], method="inverted_cdf")
    centre, factor = statistic(results), widening(n_seeds)
    return _widened(centre, float(low), factor), _widened(centre, float(high), factor)


def _widened(centre: float, end: float, factor: float) -> float:
    return end if np.isinf(end) else centre + factor * (end - centre)
