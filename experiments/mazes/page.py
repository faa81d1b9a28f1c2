"""Figure and table of the long runs on the first-person mazes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common.pages import STYLES, table, write_figure, write_page
from experiments.mazes.study import RANDOM, read_results

FIGURE, TABLE = "learning_curves.png", "returns.md"


def draw_study(folder: Path, output: Path) -> str:
    """
    Draw the learning curves and write the table of returns, from the raw results alone.

    :param folder: Folder of the results
    :param output: Folder for figure and table
    :return: What was drawn, in words
    """
    results = read_results(folder)
    write_figure(output / FIGURE, draw_curves(results))
    write_page(output / TABLE, returns_lines(results))
    return f"{len(results)} runs. The figure is {output / FIGURE}, the table is {output / TABLE}."


def draw_curves(results: dict[str, dict[str, Any]]) -> Figure:
    """
    Draw the mean return over tasks of the evaluations during training, of the task policies and of π0.

    :param results: Results by algorithm
    :return: The figure
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, policy, title in zip(axes, ("tasks", "distilled"), ("task policies", "distilled policy"), strict=True):
        for name in _trained(results):
            evaluations = results[name]["evaluations"]
            if evaluations and policy in evaluations[0]:
                steps = [own["timesteps"] / 1000 for own in evaluations]
                means = [np.mean(list(own[policy].values())) for own in evaluations]
                axis.plot(steps, means, label=name, markersize=4, **STYLES[name])
        if RANDOM in results:
            random, _ = mean_and_error(results[RANDOM]["final"]["tasks"].values())
            axis.axhline(random, color="grey", linestyle=":", label=RANDOM)
        axis.set(title=title, xlabel="thousand steps of all tasks")
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("return of an episode, mean of tasks")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, handlelength=2.6)
    return figure


def _trained(results: dict[str, dict[str, Any]]) -> list[str]:
    """Algorithms among the results, in the order of the legend."""
    return [name for name in STYLES if name in results]


def returns_lines(results: dict[str, dict[str, Any]]) -> list[str]:
    """
    Make the table of returns.

    :param results: Results by name
    :return: Returns of the trained policies, a row for each maze, in Markdown
    """
    names = [*_trained(results), *([RANDOM] if RANDOM in results else [])]
    columns = {label: own for name in names for label, own in _columns(name, results[name]).items()}
    mazes = dict.fromkeys(maze for own in columns.values() for maze in own)
    rows = [[maze, *(own.get(maze, "–") for own in columns.values())] for maze in mazes]
    return table(["maze", *columns], rows, right=range(1, len(columns) + 1))


def _columns(name: str, result: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Label of each policy of a result, and its returns by row."""
    labels = {"tasks": name}
    if "distilled" in result["final"]:
        labels = {"tasks": f"{name}, task policies", "distilled": f"{name}, π0"}
    return {label: _returns(result["final"][key], result["unseen"].get(key, {})) for key, label in labels.items()}


def _returns(known: dict[str, list[float]], unseen: dict[str, list[float]]) -> dict[str, str]:
    rows = {maze: [own] for maze, own in known.items()}
    rows |= {"mean of these": list(known.values())}
    rows |= {f"unseen {maze}": [own] for maze, own in unseen.items()}
    statistics = {row: mean_and_error(own) for row, own in rows.items()}
    return {row: f"{mean:.1f} ± {error:.1f}" for row, (mean, error) in statistics.items()}


def mean_and_error(returns: Iterable[Sequence[float]]) -> tuple[float, float]:
    """
    Average returns over tasks.

    :param returns: Returns of the episodes of each task
    :return: Mean over tasks of their mean returns, and its standard error over episodes
    """
    tasks = [np.asarray(own) for own in returns]
    squares = [own.var(ddof=1) / len(own) for own in tasks]
    return float(np.mean([own.mean() for own in tasks])), float(np.sqrt(np.sum(squares)) / len(tasks))
