"""Figure and ``claims.md`` of the study."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.common.bootstrap import Estimate
from experiments.common.claims import interval_text, number_text
from experiments.common.pages import table, write_figure, write_page
from experiments.transfer.measures import N_RESAMPLES, estimated
from experiments.view.study import RETURNS, VIEWS, Results, read_results

PAGE, FIGURE = "claims.md", "view.png"
#: Colours of Okabe and Ito by view.
COLOURS = {"all": "#888888", "no place": "#0072B2"}


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
    Draw the returns of every view, a point for each seed.

    :param results: Results
    :return: The figure
    """
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axis, (name, label) in zip(figure.subplots(1, len(RETURNS)), RETURNS.items(), strict=True):
        for place, view in enumerate(VIEWS):
            returns = results.returns[name][view]
            value, low, high = returns_of(results, name, view)
            axis.bar(place, value, color=COLOURS[view], alpha=0.6, width=0.7)
            axis.plot([place, place], [low, high], color="black", linewidth=1.5)
            axis.scatter(np.full(len(returns), place + 0.2), returns, color=COLOURS[view], s=12, zorder=3)
        axis.set_xticks(range(len(VIEWS)), list(VIEWS))
        axis.set_title(label)
        axis.grid(axis="y", alpha=0.25)
    figure.supylabel("return of an episode")
    figure.suptitle(f"What π0 sees (mean over seeds, 95 % interval; seeds: {results.n_seeds})")
    return figure


def returns_of(results: Results, name: str, view: str) -> Estimate:
    """
    Give a mean return over seeds.

    :param results: Results
    :param name: What was measured
    :param view: What π0 saw
    :return: The mean with its interval
    """
    return estimated(lambda rows: float(results.returns[name][view][rows].mean()), results.n_seeds)


def difference(results: Results, name: str, view: str) -> Estimate:
    """
    Compare a view with seeing all, seed by seed.

    :param results: Results
    :param name: What was measured
    :param view: What π0 saw
    :return: The mean difference with its interval
    """
    own = results.returns[name]
    return estimated(lambda rows: float((own[view] - own["all"])[rows].mean()), results.n_seeds)


def claims_lines(results: Results) -> list[str]:
    """
    List what was measured of every view.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    study = results.study
    means = [[VIEWS[view][0], *(_text(returns_of(results, name, view)) for name in RETURNS)] for view in VIEWS]
    differences = [
        [VIEWS[view][0], *(_text(difference(results, name, view)) for name in RETURNS)]
        for view in VIEWS
        if view != "all"
    ]
    columns = ["what π0 sees", *RETURNS.values()]
    return [
        "# What π0 sees: what came out",
        "",
        f"**{results.progress}**: KL+ent_2col on {study.n_tasks} mazes, {study.timesteps} steps in all. Mean return of "
        f"an episode in these and in {study.n_tasks} unseen mazes. Seeds: {results.n_seeds}.",
        "",
        f"Intervals (95 %) are bootstrapped over seeds ({N_RESAMPLES} times), widened for their small number.",
        "",
        *table(columns, means, right=range(1, len(columns))),
        "",
        "Difference from seeing everything, seed by seed:",
        "",
        *table(columns, differences, right=range(1, len(columns))),
    ]


def _text(estimate: Estimate) -> str:
    return f"{number_text(estimate.value)} {interval_text(estimate)}"
