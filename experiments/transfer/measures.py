"""What is measured of the learning curves, its bootstrap over seeds, and what is claimed of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from experiments.common.bootstrap import Estimate, ends, widened, widening
from experiments.common.claims import Claim
from experiments.common.curves import LAST_BINS, N_BINS
from experiments.transfer.study import Array, Results, Study

N_RESAMPLES = 2000
Rows = npt.NDArray[np.int64]


class Measure(NamedTuple):
    """
    A number of a mean learning curve.

    :param name: What it is
    :param of_curve: Gives it from the mean return by bin
    :param is_steps: Whether it counts bins, which stand for steps, and may be infinite
    """

    name: str
    of_curve: Callable[[Array], float]
    is_steps: bool = False

    def __call__(self, results: Results, arm: str, rows: Rows) -> float:
        """
        Measure an arm.

        :param results: Results
        :param arm: The arm
        :param rows: Indices of seeds, repeated or not, over which to take the mean
        :return: The number, in steps of all tasks where it counts bins
        """
        number = self.of_curve(results.curves[arm][rows].mean(axis=0))
        return number * results.study.timesteps / N_BINS if self.is_steps else number


def bins_to(level: float, curve: Array) -> float:
    """
    Find when a learning curve first passes a return, on straight lines between the ends of bins.

    :param level: The return
    :param curve: Mean return by bin
    :return: Bins that have gone by, at least the first one; infinite where the curve never passes
    """
    above = curve >= level
    if not above.any():
        return np.inf
    first = int(above.argmax())
    part = (level - curve[first - 1]) / (curve[first] - curve[first - 1]) if first > 0 else 1.0
    return float(first + part)


def steps_to(study: Study) -> tuple[Measure, ...]:
    """
    Give what is measured of the speed of learning.

    :param study: The study
    :return: Steps to each of the returns of its suite
    """
    levels = study.on_suite.levels
    return tuple(Measure(f"steps to {level}", partial(bins_to, level), is_steps=True) for level in levels)


AREA = Measure("area", lambda curve: float(curve.mean()))
FINAL = Measure("final", lambda curve: float(curve[-LAST_BINS:].mean()))


def final(study: Study) -> Measure:
    """
    Give the final return on a suite.

    :param study: The study
    :return: What measures it
    """
    last_bins = study.on_suite.last_bins
    return FINAL._replace(of_curve=lambda curve: float(curve[-last_bins:].mean()))


def draws(n_seeds: int) -> Rows:
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


def estimated(number: Callable[[Rows], float], n_seeds: int, n_comparisons: int = 1) -> Estimate:
    """
    Bootstrap a number over seeds.

    :param number: Gives it from indices of seeds
    :param n_seeds: Number of seeds
    :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
    :return: The number with its interval
    """
    value = number(np.arange(n_seeds))
    samples = np.array([number(rows) for rows in draws(n_seeds)])
    return Estimate(value, *map(float, intervals(samples, value, n_seeds, n_comparisons)))


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
        :return: The number; NaN for a ratio to steps that the study is too short for
        """
        return estimated(lambda rows: self._number(results, rows), results.n_seeds, n_comparisons)

    def _number(self, results: Results, rows: Rows) -> float:
        first, second = (self.measure(results, arm, rows) for arm in (self.first, self.second))
        if not self.is_ratio:
            return first - second
        # What has not been reached yet may have been near: of that ratio nothing is known.
        return np.nan if np.isinf(second) else first / second

    @property
    def text(self) -> str:
        """What the number is."""
        return f"{self.measure.name}: {self.first} {'/' if self.is_ratio else '−'} {self.second}"


BEST, NOTHING = "frozen-then-on", "KL+ent_2col"
#: Ways without h in the logits, in words.
ONE_COLUMN = {"warm-start": "one column that begins as π0", "prior-only": "π0 in the reward alone"}


def claims(study: Study) -> tuple[Claim[Results], ...]:
    """
    Give what is claimed on a suite.

    :param study: The study
    :return: The claims about ways that are tried there
    """
    one_column = [name for name in ONE_COLUMN if name in study.arms]
    all_claims = (
        _speed(study),
        _claim("it ends at least as high as with π0 frozen", final(study), "frozen"),
        _claim("it has more area than π0 trained on from the first step", AREA, "trained-on"),
        _claim("π0 of Distral is worth more than the network of A3C_multitask", AREA, "multitask"),
        _claim(
            f"two columns have more area than {', and than '.join(ONE_COLUMN[name] for name in one_column)}",
            AREA,
            *one_column,
        ),
        _claim("the weight 1 of π0 has more area than 0.5", AREA, "weight-0.5"),
    )
    return tuple(own for seconds, own in all_claims if set(seconds) <= set(study.arms))


def _speed(study: Study) -> tuple[tuple[str, ...], Claim[Results]]:
    text = "π0 frozen, then trained on, needs at most a third of the steps of learning from nothing to a return of "
    numbers = tuple(Pair(BEST, NOTHING, steps, is_ratio=True) for steps in steps_to(study))
    levels = ", ".join(map(str, study.on_suite.levels))
    return (NOTHING,), Claim(text + levels, numbers, bound=1 / 3, is_above=False)


def _claim(text: str, measure: Measure, *seconds: str) -> tuple[tuple[str, ...], Claim[Results]]:
    """A claim that the best way is better than others, and their names."""
    return seconds, Claim(text, tuple(Pair(BEST, second, measure) for second in seconds))
