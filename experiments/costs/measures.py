"""What is measured of the study, its bootstrap over seeds, and what is claimed of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.common.bootstrap import Estimate
from experiments.common.claims import Claim
from experiments.costs.study import Results, Setting
from experiments.transfer.measures import AREA, FINAL, Measure, Rows, draws, intervals
from experiments.transfer.study import Array

#: Distance of logarithms at which a start counts as the one wanted.
NEAR = 0.1
#: Gives numbers from indices of seeds, for all resamples at once: shape (…, n_seeds) to (…,)
OfRows = Callable[[Rows], Array]


def by_start(measure: Measure, results: Results, setting: Setting, is_controlled: bool, rows: Rows) -> Array:
    """
    Measure the learning curves of every 1/β. Mean returns of a curve are means over seeds of those of each seed.

    :param measure: What is measured, a mean
    :param results: Results
    :param setting: Algorithm and learning rate
    :param is_controlled: Whether a controller set the costs, which then only began so
    :param rows: Indices of seeds, repeated or not, shape (…, n_seeds)
    :return: The numbers, shape (…, n_inverse_betas)
    """
    of_seeds = np.apply_along_axis(measure.of_curve, -1, results.curves[setting, is_controlled])
    numbers: Array = np.moveaxis(of_seeds[:, rows].mean(axis=-1), 0, -1)
    return numbers


def worst_final(results: Results, setting: Setting, rows: Rows) -> Array:
    """Final return under the controller from the worst start."""
    finals: Array = by_start(FINAL, results, setting, True, rows).min(axis=-1)
    return finals


def gain_of_the_worst(results: Results, setting: Setting, rows: Rows) -> Array:
    """Final return of the worst 1/β under the controller less that of the worst fixed one."""
    gain: Array = worst_final(results, setting, rows) - by_start(FINAL, results, setting, False, rows).min(axis=-1)
    return gain


def share_of_the_best(factor: float, results: Results, setting: Setting, rows: Rows) -> Array:
    """
    Area under the controller from a wrong start, as a share of the area of the best fixed 1/β.

    :param factor: The start divided by the 1/β that is best over all seeds
    :param results: Results
    :param setting: Algorithm and learning rate
    :param rows: Indices of seeds, shape (…, n_seeds)
    :return: The share, shape (…,); NaN where the study has no such start
    """
    best = by_start(AREA, results, setting, False, np.arange(results.n_seeds)).argmax()
    distances = np.abs(np.log(results.inverse_betas) - np.log(factor * results.inverse_betas[best]))
    share: Array = by_start(AREA, results, setting, True, rows)[..., distances.argmin()]
    share = share / by_start(AREA, results, setting, False, rows).max(axis=-1)
    return share if distances.min() < NEAR else np.full_like(share, np.nan)


def estimated(number: OfRows, n_seeds: int, n_comparisons: int = 1) -> Estimate:
    """
    Bootstrap a number over seeds.

    :param number: Gives it from indices of seeds
    :param n_seeds: Number of seeds
    :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
    :return: The number with its interval
    """
    value = float(number(np.arange(n_seeds)))
    return Estimate(value, *map(float, intervals(number(draws(n_seeds)), value, n_seeds, n_comparisons)))


@dataclass(frozen=True)
class Number:
    """
    A number of a claim, about one setting.

    :param text: What it is
    :param setting: Algorithm and learning rate
    :param of_rows: Gives it from indices of seeds
    """

    text: str
    setting: Setting
    of_rows: Callable[[Results, Setting, Rows], Array]

    def __call__(self, results: Results, n_comparisons: int) -> Estimate:
        """
        Measure the number.

        :param results: Results
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: The number with its interval, which reaches as far to either side: a best or worst of several is chosen
        """
        number = estimated(lambda rows: self.of_rows(results, self.setting, rows), results.n_seeds, n_comparisons)
        return number.mirrored()


def _share(factor: float) -> Callable[[Results, Setting, Rows], Array]:
    return lambda results, setting, rows: share_of_the_best(factor, results, setting, rows)


def claims_of(settings: list[Setting]) -> list[Claim[Results]]:
    """
    List what is claimed.

    :param settings: Algorithms and learning rates of the study
    :return: The claims
    """

    def numbers(text: str, of_rows: Callable[[Results, Setting, Rows], Array]) -> tuple[Number, ...]:
        return tuple(Number(f"{text}: {setting.label}", setting, of_rows) for setting in settings)

    return [
        Claim(
            "with the controller every 1/β of the grid as a start ends at a return of 9 or more",
            numbers("final, worst start", worst_final),
            bound=9.0,
        ),
        Claim(
            "a start ten times too small costs at most a tenth of the area of the best fixed 1/β",
            numbers("share of the area", _share(0.1)),
            bound=0.9,
        ),
        Claim(
            "a start ten times too large costs at most a tenth of the area of the best fixed 1/β",
            numbers("share of the area", _share(10.0)),
            bound=0.9,
        ),
        Claim(
            "the worst start under the controller ends higher than the worst fixed 1/β",
            numbers("final, worst controlled − worst fixed", gain_of_the_worst),
        ),
    ]
