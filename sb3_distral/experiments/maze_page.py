"""Figure and table of the long runs on the first-person mazes."""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sb3_distral.checkpoint import atomic_write
from sb3_distral.experiments.figures import STYLES
from sb3_distral.experiments.maze_runs import RANDOM, mean, read_results

FIGURE, TABLE = "learning_curves.png", "returns.md"
#: Algorithms whose π0 nothing trains.
WITHOUT_DISTILLED = ("A3C",)


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
            if evaluations and (policy == "tasks" or name not in WITHOUT_DISTILLED):
                steps = [own["timesteps"] / 1000 for own in evaluations]
                axis.plot(steps, [mean(own[policy]) for own in evaluations], label=name, markersize=4, **STYLES[name])
        if RANDOM in results:
            axis.axhline(mean(results[RANDOM]["final"]["tasks"]), color="grey", linestyle=":", label=RANDOM)
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
    :return: Mean returns of the trained policies, of π0 on unseen mazes too, in Markdown
    """
    policies = {"tasks": "task policies", "distilled": "π0"}
    rows = [
        (f"{name}, {label}", results[name]["final"][policy], results[name]["unseen"].get(policy, {}))
        for name in trained(results)
        for policy, label in policies.items()
        if policy == "tasks" or name not in WITHOUT_DISTILLED
    ]
    if RANDOM in results:
        rows.append((RANDOM, results[RANDOM]["final"]["tasks"], results[RANDOM]["unseen"]["tasks"]))
    tasks, unseen = (list(max((row[index] for row in rows), key=len)) for index in (1, 2))
    head = ["policy", *tasks, "mean", *(f"unseen {task}" for task in unseen)]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for label, known, new in rows:
        values = [*(known[task] for task in tasks), mean(known), *(new.get(task) for task in unseen)]
        lines.append(f"| {label} | {' | '.join('–' if value is None else f'{value:.1f}' for value in values)} |")
    return "\n".join(lines) + "\n"
