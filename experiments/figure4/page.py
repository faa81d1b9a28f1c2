"""``claims.md`` of the study: verdicts, every pair, every algorithm."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.common.claims import Judgement, interval_text, number_text
from experiments.common.pages import table, write_page
from experiments.figure4.claims import CLAIMS, COST, Pair
from experiments.figure4.measures import MEASURES, N_RESAMPLES, Measure, best_setting, estimated, measured
from experiments.figure4.results import AlgorithmResults, StudyResults
from experiments.figure4.study import NORMALISED_SUITES

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
    judgements = [claim.judge(results) for claim in CLAIMS.get(results.study.suite, (COST,))]
    pairs = [line for judgement in judgements for line in _pairs(judgement, results)]
    lines = [*_head(results), "", *_summary(judgements), "", "## Every pair", *pairs]
    write_page(path, [*lines, "", "## Every algorithm", "", *_numbers(results), *_missing(results)])


def _head(results: StudyResults) -> list[str]:
    study, scale = results.study, _scale(results)
    settings = f"1/β in {list(study.entropy_costs)} × ε in {list(study.learning_rates)} (falling to ε/6)"
    return [
        f"# Claims of Figure 4 on {study.suite}",
        "",
        f"**{results.outcomes.progress}**: {len(study.algorithms)} algorithms × {len(study.settings)} settings × "
        f"{len(study.seeds)} seeds, {study.timesteps} steps each ({study.n_envs_per_task} sub-environments a task). "
        f"Settings: {settings}. Scores: {results.unit}.",
        "",
        _made_by(results.commands),
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


def _made_by(commands: list[dict[str, Any]]) -> str:
    """Name every command, machine and version once, the first date and the last."""
    machines = [f"{made['machine']['cores']} cores, {made['machine']['platform']}" for made in commands]
    versions = [", ".join(f"{name} {number}" for name, number in made["versions"].items()) for made in commands]
    words = [f"`{made['command']}`" for made in commands]
    dates = " to ".join(dict.fromkeys((commands[0]["date"], commands[-1]["date"])))
    return f"{_each(words)}, {dates}, {_each(machines)}; {_each(versions)}."


def _each(texts: list[str]) -> str:
    return " and ".join(dict.fromkeys(texts))


def _summary(judgements: list[Judgement[StudyResults]]) -> list[str]:
    columns = ["claim", "what it says", "pairs: hold / do not / undecided", "verdict"]
    return table(columns, [[own.claim.name, own.claim.text, own.counts, f"**{own.verdict}**"] for own in judgements])


def _pairs(judgement: Judgement[StudyResults], results: StudyResults) -> list[str]:
    claim, rows = judgement.claim, []
    pairs = [pair for pair in claim.numbers if isinstance(pair, Pair)]
    for pair, row in zip(pairs, judgement.rows, strict=True):
        names, found = (pair.first, pair.second), results.algorithms
        values = [measured(pair.measure, found[name]) if name in found else np.nan for name in names]
        rows.append([*names, *map(number_text, values), *row])
    compared = "time of a step, first / second" if pairs[0].is_ratio else "first − second"
    columns = ["first", "second", "value of first", "value of second", compared, "95 % interval", "verdict"]
    title = f"**{claim.name}: {claim.text}**: {pairs[0].measure.name}."
    return ["", title, "", *table(columns, rows, right=(2, 3, 4))]


def _numbers(results: StudyResults) -> list[str]:
    columns = ["algorithm", "best setting of the task policies (1/β, ε)", "best setting of π0 (1/β, ε)"]
    rows = []
    for name, own in results.algorithms.items():
        settings = [_setting(results, areas) for areas in (own.area, own.distilled_area)]
        rows.append([name, *settings, *(_with_interval(measure, own) for measure in MEASURES)])
    return table([*columns, *(measure.name for measure in MEASURES)], rows)


def _setting(results: StudyResults, areas: npt.NDArray[np.float64]) -> str:
    if np.isnan(areas).all():
        return "–"
    cost, rate = results.study.settings[best_setting(areas)]
    return f"{cost:g}, {rate:g}"


def _with_interval(measure: Measure, own: AlgorithmResults) -> str:
    estimate = estimated(measure, own)
    return number_text(estimate.value) + ("" if np.isnan(estimate.low) else f" {interval_text(estimate)}")


def _missing(results: StudyResults) -> list[str]:
    lines, outcomes = [], results.outcomes
    if outcomes.failures:
        lines += ["", "## Failed runs", "", *(f"- {run.key}: `{line}`" for run, line in outcomes.failures.items())]
    if outcomes.damaged:
        lines += ["", "## Damaged files", "", "The same command repeats these runs.", ""]
        lines += [f"- {path.name}" for path in outcomes.damaged]
    return lines
