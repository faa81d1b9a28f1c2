"""The paper's claims about Figure 4 (Section 4.2), each as comparisons of pairs of algorithms."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from experiments.common.bootstrap import Estimate
from experiments.common.claims import Claim
from experiments.figure4.measures import ALL_FINAL, AREA, DISTILLED, EARLY, FINAL, SPEED, Measure, compare
from experiments.figure4.results import StudyResults

Pairs = tuple[tuple[str, str], ...]

BASELINES = ("A3C_multitask", "A3C", "A3C_2col")
ONE_COLUMN, TWO_COLUMNS = ("KL_1col", "KL+ent_1col"), ("KL_2col", "KL+ent_2col")
DISTRAL = ONE_COLUMN + TWO_COLUMNS
#: The same regularisation with two columns and with one; the same columns without and with the entropy cost.
TWO_OVER_ONE: Pairs = tuple(zip(TWO_COLUMNS, ONE_COLUMN, strict=True))
KL_OVER_ENTROPY: Pairs = (("KL_1col", "KL+ent_1col"), ("KL_2col", "KL+ent_2col"))


@dataclass(frozen=True)
class Pair:
    """
    A number of a claim: how much better the first algorithm does than the second.

    :param first: An algorithm
    :param second: Another
    :param measure: What "better" means
    :param is_ratio: Whether the number is second / first, else first − second
    """

    first: str
    second: str
    measure: Measure
    is_ratio: bool = False

    def __call__(self, results: StudyResults, n_comparisons: int) -> Estimate:
        """
        Compare the two.

        :param results: Results of the study
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: The number
        """
        if not all(name in results.algorithms for name in (self.first, self.second)):
            return Estimate(np.nan)
        first, second = (results.algorithms[name] for name in (self.first, self.second))
        if self.is_ratio:
            first, second = second, first
        return compare(self.measure, first, second, self.is_ratio, n_comparisons)


def _claim(name: str, text: str, measure: Measure, pairs: Pairs) -> Claim[StudyResults]:
    """Claim that the first of each pair does better than the second."""
    return Claim(text, tuple(Pair(*pair, measure) for pair in pairs), name=name)


def _over(first: tuple[str, ...], second: tuple[str, ...]) -> Pairs:
    return tuple(pair for pair in product(first, second) if pair[0] != pair[1])


def _without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in BASELINES + DISTRAL if name not in names)


ROBUST = "KL+ent_2col"
COST: Claim[StudyResults] = Claim(
    "a step of Distral costs at most twice that of A3C",
    tuple(Pair(name, "A3C", SPEED, is_ratio=True) for name in DISTRAL),
    bound=2.0,
    is_above=False,
    name="e",
)
#: The claims about each suite.
CLAIMS: dict[str, tuple[Claim[StudyResults], ...]] = {
    "grid-mazes": (
        _claim("a1", "all Distral algorithms learn faster than all A3C ones", EARLY, _over(DISTRAL, BASELINES)),
        _claim("a2", "all Distral algorithms end higher than all A3C ones", FINAL, _over(DISTRAL, BASELINES)),
        _claim("a3", "two columns learn faster than one", EARLY, TWO_OVER_ONE),
        _claim("a4", "KL alone learns faster than KL+ent", EARLY, KL_OVER_ENTROPY),
        _claim("a5", "KL+ent ends higher than KL alone", FINAL, tuple((b, a) for a, b in KL_OVER_ENTROPY)),
        _claim("a6", "KL+ent_2col is most robust over its runs", ALL_FINAL, _over((ROBUST,), _without(ROBUST))),
        _claim("b1", "two columns distil best", DISTILLED, _over(TWO_COLUMNS, _without(*TWO_COLUMNS))),
        _claim("b2", "KL distils better than KL+ent", DISTILLED, KL_OVER_ENTROPY),
        COST,
    ),
    "grid-navigation": (
        _claim("c1", "KL_2col and KL+ent_2col learn best", AREA, _over(TWO_COLUMNS, _without(*TWO_COLUMNS))),
        _claim("c2", "KL_2col and KL+ent_2col end highest", FINAL, _over(TWO_COLUMNS, _without(*TWO_COLUMNS))),
        COST,
    ),
    "grid-tag": (
        _claim("d1", "separate A3C is the best baseline", AREA, _over(("A3C",), ("A3C_multitask", "A3C_2col"))),
        _claim("d2", "one column is ahead of two early", EARLY, tuple((b, a) for a, b in TWO_OVER_ONE)),
        _claim("d3", "all Distral algorithms end above A3C_multitask", FINAL, _over(DISTRAL, ("A3C_multitask",))),
        COST,
    ),
}
