"""The paper's claims about Figure 4 (Section 4.2), each as comparisons of pairs of algorithms, and their verdicts."""

from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sb3_distral.checkpoint import atomic_write
from sb3_distral.experiments.results import AlgorithmResults, StudyResults
from sb3_distral.experiments.statistics import (
    ALL_FINAL,
    AREA,
    DISTILLED,
    EARLY,
    FINAL,
    N_RESAMPLES,
    SPEED,
    UNSEEN,
    Estimate,
    Measure,
    area,
    best_setting,
    compare,
    interval,
    measured,
    resampled,
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


def write_claims(results: StudyResults, path: Path) -> None:
    """
    Write the table of claims.

    :param results: Results of the study
    :param path: Markdown file
    """
    judged = [(claim, judge(claim, results)) for claim in CLAIMS.get(results.study.suite, (COST,))]
    lines = [*_head(results), *_summary(judged), *_comparisons(judged), *_numbers(results), *_failures(results)]
    with atomic_write(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _head(results: StudyResults) -> list[str]:
    study, record = results.study, results.record
    machine = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    settings = f"1/β in {list(study.entropy_costs)} × ε in {list(study.learning_rates)} (falling to ε/6)"
    return [
        f"# Claims of Figure 4 on {study.suite}",
        "",
        f"**{results.progress}**: {len(study.algorithms)} algorithms × {len(study.settings)} settings × "
        f"{study.n_seeds} seeds, {study.timesteps} steps each ({study.n_envs_per_task} sub-environments a task). "
        f"Settings: {settings}. Scores: {results.unit}.",
        "",
        f"`{record['command']}`, {record['date']}, {machine['cores']} cores, {machine['platform']}; {versions}.",
        "",
        "Intervals (95 %) are bootstrapped: the seeds of each setting are drawn anew and the best setting is chosen "
        f"anew, {N_RESAMPLES} times; deviations are widened for the small number of seeds.",
        "",
        "A pair holds if its interval lies on the claimed side, does not hold if it lies on the other, and is "
        "undecided otherwise or while runs are missing. A claim holds if all its pairs do. It does not hold if one "
        "does not, in an interval so much wider that all pairs of the claim are in theirs with 95 % (Bonferroni).",
    ]


def _summary(judged: list[tuple[Claim, list[Comparison]]]) -> list[str]:
    lines = ["", "| claim | | pairs: hold / do not / undecided | verdict |", "|---|---|---|---|"]
    for claim, comparisons in judged:
        verdicts = [comparison.verdict for comparison in comparisons]
        counts = " / ".join(str(verdicts.count(name)) for name in ("holds", "does not hold", "undecided"))
        lines.append(f"| {claim.name} | {claim.text} | {counts} | **{verdict(comparisons)}** |")
    return lines


def _comparisons(judged: list[tuple[Claim, list[Comparison]]]) -> list[str]:
    lines = ["", "## Every pair", "", "The number is first − second; for the cost of a step, first / A3C."]
    for claim, comparisons in judged:
        lines += ["", f"**{claim.name}: {claim.text}**: {claim.measure.name}.", ""]
        lines += ["| first | second | | | number | interval | |", "|---|---|---|---|---|---|---|"]
        for _, (first, second), values, estimate, own, _ in comparisons:
            numbers = f"{_text(values[0])} | {_text(values[1])} | {_text(estimate.value)}"
            lines.append(f"| {first} | {second} | {numbers} | {_interval(estimate)} | {own} |")
    return lines


def _numbers(results: StudyResults) -> list[str]:
    measures = (EARLY, AREA, FINAL, ALL_FINAL, DISTILLED, UNSEEN, SPEED)
    lines = ["", "## Every algorithm", ""]
    lines += [f"| | best setting (1/β, ε) | {' | '.join(measure.name for measure in measures)} |"]
    lines += ["|---" * (len(measures) + 2) + "|"]
    for name, own in results.algorithms.items():
        cost, rate = results.study.settings[best_setting(area(own))]
        cells = [_with_interval(measure, own) for measure in measures]
        lines.append(f"| {name} | {cost:g}, {rate:g} | {' | '.join(cells)} |")
    return lines


def _with_interval(measure: Measure, own: AlgorithmResults) -> str:
    value = measured(measure, own)
    if not own.has_intervals or np.isnan(value):
        return _text(value)
    low, high = interval(value, resampled(measure, own, np.random.default_rng(0)))
    return f"{_text(value)} {_interval(Estimate(value, low, high))}"


def _failures(results: StudyResults) -> list[str]:
    if not results.failures:
        return []
    return ["", "## Failed runs", "", *(f"- {key}: `{line}`" for key, line in results.failures.items())]


def _text(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def _interval(estimate: Estimate) -> str:
    return "–" if np.isnan(estimate.low) else f"[{_text(estimate.low)}, {_text(estimate.high)}]"
