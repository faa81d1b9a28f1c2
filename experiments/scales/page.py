"""Figure and ``claims.md`` of the study."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.common.claims import interval_text, number_text
from experiments.common.curves import LAST_BINS, N_BINS
from experiments.common.pages import STYLES, table, write_figure, write_page
from experiments.scales.measures import CLAIMS, Difference, lowest, measured, way_text
from experiments.scales.study import ALGORITHMS, WAYS, Results, Way, read_results
from experiments.transfer.measures import AREA, FINAL, N_RESAMPLES, Measure, draws, estimated, intervals
from sb3_distral.tasks.grids.scales import N_SCALES, goal_rewards

PAGE, FIGURE = "claims.md", "scales.png"


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
    Draw learning curves and the final number of goals by the reward of a goal, for every algorithm.

    :param results: Results
    :return: The figure
    """
    figure = Figure(figsize=(13, 6), layout="constrained")
    axes = figure.subplots(2, len(ALGORITHMS), sharey="row")
    for column, algorithm in enumerate(ALGORITHMS):
        for normalizes in (False, True):
            _draw_curve(axes[0, column], results, (algorithm, normalizes))
            _draw_scales(axes[1, column], results, (algorithm, normalizes))
        axes[0, column].set(title=algorithm, xlabel="thousand steps of all tasks", ylim=(0, 14))
        axes[1, column].set(xlabel="reward of a goal", ylim=(0, 20))
        for axis in axes[:, column]:
            axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("goals of an episode, mean of tasks")
    axes[1, 0].set_ylabel(f"goals, last {LAST_BINS} of {N_BINS} bins")
    handles = [Line2D([], [], **{**_style((ALGORITHMS[0], own)), "color": "#555555"}) for own in (False, True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _style(way: Way) -> dict[str, Any]:
    algorithm, normalizes = way
    colour = STYLES[algorithm]["color"]
    label = "returns normalised" if normalizes else "rewards as they are"
    return {"color": colour, "linestyle": "-" if normalizes else "--", "label": label}


def _draw_curve(axis: Any, results: Results, way: Way) -> None:
    thousands = results.study.timesteps / 1000 * np.arange(1, N_BINS + 1) / N_BINS
    curves = results.curves[way].mean(axis=1)
    mean = curves.mean(axis=0)
    axis.plot(thousands, mean, linewidth=2, **_style(way))
    band = intervals(curves[draws(results.n_seeds)].mean(axis=1), mean, results.n_seeds)
    axis.fill_between(thousands, *band, color=_style(way)["color"], alpha=0.13, linewidth=0)


def _draw_scales(axis: Any, results: Results, way: Way) -> None:
    finals = _finals_by_scale(results, way)
    places = np.arange(len(finals))
    axis.plot(places, finals, marker="o", **_style(way))
    axis.set_xticks(places, [f"{reward:g}" for reward in goal_rewards(places.tolist(), results.study.ratio)])


def _finals_by_scale(results: Results, way: Way) -> list[float]:
    curves = results.curves[way].mean(axis=0)
    n_scales = min(N_SCALES, len(curves))
    return [FINAL.of_curve(curves[scale::N_SCALES].mean(axis=0)) for scale in range(n_scales)]


def claims_lines(results: Results) -> list[str]:
    """
    Judge all claims and list what was measured of every way.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    study = results.study
    return [
        "# Mazes whose rewards differ: what was claimed and what came out",
        "",
        f"**{results.progress}**: {len(ALGORITHMS)} algorithms with rewards as they are and with normalised returns, "
        f"{study.timesteps} steps of {study.n_tasks} mazes together ({study.n_envs_per_task} sub-environments each), "
        f"the largest reward of a goal {study.ratio} times the smallest. Seeds of which every run is there: "
        f"{results.n_seeds}.",
        "",
        f"Intervals (95 %) are bootstrapped: seeds are drawn anew, the same for all ways, {N_RESAMPLES} times; "
        "deviations are widened for the small number of seeds; with one seed there are none, and nothing is decided. "
        "A number holds if its interval lies on the claimed side of the bound, does not hold if it lies on the other, "
        "and is undecided otherwise. A claim holds if all its numbers do. It does not hold if one does not, in an "
        "interval so much wider that all numbers of the claim are in theirs with 95 % (Bonferroni).",
        "",
        *_judgements(results),
        "",
        "## Every way",
        "",
        f"Goals of an episode, mean of the tasks, in the course of learning (area) and in the last {LAST_BINS} of "
        f"{N_BINS} bins (final); the final number in the task that was learned least, and by the reward of a goal.",
        "",
        *_ways(results),
    ]


def _judgements(results: Results) -> list[str]:
    rows = []
    for claim in CLAIMS:
        judgement = claim.judge(results)
        texts = [number.text for number in claim.numbers if isinstance(number, Difference)]
        rows.append([claim.text, "", claim.bound_text, "", "", f"**{judgement.verdict}**"])
        rows += [["", text, "", *row] for text, row in zip(texts, judgement.rows, strict=True)]
    return table(["claim", "number", "bound", "measured", "95 % interval", "verdict"], rows, right=(2, 3, 4))


def _ways(results: Results) -> list[str]:
    rewards = goal_rewards(range(min(N_SCALES, results.study.n_tasks)), results.study.ratio)
    rows = []
    for way in WAYS:
        cells = [_text(measure, results, way) for measure in (AREA, FINAL)]
        finals = [f"{final:.2f}" for final in _finals_by_scale(results, way)]
        rows.append([way_text(way), *cells, f"{lowest(results, way):.2f}", *finals])
    columns = ["way", "area", "final", "least", *(f"goal {reward:g}" for reward in rewards)]
    return table(columns, rows, right=range(1, len(columns)))


def _text(measure: Measure, results: Results, way: Way) -> str:
    estimate = estimated(lambda rows: measured(measure, results, way, rows), results.n_seeds)
    return f"{number_text(estimate.value)} {interval_text(estimate)}"
