"""What is measured of the study, its bootstrap over seeds, and what is claimed of it."""

from dataclasses import dataclass

from experiments.common.bootstrap import Estimate
from experiments.common.claims import Claim
from experiments.scales.study import ALGORITHMS, Results, Way
from experiments.transfer.measures import AREA, FINAL, Measure, Rows, estimated


def measured(measure: Measure, results: Results, way: Way, rows: Rows) -> float:
    """
    Measure the mean learning curve of a way, in goals of an episode and mean of the tasks.

    :param measure: What is measured
    :param results: Results
    :param way: The way
    :param rows: Indices of seeds, repeated or not
    :return: The number
    """
    return measure.of_curve(results.curves[way][rows].mean(axis=(0, 1)))


@dataclass(frozen=True)
class Difference:
    """
    A number of a claim: one way less another, seed by seed.

    :param first: A way
    :param second: Another
    :param measure: What is compared
    """

    first: Way
    second: Way
    measure: Measure

    def __call__(self, results: Results, n_comparisons: int) -> Estimate:
        """
        Compare the two.

        :param results: Results
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: The number with its interval
        """
        return estimated(lambda rows: self._number(results, rows), results.n_seeds, n_comparisons)

    def _number(self, results: Results, rows: Rows) -> float:
        first, second = (measured(self.measure, results, way, rows) for way in (self.first, self.second))
        return first - second

    @property
    def text(self) -> str:
        """What the number is."""
        return f"{self.measure.name}: {way_text(self.first)} − {way_text(self.second)}"


def way_text(way: Way) -> str:
    """
    Name a way.

    :param way: The way
    :return: Its name
    """
    algorithm, normalizes = way
    return f"{algorithm}, normalised" if normalizes else algorithm


def lowest(results: Results, way: Way) -> float:
    """
    Measure the task that a way has learned least.

    :param results: Results
    :param way: The way
    :return: Its final number of goals, mean over seeds
    """
    return min(FINAL.of_curve(curve) for curve in results.curves[way].mean(axis=0))


BEST: Way = ("KL+ent_2col", True)
CLAIMS: tuple[Claim[Results], ...] = (
    Claim(
        "every algorithm ends with more goals where returns are normalised",
        tuple(Difference((name, True), (name, False), FINAL) for name in ALGORITHMS),
    ),
    Claim(
        "with normalised returns KL+ent_2col ends with more goals than the A3C rows as they are",
        tuple(Difference(BEST, (name, False), FINAL) for name in ALGORITHMS[1:]),
    ),
    Claim(
        "with normalised returns KL+ent_2col has more area than the A3C rows with normalised returns",
        tuple(Difference(BEST, (name, True), AREA) for name in ALGORITHMS[1:]),
    ),
)
