"""``claims.md`` of a study of Figure 4: verdicts, every pair, every algorithm."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sb3_distral.experiments.claims import CLAIMS, COST, Claim, Comparison, judge, verdict
from sb3_distral.experiments.results import AlgorithmResults, StudyResults
from sb3_distral.experiments.run_files import commands
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
    distilled_area,
    interval,
    measured,
    resampled,
)
from sb3_distral.experiments.study import NORMALISED_SUITES
from sb3_distral.files import atomic_write

NORMALISED = (
    "Scores are returns divided, task by task, by the best final return of A3C: that of its best setting on the task, "
    "mean over seeds. The bootstrap keeps this divisor as it is, and returns on unseen tasks are divided by that of "
    "the training tasks."
)
NOT_DIVIDED = (
    "Scores are returns as they are. They would be divided by the best final return of A3C on each task, but A3C is "
    "missing or has none above 0 on some task."
)
#: What the pictures' intervals leave out.
PICTURES = (
    "Verdicts come from this page. The intervals in iqm.png, profiles.png and improvement.png are rliable's, which "
    "take the tasks of a run for independent and the best setting for given: they are narrower than those here, and "
    "may seem to decide what is undecided."
)


def write_claims(results: StudyResults, path: Path) -> None:
    """
    Write the table of claims.

    :param results: Results of the study
    :param path: Markdown file
    """
    judged = [(claim, judge(claim, results)) for claim in CLAIMS.get(results.study.suite, (COST,))]
    lines = [*_head(results), *_summary(judged), *_comparisons(judged), *_numbers(results), *_missing(results)]
    with atomic_write(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _head(results: StudyResults) -> list[str]:
    study, scale = results.study, _scale(results)
    settings = f"1/β in {list(study.entropy_costs)} × ε in {list(study.learning_rates)} (falling to ε/6)"
    return [
        f"# Claims of Figure 4 on {study.suite}",
        "",
        f"**{results.progress}**: {len(study.algorithms)} algorithms × {len(study.settings)} settings × "
        f"{study.n_seeds} seeds, {study.timesteps} steps each ({study.n_envs_per_task} sub-environments a task). "
        f"Settings: {settings}. Scores: {results.unit}.",
        "",
        _made_by(results.record),
        "",
        "Intervals (95 %) are bootstrapped: the seeds of each setting are drawn anew and the best setting is chosen "
        f"anew, {N_RESAMPLES} times; deviations are widened for the small number of seeds.",
        "",
        "A pair holds if its interval lies on the claimed side, does not hold if it lies on the other, and is "
        "undecided otherwise or while runs are missing. A claim holds if all its pairs do. It does not hold if one "
        "does not, in an interval so much wider that all pairs of the claim are in theirs with 95 % (Bonferroni).",
        *([] if scale is None else ["", scale]),
        "",
        PICTURES,
    ]


def _scale(results: StudyResults) -> str | None:
    if results.study.suite not in NORMALISED_SUITES:
        return None
    return NORMALISED if results.is_normalised else NOT_DIVIDED


def _made_by(record: dict[str, Any]) -> str:
    """Name every command, machine and version once, the first date and the last."""
    made = commands(record)
    machines = [f"{one['machine']['cores']} cores, {one['machine']['platform']}" for one in made]
    versions = [", ".join(f"{name} {number}" for name, number in one["versions"].items()) for one in made]
    words = [f"`{one['command']}`" for one in made]
    dates = " to ".join(dict.fromkeys((made[0]["date"], made[-1]["date"])))
    return f"{_each(words)}, {dates}, {_each(machines)}; {_each(versions)}."


def _each(texts: list[str]) -> str:
    return " and ".join(dict.fromkeys(texts))


def _summary(judged: list[tuple[Claim, list[Comparison]]]) -> list[str]:
    lines = ["", "| claim | what it says | pairs: hold / do not / undecided | verdict |", "|---|---|---|---|"]
    for claim, comparisons in judged:
        verdicts = [comparison.verdict for comparison in comparisons]
        counts = " / ".join(str(verdicts.count(name)) for name in ("holds", "does not hold", "undecided"))
        lines.append(f"| {claim.name} | {claim.text} | {counts} | **{verdict(comparisons)}** |")
    return lines


def _comparisons(judged: list[tuple[Claim, list[Comparison]]]) -> list[str]:
    lines = ["", "## Every pair"]
    for claim, comparisons in judged:
        compared = "first − second" if claim.largest_ratio is None else "time of a step, first / second"
        lines += ["", f"**{claim.name}: {claim.text}**: {claim.measure.name}.", ""]
        lines += [f"| first | second | value of first | value of second | {compared} | 95 % interval | verdict |"]
        lines += ["|---|---|---:|---:|---:|---|---|"]
        for _, (first, second), values, estimate, own, _ in comparisons:
            numbers = f"{_text(values[0])} | {_text(values[1])} | {_text(estimate.value)}"
            lines.append(f"| {first} | {second} | {numbers} | {_interval(estimate)} | {own} |")
    return lines


def _numbers(results: StudyResults) -> list[str]:
    measures = (EARLY, AREA, FINAL, ALL_FINAL, DISTILLED, UNSEEN, SPEED)
    columns = ["algorithm", "best setting of the task policies (1/β, ε)", "best setting of π0 (1/β, ε)"]
    columns += [measure.name for measure in measures]
    lines = ["", "## Every algorithm", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, own in results.algorithms.items():
        settings = [_setting(results, areas) for areas in (area(own), distilled_area(own))]
        cells = [name, *settings, *(_with_interval(measure, own) for measure in measures)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _setting(results: StudyResults, areas: npt.NDArray[np.float64]) -> str:
    if np.isnan(areas).all():
        return "–"
    cost, rate = results.study.settings[best_setting(areas)]
    return f"{cost:g}, {rate:g}"


def _with_interval(measure: Measure, own: AlgorithmResults) -> str:
    value = measured(measure, own)
    if not own.has_intervals or np.isnan(value):
        return _text(value)
    low, high = interval(value, resampled(measure, own, np.random.default_rng(0)))
    return f"{_text(value)} {_interval(Estimate(value, low, high))}"


def _missing(results: StudyResults) -> list[str]:
    lines = []
    if results.failures:
        lines += ["", "## Failed runs", "", *(f"- {key}: `{line}`" for key, line in results.failures.items())]
    if results.damaged:
        lines += ["", "## Damaged files", "", "The same command repeats these runs.", ""]
        lines += [f"- {key}.json" for key in results.damaged]
    return lines


def _text(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def _interval(estimate: Estimate) -> str:
    return "–" if np.isnan(estimate.low) else f"[{_text(estimate.low)}, {_text(estimate.high)}]"
