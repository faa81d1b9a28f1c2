"""The figures of a study: the panels of Figure 4 and rliable's aggregates."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from experiments.common.bootstrap import Estimate
from experiments.common.pages import STYLES, write_figure
from experiments.figure4.aggregates import improvement_probabilities, interquartile_means, performance_profiles
from experiments.figure4.measures import best_setting
from experiments.figure4.page import write_claims
from experiments.figure4.results import AlgorithmResults, StudyResults, read_results

Array = npt.NDArray[np.float64]
#: Panels of the paper's Figure 4, of the task policies and, where it shows it, of the distilled policy.
PANELS = {"grid-mazes": ("A{}: ", "B{}: "), "grid-navigation": ("C{}: ", ""), "grid-tag": ("D{}: ", "")}
#: Below every figure with intervals by rliable.
CAPTION = (
    "Intervals (95 %) by rliable, as if the tasks of a run were independent and the best setting given: too narrow. "
    "Verdicts are in claims.md."
)


def draw_study(folder: Path, output: Path) -> str:
    """
    Draw all figures of the study and write ``claims.md``, from its raw results alone.

    :param folder: Folder of the study, complete or not
    :param output: Folder for the figures
    :return: What was drawn, in words
    """
    results = read_results(folder)
    figures = {
        "figure4.png": draw_panels(results),
        "iqm.png": draw_interquartile_means(results),
        "profiles.png": draw_profiles(results),
    }
    if len(_drawn(results)) > 1:
        figures["improvement.png"] = draw_improvement(results)
    for name, figure in figures.items():
        write_figure(output / name, figure)
    write_claims(results, output / "claims.md")
    return f"{results.outcomes.progress}. The figures and claims.md are in {output}."


def _drawn(results: StudyResults) -> dict[str, AlgorithmResults]:
    """Algorithms with at least one run, in the order of the legend."""
    found = results.algorithms
    return {name: found[name] for name in STYLES if name in found and not np.isnan(found[name].speed).all()}


def draw_panels(results: StudyResults) -> Figure:
    """
    Draw learning curves (top) and final scores of all runs, sorted (bottom), of the task policies and of π0.

    :param results: Results of a study
    :return: The figure
    """
    figure = _figure(results, 11, 8.2)
    axes = figure.subplots(2, 2)
    letters = PANELS.get(results.study.suite, ("", ""))
    for name, own in _drawn(results).items():
        _draw_curve(axes[0, 0], name, own.curves, own.area, results)
        _draw_curve(axes[0, 1], name, own.distilled_curves, own.distilled_area, results)
        _draw_sorted(axes[1, 0], name, own.final.mean(axis=2))
        _draw_sorted(axes[1, 1], name, own.distilled.mean(axis=2))
    for column, (letter, policies) in enumerate(zip(letters, ("task policies", "distilled policy"), strict=True)):
        title = f"{letter.format(1)}{policies}, best setting (mean ± std over seeds)"
        axes[0, column].set_xlabel("thousand steps of all tasks")
        axes[0, column].set_title(title, fontsize=11)
        axes[1, column].set_xlabel("runs, sorted by score")
        axes[1, column].set_title(f"{letter.format(2)}{policies}, final scores of all runs", fontsize=11)
    for axis in axes.flat:
        axis.set_ylabel(results.unit)
        axis.grid(alpha=0.25)
    _legend(figure, axes[0, 0])
    return figure


def _draw_curve(axis: Any, name: str, curves: Array, areas: Array, results: StudyResults) -> None:
    # By seed and time: the mean over tasks, then mean and standard deviation over the seeds that there are.
    runs = np.ma.masked_invalid(curves[best_setting(areas)].mean(axis=1))
    mean, spread = runs.mean(axis=0).filled(np.nan), runs.std(axis=0).filled(np.nan)
    # A bin stands for the steps up to its end.
    steps = results.study.timesteps / 1000 * np.arange(1, len(mean) + 1) / len(mean)
    axis.plot(steps, mean, label=name, markevery=max(1, len(mean) // 8), markersize=5, linewidth=1.8, **STYLES[name])
    axis.fill_between(steps, mean - spread, mean + spread, color=STYLES[name]["color"], alpha=0.12, linewidth=0)
    axis.set_xlim(0, 1.02 * steps[-1])


def _draw_sorted(axis: Any, name: str, scores: Array) -> None:
    ordered = np.sort(scores[~np.isnan(scores)])[::-1]
    axis.plot(np.arange(1, len(ordered) + 1), ordered, markersize=4, linewidth=1.4, **STYLES[name])


def draw_interquartile_means(results: StudyResults) -> Figure:
    """
    Draw interquartile means of final scores with stratified bootstrap intervals.

    :param results: Results of a study
    :return: The figure
    """
    figure = _figure(results, 11, 3.9, CAPTION)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, scores, title in (
        (axes[0], _best_scores(results), "best setting"),
        (axes[1], _all_scores(results), "all settings"),
    ):
        estimates = interquartile_means(scores)
        _draw_estimates(axis, estimates, [STYLES[name]["color"] for name in estimates])
        axis.set(title=f"IQM of final scores, {title}", xlabel=results.unit)
    return figure


def draw_profiles(results: StudyResults) -> Figure:
    """
    Draw performance profiles of all runs: the share of runs and tasks above each score.

    :param results: Results of a study
    :return: The figure
    """
    figure = _figure(results, 8.5, 5.2, CAPTION)
    axis = figure.subplots()
    scores = _all_scores(results)
    values = np.concatenate([own.ravel() for own in scores.values()])
    thresholds = np.linspace(min(0.0, values.min()), values.max(), 61)
    profiles, intervals = performance_profiles(scores, thresholds)
    for name, profile in profiles.items():
        axis.plot(thresholds, profile, label=name, markevery=6, markersize=5, linewidth=1.8, **STYLES[name])
        axis.fill_between(thresholds, *intervals[name], color=STYLES[name]["color"], alpha=0.12, linewidth=0)
    axis.set(title="Performance profiles, all settings and seeds", xlabel=f"score τ ({results.unit})")
    axis.set(ylabel="share of runs and tasks with score > τ", ylim=(-0.02, 1.02))
    axis.grid(alpha=0.25)
    _legend(figure, axis)
    return figure


def draw_improvement(results: StudyResults) -> Figure:
    """
    Draw the probability that an algorithm in its best setting scores higher on a task than another in its own.

    :param results: Results of a study with at least two algorithms
    :return: The figure, with all pairs of algorithms
    """
    pairs = list(combinations(_drawn(results), 2))
    figure = _figure(results, 8.5, 1.6 + 0.3 * len(pairs), CAPTION)
    axis, scores = figure.subplots(), _best_scores(results)
    estimates = improvement_probabilities({f"{x} > {y}": (scores[x], scores[y]) for x, y in pairs})
    _draw_estimates(axis, estimates, [STYLES[name]["color"] for name, _ in pairs])
    axis.axvline(0.5, color="grey", linestyle=":")
    axis.set(title="Probability of improvement, best settings", xlabel="P(X > Y)", xlim=(-0.02, 1.02))
    return figure


def _draw_estimates(axis: Any, estimates: dict[str, Estimate], colours: list[str]) -> None:
    for row, (estimate, colour) in enumerate(zip(estimates.values(), colours, strict=True)):
        if not np.isnan(estimate.low):
            axis.barh(row, estimate.high - estimate.low, left=estimate.low, height=0.6, color=colour, alpha=0.45)
        axis.plot([estimate.value] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=3, solid_capstyle="butt")
    axis.use_sticky_edges = False
    axis.set_yticks(range(len(estimates)), list(estimates))
    axis.set_ylim(len(estimates) - 0.5, -0.5)
    axis.grid(axis="x", alpha=0.25)


def _best_scores(results: StudyResults) -> dict[str, Array]:
    return {name: _whole_rows(own.final[best_setting(own.area)]) for name, own in _drawn(results).items()}


def _all_scores(results: StudyResults) -> dict[str, Array]:
    return {name: _whole_rows(own.final.reshape(-1, own.final.shape[-1])) for name, own in _drawn(results).items()}


def _whole_rows(scores: Array) -> Array:
    return scores[~np.isnan(scores).any(axis=1)]


def _figure(results: StudyResults, width: float, height: float, caption: str = "") -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(f"{results.study.suite}: {results.outcomes.progress}", fontsize=11)
    figure.supxlabel(caption, fontsize=8, color="0.35")
    return figure


def _legend(figure: Figure, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False, handlelength=2.6, fontsize=8.5)
