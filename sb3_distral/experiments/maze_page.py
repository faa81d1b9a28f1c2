"""Figure and table of the long runs on the first-person mazes."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sb3_distral.experiments.figures import STYLES
from sb3_distral.experiments.maze_runs import RANDOM, mean_and_error, read_results
from sb3_distral.files import atomic_write

FIGURE, TABLE = "learning_curves.png", "returns.md"


def plot_mazes(folder: Path, output: Path) -> None:
    """
    Draw the learning curves and write the table of returns, from the raw results alone.

    :param folder: Folder of the results
    :param output: Folder for figure and table
    """
    results = read_results(folder)
    with atomic_write(output / FIGURE) as beside:
        FigureCanvasAgg(draw_curves(results)).print_figure(str(beside), format="png", dpi=110)
    with atomic_write(output / TABLE) as beside:
        beside.write_text(returns_text(results), encoding="utf-8")


def draw_curves(results: dict[str, dict[str, Any]]) -> Figure:
    """
    Mean return over tasks of the evaluations during training, of the task policies and of π0.

    :param results: Results by algorithm
    :return: The figure
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, policy, title in zip(axes, ("tasks", "distilled"), ("task policies", "distilled policy"), strict=True):
        for name in trained(results):
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


def trained(results: dict[str, dict[str, Any]]) -> list[str]:
    """
    :param results: Results by name
    :return: Algorithms among them, in the order of the legend
    """
    return [name for name in STYLES if name in results]


def returns_text(results: dict[str, dict[str, Any]]) -> str:
    """
    :param results: Results by name
    :return: Returns of the trained policies, a row for each maze, in Markdown
    """
    names = [*trained(results), *([RANDOM] if RANDOM in results else [])]
    columns = {label: own for name in names for label, own in _columns(name, results[name]).items()}
    rows = list(dict.fromkeys(row for own in columns.values() for row in own))
    lines = [f"| maze | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    lines += [f"| {row} | {' | '.join(own.get(row, '–') for own in columns.values())} |" for row in rows]
    return "\n".join(lines) + "\n"


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
