"""What is measured of the study, its bootstrap over seeds, and what is claimed of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from experiments.common.bootstrap import Estimate
from experiments.common.claims import Claim
from experiments.continual.study import N_MAZES, Array, Results
from experiments.transfer.measures import estimated

#: Bins at the end of training whose mean is the final return.
LAST_BINS = 3
Rows = npt.NDArray[np.int64]


class Measure(NamedTuple):
    """
    A number of an arm.

    :param name: What it is
    :param of: Gives it from curves and returns of π0, as :class:`Results` holds those of one arm
    """

    name: str
    of: Callable[[Array, Array], float]

    def __call__(self, results: Results, arm: str, rows: Rows) -> float:
        """
        Measure an arm.

        :param results: Results
        :param arm: The arm
        :param rows: Indices of seeds, repeated or not, over which to take the mean
        :return: The number
        """
        return self.of(results.curves[arm][rows], results.distilled[arm][rows])


def by_group(distilled: Array) -> Array:
    """
    Take means over the mazes of each group.

    :param distilled: Return of π0 after each group, shape (n_seeds, n_groups, n_mazes)
    :return: Mean over seeds and mazes, shape (n_groups, n_groups): after which group, and in the mazes of which
    """
    n_seeds, n_groups, _ = distilled.shape
    return np.asarray(distilled.reshape(n_seeds, n_groups, n_groups, N_MAZES // n_groups).mean(axis=(0, 3)))


#: π0 in the mazes of all groups but the last, right after each was learned, and at the end.
BEFORE = Measure("π0 before", lambda curves, distilled: float(by_group(distilled).diagonal()[:-1].mean()))
EARLIER = Measure("π0 earlier", lambda curves, distilled: float(by_group(distilled)[-1, :-1].mean()))
LATEST = Measure("π0 latest", lambda curves, distilled: float(by_group(distilled)[-1, -1]))
ALL = Measure("π0 all", lambda curves, distilled: float(distilled[:, -1].mean()))
KEPT = Measure("kept", lambda curves, distilled: EARLIER.of(curves, distilled) / BEFORE.of(curves, distilled))
AREA = Measure("area", lambda curves, distilled: float(curves.mean()))
FINAL = Measure("final", lambda curves, distilled: float(curves[..., -LAST_BINS:].mean()))
#: All of them, in the order of the table.
MEASURES = (BEFORE, EARLIER, KEPT, LATEST, ALL, AREA, FINAL)


def measured(results: Results, arm: str, measure: Measure) -> Estimate:
    """
    Measure an arm.

    :param results: Results
    :param arm: The arm
    :param measure: What
    :return: The number with its interval
    """
    return estimated(lambda rows: measure(results, arm, rows), results.n_seeds)


@dataclass(frozen=True)
class Number:
    """
    A number of a claim: an arm alone, or beside another, seed by seed since they share the model of the first group.

    :param measure: What is measured
    :param arm: An arm
    :param other: Another, whose number is subtracted
    """

    measure: Measure
    arm: str
    other: str | None = None

    def __call__(self, results: Results, n_comparisons: int) -> Estimate:
        """
        Measure it.

        :param results: Results
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: The number
        """
        return estimated(lambda rows: self._number(results, rows), results.n_seeds, n_comparisons)

    def _number(self, results: Results, rows: Rows) -> float:
        number = self.measure(results, self.arm, rows)
        return number if self.other is None else number - self.measure(results, self.other, rows)

    @property
    def text(self) -> str:
        """What the number is."""
        return f"{self.measure.name}: {self.arm}" + ("" if self.other is None else f" − {self.other}")


WITH, WITHOUT = "rehearsal", "no-rehearsal"
CLAIMS: tuple[Claim[Results], ...] = (
    Claim("without rehearsal π0 keeps at most half of its return", (Number(KEPT, WITHOUT),), 0.5, is_above=False),
    Claim("with rehearsal π0 keeps at least half of it", (Number(KEPT, WITH),), 0.5),
    Claim("rehearsal raises what π0 finds in the earlier mazes", (Number(EARLIER, WITH, WITHOUT),)),
    Claim("rehearsal raises what π0 finds in all mazes", (Number(ALL, WITH, WITHOUT),)),
    Claim("with rehearsal task policies of later mazes learn no slower", (Number(AREA, WITH, WITHOUT),)),
)
