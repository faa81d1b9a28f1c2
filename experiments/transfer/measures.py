"""What is measured of the learning curves, its bootstrap over seeds, and what is claimed of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.common.bootstrap import Estimate, ends, widened, widening
from experiments.common.claims import Claim
from experiments.transfer.study import N_BINS, Array, Results

N_RESAMPLES = 2000
#: Bins at the end of training whose mean is the final return.
LAST_BINS = 3
#: Returns whose first passing is measured.
LEVELS = (2, 4, 8)
#: A number of a mean learning curve of so many steps.
Measure = Callable[[Array, int], float]


@dataclass(frozen=True)
class StepsTo:
    """
    Steps of all tasks until the learning curve passes a return.

    :param level: The return
    """

    level: float

    def __call__(self, curve: Array, timesteps: int) -> float:
        """
        Find the first passing, on straight lines between the ends of bins.

        :param curve: Mean return by bin
        :param timesteps: Steps of the whole curve
        :return: Steps, at least those of the first bin; infinite where the curve never passes
        """
        above = curve >= self.level
        if not above.any():
            return np.inf
        first = int(above.argmax())
        part = (self.level - curve[first - 1]) / (curve[first] - curve[first - 1]) if first > 0 else 1.0
        return float((first + part) * timesteps / N_BINS)


def area(curve: Array, timesteps: int) -> float:
    """
    Average a learning curve over its steps.

    :param curve: Mean return by bin
    :param timesteps: Steps of the whole curve
    :return: Mean return in the course of learning
    """
    return float(curve.mean())


def final(curve: Array, timesteps: int) -> float:
    """
    Average the end of a learning curve.

    :param curve: Mean return by bin
    :param timesteps: Steps of the whole curve
    :return: Mean return in the last bins
    """
    return float(curve[-LAST_BINS:].mean())


def draws(n_seeds: int) -> npt.NDArray[np.int64]:
    """
    Draw seeds with replacement, the same ones in every call.

    :param n_seeds: Number of seeds
    :return: Indices of seeds, shape (N_RESAMPLES, n_seeds)
    """
    return np.random.default_rng(0).integers(n_seeds, size=(N_RESAMPLES, n_seeds))


def intervals(samples: Array, value: Array | float, n_seeds: int, n_comparisons: int = 1) -> Array:
    """
    Give the 95 % intervals of numbers from their resamples.

    :param samples: Numbers in every resample, shape (n_resamples, …)
    :param value: The numbers, shape (…)
    :param n_seeds: Number of seeds
    :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
    :return: Lower and upper ends, shape (2, …), NaN for one seed
    """
    return ends(widened(samples, value, widening(n_seeds, n_seeds - 1)), n_comparisons)


def estimated(measure: Measure, results: Results, arm: str) -> Estimate:
    """
    Measure the mean curve of an arm, with its interval over seeds.

    :param measure: A measure
    :param results: Results
    :param arm: An arm
    :return: Its value
    """
    curves, timesteps = results.curves[arm], results.study.timesteps
    value = measure(curves.mean(axis=0), timesteps)
    samples = np.array([measure(curves[rows].mean(axis=0), timesteps) for rows in draws(len(curves))])
    return Estimate(value, *map(float, intervals(samples, value, len(curves))))


@dataclass(frozen=True)
class Pair:
    """
    A number of a claim: two arms compared, seed by seed since they share environments and the π0 that they begin with.

    :param first: An arm
    :param second: Another
    :param measure: What is compared
    :param is_ratio: Whether the number is first / second, else first − second
    """

    first: str
    second: str
    measure: Measure
    is_ratio: bool = False

    def __call__(self, results: Results, n_comparisons: int) -> Estimate:
        """
        Compare the two.

        :param results: Results
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: The number; NaN where neither of two curves passes a level
        """
        n_seeds = results.n_seeds
        value = self._number(results, np.arange(n_seeds))
        samples = np.array([self._number(results, rows) for rows in draws(n_seeds)])
        return Estimate(value, *map(float, intervals(samples, value, n_seeds, n_comparisons)))

    def _number(self, results: Results, rows: npt.NDArray[np.int64]) -> float:
        first, second = (
            np.float64(self.measure(results.curves[arm][rows].mean(axis=0), results.study.timesteps))
            for arm in (self.first, self.second)
        )
        with np.errstate(invalid="ignore"):
            return float(first / second if self.is_ratio else first - second)


BEST, NOTHING = "frozen-then-on", "KL+ent_2col"
CLAIMS: tuple[Claim[Results], ...] = (
    Claim(
        "π0 frozen, then trained on, needs at most a third of the steps of KL+ent_2col from nothing to a return of "
        f"{', '.join(map(str, LEVELS))} (ratio of steps)",
        tuple(Pair(BEST, NOTHING, StepsTo(level), is_ratio=True) for level in LEVELS),
        bound=1 / 3,
        is_above=False,
    ),
    Claim("it ends at least as high as with π0 frozen (final return, difference)", (Pair(BEST, "frozen", final),)),
    Claim("it has more area than π0 trained on from the first step (difference)", (Pair(BEST, "trained-on", area),)),
    Claim(
        "π0 of Distral is worth more than the network of A3C_multitask (area, difference)",
        (Pair(BEST, "multitask", area),),
    ),
    Claim(
        "two columns have more area than columns that begin as π0, and than π0 in the reward alone (differences)",
        (Pair(BEST, "warm-start", area), Pair(BEST, "prior-only", area)),
    ),
    Claim("the weight 1 of π0 has more area than 0.5 (difference)", (Pair(BEST, "weight-0.5", area),)),
)
