"""
The table and the picture of a training on Meta-World, from ``results.json``.

``python examples/metaworld_report.py FOLDER`` writes ``metaworld.png`` and prints the table.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Results = dict[str, Any]

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#6E6E6E"
#: The largest return: 10 in each of 500 steps
LARGEST_RETURN = 5_000


#: The evaluations, and what they are called
EVALUATIONS = {
    "task": "task policy",
    "distilled": "π0",
    "task_mean": "task policy, mean actions",
    "distilled_mean": "π0, mean actions",
}


def table(results: Results) -> str:
    """
    Write the success rates as a table.

    :param results: What ``results.json`` holds
    :return: Markdown
    """
    success, curves = results["success"], results["curves"]
    lines = [
        f"| task | {' | '.join(EVALUATIONS.values())} | return in training, first and last |",
        "|---|" + "---:|" * 5,
    ]
    for name in success["task"]:
        rates = " | ".join(f"{success[key][name]:.0%}" for key in EVALUATIONS)
        returns = curves[name]["return"]
        lines.append(f"| {name} | {rates} | {returns[0]:.0f}, {returns[-1]:.0f} |")
    means = " | ".join(f"{np.mean(list(success[key].values())):.0%}" for key in EVALUATIONS)
    return "\n".join([*lines, f"| mean | {means} | |"])


def draw_curve(axes: Axes, name: str, curve: dict[str, list[float]]) -> None:
    """
    Draw how one task went in training.

    :param axes: Where to
    :param name: Name of the task
    :param curve: Steps of all tasks, success rates and mean returns of the episodes up to each
    """
    steps = np.array(curve["step"]) / 1e6
    axes.plot(steps, curve["success"], color=BLUE, linewidth=1.8, label="success")
    returns = np.array(curve["return"]) / LARGEST_RETURN
    axes.plot(steps, returns, color=GREY, linewidth=1.2, linestyle="--", label="return / 5000")
    axes.set_title(name, fontsize=9)
    axes.set(ylim=(-0.03, 1.03), xlim=(0, None))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def draw_bars(axes: Axes, results: Results) -> None:
    """
    Draw the success rates after the training.

    :param axes: Where to
    :param results: What ``results.json`` holds
    """
    names = list(results["success"]["task"])
    places = np.arange(len(names))
    for shift, key, colour, label in ((-0.2, "task", BLUE, "task policy"), (0.2, "distilled", ORANGE, "π0")):
        rates = [results["success"][key][name] for name in names]
        bars = axes.bar(places + shift, rates, width=0.38, color=colour, label=label)
        axes.bar_label(bars, [f"{rate:.0%}" for rate in rates], fontsize=7, padding=1)
        means = [results["success"][f"{key}_mean"][name] for name in names]
        axes.plot(places + shift, means, "k_", markersize=12, label=None if key == "task" else "with mean actions")
    axes.set_xticks(places, [name.removesuffix("-v3").replace("-", "\n") for name in names], fontsize=8)
    axes.set(ylim=(0, 1.12), ylabel="success rate")
    axes.set_title(f"After {results['timesteps'] / 1e6:.2f} million steps of all tasks together", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)


def plot(results: Results, path: Path) -> None:
    """
    Draw all tasks while they train, and the success rates at the end.

    :param results: What ``results.json`` holds
    :param path: File to write
    """
    figure = plt.figure(figsize=(10, 7.2), layout="constrained")
    curves, bars = figure.subfigures(2, 1, height_ratios=(1.5, 1))
    panels = curves.subplots(2, 5, sharex=True, sharey=True, squeeze=False)
    for axes, (name, curve) in zip(panels.flat, results["curves"].items(), strict=False):
        draw_curve(axes, name, curve)
    for axes in panels.flat[len(results["curves"]) :]:
        axes.set_visible(False)
    curves.legend(*panels.flat[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="upper right", ncols=2)
    curves.suptitle("Training episodes of each task policy", fontsize=10)
    curves.supxlabel("steps of all tasks together (millions)", fontsize=9)
    draw_bars(bars.subplots(), results)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(folder: tyro.conf.Positional[Path]) -> None:
    """
    Write the picture into the folder and print the table.

    :param folder: Folder with ``results.json``
    """
    results = json.loads((folder / "results.json").read_text())
    plot(results, folder / "metaworld.png")
    print(table(results))


if __name__ == "__main__":
    plt.switch_backend("agg")
    tyro.cli(main)
