"""The bootstrap over seeds: intervals of numbers, widened for the small number of seeds."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

Array = npt.NDArray[Any]


class Estimate(NamedTuple):
    """
    A number with its 95 % interval.

    :param value: The number
    :param low: Lower end; NaN where there is no interval
    :param high: Upper end
    """

    value: float
    low: float = np.nan
    high: float = np.nan

    def mirrored(self) -> "Estimate":
        """
        Reach as far to the other side of the number as to that of the resamples.

        The best of several settings is better in a resample than it is, the more so the more settings are level or
        noisy. Percentiles of the resamples take that for a result: they told an algorithm with nine level and noisy
        settings from one with a single best setting in 94 % of all studies although the best settings were alike. The
        basic interval (as far from the value, to the other side) corrects too much at times; what both decide was wrong
        in 5 to 7 %.

        :return: The estimate with what the percentile and the basic interval cover together
        """
        low, high = min(self.low, 2 * self.value - self.high), max(self.high, 2 * self.value - self.low)
        return Estimate(self.value, low, high)


def widening(n_seeds: int, freedom: int) -> float:
    """
    Say by how much the deviations of resamples are widened, because seeds are few.

    The means of n drawn seeds vary (n - 1) / n as much as they should, and the variance is known as badly as in a t
    test. Without this the intervals of a mean over ten seeds miss it in 10 % of all studies, and two algorithms that
    are alike are told apart in 16 % of all studies with four seeds and nine settings; with it, in 5 %.

    :param n_seeds: Number of seeds
    :param freedom: Degrees of freedom of the t test
    :return: The factor, NaN for one seed, which says nothing about others
    """
    if n_seeds < 2:
        return np.nan
    return float(np.sqrt(n_seeds / (n_seeds - 1)) * t.ppf(0.975, freedom) / norm.ppf(0.975))


def widened(samples: Array, centre: Any, factor: float) -> Array:
    """
    Widen the deviations of resamples.

    :param samples: A number in every resample, shape (n_resamples, …); what is infinite stays so
    :param centre: The number itself, shape (…)
    :param factor: See :func:`widening`
    :return: Shape (n_resamples, …)
    """
    with np.errstate(invalid="ignore"):
        wider: Array = np.where(np.isinf(samples), samples, centre + factor * (samples - centre))
    return wider


def ends(samples: Array, n_comparisons: int = 1) -> Array:
    """
    Give the ends of the 95 % percentile interval.

    :param samples: A number in every resample, shape (n_resamples, …)
    :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
    :return: Lower and upper end, shape (2, …)
    """
    tail = 0.025 / n_comparisons
    # Between two values of which one is infinite there would be no number.
    method = "inverted_cdf" if np.isinf(samples).any() else "linear"
    found: Array = np.quantile(samples, [tail, 1 - tail], axis=0, method=method)  # type: ignore[call-overload]
    return found
