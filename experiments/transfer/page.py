"""Figure and ``claims.md`` of the study."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common.bootstrap import Estimate
from experiments.common.claims import interval_text, number_text
from experiments.common.curves import N_BINS
from experiments.common.pages import claims_table, table, write_figure, write_page
from experiments.transfer.measures import (
    AREA,
    N_RESAMPLES,
    Measure,
    claims,
    draws,
    estimated,
    final,
    intervals,
    steps_to,
)
from experiments.transfer.study import ARMS, Results, read_results

PAGE, FIGURE = "claims.md", "transfer.png"
#: Colour (of Okabe and Ito's, brown in place of yellow) and line of each arm.
STYLES: dict[str, dict[str, Any]] = {
    "A3C": {"color": "#000000", "linestyle": "--"},
    "KL+ent_2col": {"color": "#888888", "linestyle": "--"},
    "warm-start": {"color": "#E69F00", "linestyle": "-"},
    "prior-only": {"color": "#56B4E9", "linestyle": "-."},
    "frozen": {"color": "#0072B2", "linestyle": "-"},
    "trained-on": {"color": "#CC79A7", "linestyle": "-"},
    "frozen-then-on": {"color": "#D55E00", "linestyle": "-"},
    "weight-0.5": {"color": "#009E73", "linestyle": "-."},
    "multitask": {"color": "#7A4A1E", "linestyle": ":"},
}


def draw_study(folder: Path, output: Path) -> str:
    """
    Draw the figure and write ``claims.md``, from the raw results alone.

    :param folder: Folder of the study, complete or not
    :param output: Folder for figure and claims
    :return: What was drawn, in words
    """
    results = read_results(folder)
    write_figure(output / FIGURE, draw_figure(results))
    write_page(output / PAGE, claims_lines(results))
    return f"{results.progress}. The figure is {output / FIGURE}, the claims are in {output / PAGE}."


def draw_figure(results: Results) -> Figure:
    """
    Draw learning curves, and the steps until they pass each level.

    :param results: Results
    :return: The figure
    """
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    steps, arms = steps_to(results.study), results.study.arms
    curves, *bars = figure.subplots(1, 1 + len(steps), width_ratios=[3.4, *[1] * len(steps)])
    _draw_curves(curves, results)
    for axis, measure in zip(bars, steps, strict=True):
        _draw_steps(axis, results, measure)
    bars[0].set_yticks(range(len(arms)), [arm.label for arm in arms.values()])
    handles, labels = curves.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, handlelength=3)
    return figure


def _draw_curves(axis: Any, results: Results) -> None:
    thousands = results.study.timesteps / 1000 * np.arange(1, N_BINS + 1) / N_BINS
    for arm, curves in results.curves.items():
        mean, rows = curves.mean(axis=0), draws(results.n_seeds)
        band = intervals(curves[rows].mean(axis=1), mean, results.n_seeds)
        axis.plot(thousands, mean, label=ARMS[arm].label, linewidth=2, **STYLES[arm])
        axis.fill_between(thousands, *band, color=STYLES[arm]["color"], alpha=0.13, linewidth=0)
    what = f"{results.study.n_tasks} unseen {results.study.on_suite.noun}"
    axis.set_title(f"{what} (mean over seeds, 95 % interval; seeds: {results.n_seeds})")
    axis.set(xlabel="thousand steps of all tasks", ylabel="return of an episode, mean of tasks", xlim=(0, None))
    axis.grid(alpha=0.25)


def _draw_steps(axis: Any, results: Results, measure: Measure) -> None:
    end = results.study.timesteps / 1000
    for row, arm in enumerate(results.study.arms):
        steps, low, high = np.array(_measured(measure, results, arm)) / 1000
        colour = STYLES[arm]["color"]
        if np.isinf(steps):
            axis.text(0.02 * end, row, "never", va="center", color=colour)
            continue
        axis.barh(row, steps, color=colour, alpha=0.75, height=0.7)
        axis.plot([low, min(high, end)], [row, row], color="black", linewidth=1.2)
    axis.set(title=measure.name, xlim=(0, end), ylim=(len(results.study.arms) - 0.4, -0.6), yticks=[])
    axis.set_xlabel("thousand steps")
    axis.grid(axis="x", alpha=0.25)


def claims_lines(results: Results) -> list[str]:
    """
    Judge all claims and list what was measured of every arm.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    study, noun = results.study, results.study.on_suite.noun
    return [
        f"# Transfer to unseen {noun}: what was claimed and what came out",
        "",
        f"**{results.progress}**: {len(study.arms)} ways to learn {study.n_tasks} unseen {noun}, {study.timesteps} "
        f"steps of all {noun} together ({study.n_envs_per_task} sub-environments each). Seeds of which every run is "
        f"there: {results.n_seeds}. π0 comes from {study.source_timesteps} steps on other {noun}.",
        "",
        f"Intervals (95 %) are bootstrapped: seeds are drawn anew, the same for all ways, {N_RESAMPLES} times; "
        "deviations are widened for the small number of seeds. A number holds if its interval lies on the claimed "
        "side of the bound, does not hold if it lies on the other, and is undecided otherwise. A claim holds if all "
        "its numbers do. It does not hold if one does not, in an interval so much wider that all numbers of the claim "
        "are in theirs with 95 % (Bonferroni).",
        "",
        *claims_table(claims(study), results),
        "",
        "## Every way",
        "",
        "Steps until the mean learning curve over seeds passes a return, mean return in the course of learning (area), "
        f"in the last {study.on_suite.last_bins} of {N_BINS} bins (final), and before learning: return of π0, and "
        "KL(πi‖π0) in nats. "
        "From nothing, π0 is a network that is not trained. What is never passed in these steps might be passed later: "
        "a ratio to it is not known.",
        "",
        *_arms(results),
    ]


def _measured(measure: Measure, results: Results, arm: str) -> Estimate:
    return estimated(lambda rows: measure(results, arm, rows), results.n_seeds)


def _arms(results: Results) -> list[str]:
    rows, measures = [], (*steps_to(results.study), AREA, final(results.study))
    for name, arm in results.study.arms.items():
        cells = [_text(_measured(measure, results, name), measure) for measure in measures]
        before = [f"{results.zero_shot[name].mean():.2f}", f"{results.divergence[name].mean():.4f}"]
        rows.append([name, arm.label, *cells, *before])
    columns = ["name", "way", *(measure.name for measure in measures), "π0 before", "KL before"]
    return table(columns, rows, right=range(2, len(columns)))


def _text(estimate: Estimate, measure: Measure) -> str:
    unit = ".0f" if measure.is_steps else ".2f"
    if measure.is_steps:
        estimate = estimate._replace(low=max(estimate.low, 0.0))
    return f"{number_text(estimate.value, unit)} {interval_text(estimate, unit)}".replace("inf", "never")
