"""Studies of algorithms along an axis: their results as arrays, and the numbers that are claimed of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from experiments.common.bootstrap import Estimate
from experiments.common.curves import LAST_BINS
from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]
#: What is measured of every learning curve.
FINAL, AREA = "final return", "area"


class Place(NamedTuple):
    """
    One of the runs that share a seed.

    :param value: Where on the axis
    :param algorithm: Name of Table 1
    """

    value: float
    algorithm: str


@dataclass(frozen=True)
class Sweep:
    """
    What came out for the seeds of which every run has ended.

    :param progress: How many of all runs there are, in words
    :param seeds: Seeds that are whole
    :param values: The values of the axis
    :param algorithms: Names of Table 1
    :param numbers: By measure and place a number of each seed, shape (n_seeds,)
    """

    progress: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    algorithms: tuple[str, ...]
    numbers: Mapping[str, Mapping[Place, Array]]

    def estimate(self, measure: str, place: Place) -> Estimate:
        """
        Estimate a number.

        :param measure: What is measured
        :param place: Where
        :return: Its mean over seeds with its interval
        """
        return estimated(self.numbers[measure][place])


def estimated(numbers: Array, n_comparisons: int = 1) -> Estimate:
    """
    Estimate a mean over seeds.

    :param numbers: A number of each seed, shape (n_seeds,)
    :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
    :return: The mean with its t interval; none for one seed, which says nothing about others
    """
    n_seeds, mean = len(numbers), float(numbers.mean())
    if n_seeds < 2:
        return Estimate(mean)
    reach = t.ppf(1 - 0.025 / n_comparisons, n_seeds - 1) * numbers.std(ddof=1) / np.sqrt(n_seeds)
    return Estimate(mean, mean - float(reach), mean + float(reach))


def gathered(
    progress: str,
    places: Sequence[Place],
    seeds: Sequence[int],
    found: Mapping[tuple[Place, int], Mapping[str, Any]],
    last_bins: int = LAST_BINS,
) -> Sweep:
    """
    Gather the results of a study.

    :param progress: How many of its runs there are, in words
    :param places: All places, each with all seeds
    :param seeds: All seeds
    :param found: What has come of a place with a seed so far: ``curve``, mean return over tasks by bin, and numbers
    :param last_bins: Bins at the end whose mean is the final return
    :return: The seeds that are whole
    :raises UsageError: If there is none
    """
    whole = [seed for seed in seeds if all((place, seed) in found for place in places)]
    if not whole:
        raise UsageError(f"No seed of the study is whole ({progress}). Wait for the first one.")
    numbers: dict[str, dict[Place, Array]] = {}
    for place in places:
        measured = [_numbers(found[place, seed], last_bins) for seed in whole]
        for name in measured[0]:
            numbers.setdefault(name, {})[place] = np.array([own[name] for own in measured])
    values, algorithms = (tuple(dict.fromkeys(parts)) for parts in zip(*places, strict=True))
    return Sweep(progress, tuple(whole), values, algorithms, numbers)


def _numbers(results: Mapping[str, Any], last_bins: int) -> dict[str, float]:
    curve = np.array(results["curve"])
    others = {name: value for name, value in results.items() if name not in ("curve", "learn_seconds")}
    return {FINAL: float(curve[-last_bins:].mean()), AREA: float(curve.mean()), **others}


@dataclass(frozen=True)
class Contrast:
    """
    A number of a claim: a weighted sum over places, seed by seed since runs of a seed share environments.

    :param text: What it is
    :param measure: What is measured
    :param weights: Weight of each place
    """

    text: str
    measure: str
    weights: Mapping[Place, float]

    def __call__(self, results: Sweep, n_comparisons: int) -> Estimate:
        """
        Estimate the number.

        :param results: Results
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: The number with its interval
        """
        numbers = results.numbers[self.measure]
        return estimated(sum(weight * numbers[place] for place, weight in self.weights.items()), n_comparisons)  # type: ignore[arg-type]


def difference(measure: str, value: float, first: str, second: str) -> Contrast:
    """
    Compare two algorithms.

    :param measure: What is measured
    :param value: Where on the axis
    :param first: An algorithm
    :param second: Another
    :return: First − second
    """
    weights = {Place(value, first): 1.0, Place(value, second): -1.0}
    return Contrast(f"{measure} at {value:g}: {first} − {second}", measure, weights)


def growth(measure: str, values: tuple[float, float], algorithm: str) -> Contrast:
    """
    Say by how much a number grows along the axis.

    :param measure: What is measured
    :param values: From where to where
    :param algorithm: An algorithm
    :return: The number at the second value − the number at the first
    """
    start, end = values
    weights = {Place(end, algorithm): 1.0, Place(start, algorithm): -1.0}
    return Contrast(f"{measure}: {algorithm} at {end:g} − at {start:g}", measure, weights)
