"""Figure and ``claims.md`` of the study."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common.claims import interval_text, number_text
from experiments.common.pages import table, write_figure, write_page
from experiments.continual.measures import (
    BEFORE,
    CLAIMS,
    EARLIER,
    LAST_BINS,
    LATEST,
    MEASURES,
    Number,
    measured,
)
from experiments.continual.study import ARMS, N_BINS, N_MAZES, Results, read_results
from experiments.transfer.measures import N_RESAMPLES, draws, intervals

PAGE, FIGURE = "claims.md", "continual.png"
#: Colour (of Okabe and Ito's) and line of each arm.
STYLES: dict[str, dict[str, Any]] = {
    "no-rehearsal": {"color": "#000000", "linestyle": "--"},
    "rehearsal": {"color": "#D55E00", "linestyle": "-"},
}


def draw_study(folder: Path, output: Path) -> str:
    """
    Draw the figure and write ``claims.md``, from the raw results alone.

    :param folder: Folder of the study, complete or not
    :param output: Folder for figure and claims
    :return: What was drawn, in words
    """
    results = read_results(folder)
    write_figure(output / FIGURE, draw_figure(results), dpi=90)
    write_page(output / PAGE, claims_lines(results))
    return f"{results.progress}. The figure is {output / FIGURE}, the claims are in {output / PAGE}."


def draw_figure(results: Results) -> Figure:
    """
    Draw what π0 finds in earlier and latest mazes, and the learning curves on those that came.

    :param results: Results
    :return: The figure
    """
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    bars, curves = figure.subplots(1, 2)
    _draw_distilled(bars, results)
    _draw_curves(curves, results)
    handles, labels = curves.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(ARMS), frameon=False, handlelength=3)
    return figure


def _draw_distilled(axis: Any, results: Results) -> None:
    width = 0.8 / len(ARMS)
    for place, arm in enumerate(ARMS):
        for column, measure in enumerate((BEFORE, EARLIER, LATEST)):
            value, low, high = measured(results, arm, measure)
            x = column + (place - (len(ARMS) - 1) / 2) * width
            axis.bar(x, value, width, color=STYLES[arm]["color"], alpha=0.75)
            axis.plot([x, x], [low, high], color="black", linewidth=1.2)
    labels = ["earlier mazes,\nwhen just learned", "earlier mazes,\nat the end", "latest mazes,\nat the end"]
    axis.set_xticks(range(len(labels)), labels)
    axis.set(title="the distilled policy π0", ylabel="return of an episode", ylim=(0, None))
    axis.grid(axis="y", alpha=0.25)


def _draw_curves(axis: Any, results: Results) -> None:
    thousands = results.study.timesteps / 1000 * np.arange(1, N_BINS + 1) / N_BINS
    for arm, curves in results.curves.items():
        own = curves.mean(axis=1)
        mean, rows = own.mean(axis=0), draws(results.n_seeds)
        band = intervals(own[rows].mean(axis=1), mean, results.n_seeds)
        axis.plot(thousands, mean, label=ARMS[arm].label, linewidth=2, **STYLES[arm])
        axis.fill_between(thousands, *band, color=STYLES[arm]["color"], alpha=0.13, linewidth=0)
    axis.set_title(f"task policies of mazes that came later (95 % interval; seeds: {results.n_seeds})")
    axis.set(xlabel="thousand steps since they came", ylabel="return of an episode", xlim=(0, None))
    axis.grid(alpha=0.25)


def claims_lines(results: Results) -> list[str]:
    """
    Judge all claims and list what was measured of every arm.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    study = results.study
    return [
        "# Continual learning: what was claimed and what came out",
        "",
        f"**{results.progress}**: {N_MAZES} mazes in {study.n_groups} groups, {study.timesteps} steps on each of them "
        f"({study.n_envs_per_task} sub-environments a maze). Seeds of which every run is there: {results.n_seeds}.",
        "",
        f"Intervals (95 %) are bootstrapped: seeds are drawn anew, the same for all ways, {N_RESAMPLES} times; "
        "deviations are widened for the small number of seeds. A number holds if its interval lies on the claimed "
        "side of the bound, does not hold if it lies on the other, and is undecided otherwise. A claim holds if all "
        "its numbers do.",
        "",
        *_judgements(results),
        "",
        "## Every way",
        "",
        "Return of π0 in the mazes of all groups but the last: right after each was learned (before), at the end "
        "(earlier), and the part that was kept; at the end in the latest mazes and in all. Mean return of the task "
        f"policies of mazes that came later, in the course of learning (area) and in the last {LAST_BINS} of {N_BINS} "
        "bins (final).",
        "",
        *_arms(results),
    ]


def _judgements(results: Results) -> list[str]:
    rows = []
    for claim in CLAIMS:
        judgement = claim.judge(results)
        numbers = [number.text for number in claim.numbers if isinstance(number, Number)]
        rows += [
            [claim.text, number, claim.bound_text, *row] for number, row in zip(numbers, judgement.rows, strict=True)
        ]
    return table(["claim", "number", "bound", "measured", "95 % interval", "verdict"], rows, right=(2, 3, 4))


def _arms(results: Results) -> list[str]:
    rows = []
    for name in ARMS:
        estimates = [measured(results, name, measure) for measure in MEASURES]
        rows.append([name, *(f"{number_text(own.value)} {interval_text(own)}" for own in estimates)])
    columns = ["way", *(measure.name for measure in MEASURES)]
    return table(columns, rows, right=range(1, len(columns)))
