"""The paper's claims about Figure 4 (Section 4.2), each as comparisons of pairs of algorithms, and their verdicts."""

from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from sb3_distral.experiments.results import AlgorithmResults, StudyResults
from sb3_distral.experiments.statistics import (
    ALL_FINAL,
    AREA,
    DISTILLED,
    EARLY,
    FINAL,
    SPEED,
    Estimate,
    Measure,
    compare,
    measured,
)

Verdict = Literal["holds", "does not hold", "undecided"]
Pairs = tuple[tuple[str, str], ...]

BASELINES = ("A3C_multitask", "A3C", "A3C_2col")
ONE_COLUMN, TWO_COLUMNS = ("KL_1col", "KL+ent_1col"), ("KL_2col", "KL+ent_2col")
DISTRAL = ONE_COLUMN + TWO_COLUMNS
#: The same regularisation with two columns and with one; the same columns without and with the entropy cost.
TWO_OVER_ONE: Pairs = tuple(zip(TWO_COLUMNS, ONE_COLUMN, strict=True))
KL_OVER_ENTROPY: Pairs = (("KL_1col", "KL+ent_1col"), ("KL_2col", "KL+ent_2col"))


class Claim(NamedTuple):
    """
    The first of each pair does better than the second.

    :param name: Its letter in the paper's order, with a number for each part
    :param text: What is claimed
    :param measure: What "better" means
    :param pairs: Pairs of algorithms
    :param largest_ratio: If given, the claim is that second / first is at most this
    """

    name: str
    text: str
    measure: Measure
    pairs: Pairs
    largest_ratio: float | None = None


class Comparison(NamedTuple):
    """
    What came out for one pair.

    :param claim: The claim
    :param pair: The pair
    :param values: The measure of each
    :param estimate: Difference first - second, or ratio second / first
    :param verdict: Verdict on the pair
    :param refutes: Whether it refutes the claim: chance alone brings up a pair like this in a claim of so many pairs in
        2.5 % of all studies
    """

    claim: Claim
    pair: tuple[str, str]
    values: tuple[float, float]
    estimate: Estimate
    verdict: Verdict
    refutes: bool = False


def _over(first: tuple[str, ...], second: tuple[str, ...]) -> Pairs:
    return tuple(pair for pair in product(first, second) if pair[0] != pair[1])


def _without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in BASELINES + DISTRAL if name not in names)


ROBUST = "KL+ent_2col"
COST = Claim("e", "a step of Distral costs at most twice that of A3C", SPEED, _over(DISTRAL, ("A3C",)), 2.0)
#: The claims about each suite.
CLAIMS: dict[str, tuple[Claim, ...]] = {
    "grid-mazes": (
        Claim("a1", "all Distral algorithms learn faster than all A3C ones", EARLY, _over(DISTRAL, BASELINES)),
        Claim("a2", "all Distral algorithms end higher than all A3C ones", FINAL, _over(DISTRAL, BASELINES)),
        Claim("a3", "two columns learn faster than one", EARLY, TWO_OVER_ONE),
        Claim("a4", "KL alone learns faster than KL+ent", EARLY, KL_OVER_ENTROPY),
        Claim("a5", "KL+ent ends higher than KL alone", FINAL, tuple((b, a) for a, b in KL_OVER_ENTROPY)),
        Claim("a6", "KL+ent_2col is most robust over its runs", ALL_FINAL, _over((ROBUST,), _without(ROBUST))),
        Claim("b1", "two columns distil best", DISTILLED, _over(TWO_COLUMNS, _without(*TWO_COLUMNS))),
        Claim("b2", "KL distils better than KL+ent", DISTILLED, KL_OVER_ENTROPY),
        COST,
    ),
    "grid-navigation": (
        Claim("c1", "KL_2col and KL+ent_2col learn best", AREA, _over(TWO_COLUMNS, _without(*TWO_COLUMNS))),
        Claim("c2", "KL_2col and KL+ent_2col end highest", FINAL, _over(TWO_COLUMNS, _without(*TWO_COLUMNS))),
        COST,
    ),
    "grid-tag": (
        Claim("d1", "separate A3C is the best baseline", AREA, _over(("A3C",), ("A3C_multitask", "A3C_2col"))),
        Claim("d2", "one column is ahead of two early", EARLY, tuple((b, a) for a, b in TWO_OVER_ONE)),
        Claim("d3", "all Distral algorithms end above A3C_multitask", FINAL, _over(DISTRAL, ("A3C_multitask",))),
        COST,
    ),
}


def judge(claim: Claim, results: StudyResults) -> list[Comparison]:
    """
    Compare all pairs of a claim.

    :param claim: A claim
    :param results: Results of the study
    :return: What came out for each pair; undecided where the interval holds both answers or runs are missing
    """
    return [_judge_pair(claim, pair, results) for pair in claim.pairs]


def _judge_pair(claim: Claim, pair: tuple[str, str], results: StudyResults) -> Comparison:
    if not all(name in results.algorithms for name in pair):
        return Comparison(claim, pair, (np.nan, np.nan), Estimate(np.nan, np.nan, np.nan), "undecided")
    first, second = (results.algorithms[name] for name in pair)
    values = measured(claim.measure, first), measured(claim.measure, second)
    estimate, joint = (_estimate(claim, first, second, n_pairs) for n_pairs in (1, len(claim.pairs)))
    limit = claim.largest_ratio
    if limit is None:
        return Comparison(claim, pair, values, estimate, _verdict(estimate.low > 0, estimate.high < 0), joint.high < 0)
    verdict = _verdict(estimate.high <= limit, estimate.low > limit)
    return Comparison(claim, pair, values, estimate, verdict, joint.low > limit)


def _estimate(claim: Claim, first: AlgorithmResults, second: AlgorithmResults, n_comparisons: int) -> Estimate:
    if claim.largest_ratio is None:
        return compare(claim.measure, first, second, n_comparisons=n_comparisons)
    return compare(claim.measure, second, first, is_ratio=True, n_comparisons=n_comparisons)


def _verdict(holds: bool, fails: bool) -> Verdict:
    # Without an interval (NaN) neither is true.
    return "holds" if holds else "does not hold" if fails else "undecided"


def verdict(comparisons: list[Comparison]) -> Verdict:
    """
    :param comparisons: All comparisons of a claim
    :return: "holds" if every one does, "does not hold" if at least one refutes the claim, else "undecided"
    """
    holds = all(comparison.verdict == "holds" for comparison in comparisons)
    return _verdict(holds, any(comparison.refutes for comparison in comparisons))
