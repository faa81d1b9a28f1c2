"""Figure and ``claims.md`` of the study."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common.claims import interval_text, number_text
from experiments.common.curves import LAST_BINS, N_BINS
from experiments.common.pages import STYLES, table, write_figure, write_page
from experiments.costs.measures import Number, by_start, claims_of, estimated
from experiments.costs.study import Results, Setting, read_results
from experiments.transfer.measures import AREA, FINAL, N_RESAMPLES, Measure, draws, intervals

PAGE, FIGURE = "claims.md", "costs.png"
NAMES = {False: "fixed", True: "controller"}


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
    Draw area and final return over 1/β for every setting, and the costs in the course of a training.

    :param results: Results
    :return: The figure
    """
    settings = results.study.settings
    figure = Figure(figsize=(3 + 3 * len(settings), 6), layout="constrained")
    axes = figure.subplots(2, len(settings) + 1)
    for column, setting in enumerate(settings):
        for row, measure in enumerate((AREA, FINAL)):
            _draw_measure(axes[row, column], results, setting, measure)
        axes[0, column].set_title(setting.label)
        axes[1, column].set_xlabel("1/β, fixed or at the start")
    for row, name in enumerate(("c_KL", "c_Ent")):
        _draw_costs(axes[row, -1], results, settings[0], row, name)
    axes[0, 0].set_ylabel("return, mean of the training")
    axes[1, 0].set_ylabel(f"return, last {LAST_BINS} of {N_BINS} bins")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_measure(axis: Any, results: Results, setting: Setting, measure: Measure) -> None:
    style = STYLES[setting.algorithm]
    for is_controlled, name in NAMES.items():
        value = by_start(measure, results, setting, is_controlled, np.arange(results.n_seeds))
        samples = by_start(measure, results, setting, is_controlled, draws(results.n_seeds))
        colour = style["color"] if is_controlled else "#888888"
        axis.plot(
            results.inverse_betas, value, color=colour, linestyle="-" if is_controlled else "--", marker="o", label=name
        )
        axis.fill_between(
            results.inverse_betas, *intervals(samples, value, results.n_seeds), color=colour, alpha=0.13, lw=0
        )
    axis.set(xscale="log", ylim=(0, 14 if measure is FINAL else 10))
    axis.grid(alpha=0.25)


def _draw_costs(axis: Any, results: Results, setting: Setting, row: int, name: str) -> None:
    thousands = results.study.timesteps / 1000 * (np.arange(N_BINS) + 0.5) / N_BINS
    shades = np.linspace(0.25, 1.0, len(results.inverse_betas))
    for costs, shade in zip(results.costs[setting, True].mean(axis=1)[:, row], shades, strict=True):
        axis.plot(thousands, costs, color=STYLES[setting.algorithm]["color"], alpha=shade)
    axis.set(yscale="log", title=f"{name} from every start\n{setting.label}", xlabel="thousand steps of all tasks")
    axis.grid(alpha=0.25)


def claims_lines(results: Results) -> list[str]:
    """
    Judge all claims and list what was measured of every setting.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    study = results.study
    return [
        "# Costs that follow targets: what was claimed and what came out",
        "",
        f"**{results.progress}**: {len(study.settings)} settings, {len(results.inverse_betas)} values of 1/β, fixed "
        f"and as the start of a controller, {study.timesteps} steps of {study.n_tasks} mazes together "
        f"({study.n_envs_per_task} sub-environments each). Seeds of which every run is there: {results.n_seeds}.",
        "",
        f"Intervals (95 %) are bootstrapped: seeds are drawn anew, the same for all, {N_RESAMPLES} times; deviations "
        "are widened for the small number of seeds, and reach as far to either side, since a best or worst 1/β is "
        "chosen. With one seed there are none, and nothing is decided. A number holds if its interval lies on the "
        "claimed side of the bound, does not hold if it lies on the other, and is undecided otherwise. A claim holds "
        "if all its numbers do. It does not hold if one does not, in an interval so much wider that all numbers of the "
        "claim are in theirs with 95 % (Bonferroni).",
        "",
        *_judgements(results),
        "",
        "## Every 1/β",
        "",
        f"Mean return in the course of learning (area) and in the last {LAST_BINS} of {N_BINS} bins (final).",
        "",
        *_cells(results),
    ]


def _judgements(results: Results) -> list[str]:
    rows = []
    for claim in claims_of(results.study.settings):
        judgement = claim.judge(results)
        texts = [number.text for number in claim.numbers if isinstance(number, Number)]
        rows.append([claim.text, "", claim.bound_text, "", "", f"**{judgement.verdict}**"])
        rows += [["", text, "", *row] for text, row in zip(texts, judgement.rows, strict=True)]
    return table(["claim", "number", "bound", "measured", "95 % interval", "verdict"], rows, right=(2, 3, 4))


def _cells(results: Results) -> list[str]:
    rows = []
    for setting, is_controlled in results.curves:
        for place, inverse_beta in enumerate(results.inverse_betas):
            cells = [_text(measure, results, setting, is_controlled, place) for measure in (AREA, FINAL)]
            rows.append([setting.algorithm, f"{setting.rate:g}", NAMES[is_controlled], f"{inverse_beta:g}", *cells])
    return table(["algorithm", "ε", "costs", "1/β", "area", "final"], rows, right=range(3, 6))


def _text(measure: Measure, results: Results, setting: Setting, is_controlled: bool, place: int) -> str:
    estimate = estimated(
        lambda rows: by_start(measure, results, setting, is_controlled, rows)[..., place], results.n_seeds
    )
    return f"{number_text(estimate.value)} {interval_text(estimate)}"
