"""Figure 3 of the paper, drawn from the results of the study ``two-rooms``."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from experiments.two_rooms.measures import LEFT, RIGHT, TEST, TRAINING, band, crossings, smoothed, window
from experiments.two_rooms.study import METHODS, PHASES, Results
from sb3_distral.tasks.grids.pictures import draw_grid
from sb3_distral.tasks.grids.two_rooms import ACTIONS, CELLS, WALLS

Array = npt.NDArray[Any]

PAPER_CURVES = Path(__file__).parent / "data" / "figure3_left.csv"
COLOURS = ("#1f5fa8", "#c0392b")
WALL_COLOUR = "#2d323c"
PAPER_NAMES = ("multi_task", "separately")
N_EXAMPLES = 4


def paper_curves() -> Array:
    """
    Read the curves of the paper's Figure 3, left.

    :return: A structured array with the columns ``iteration`` and ``multi_task`` and ``separately`` with the endings
        ``_mean``, ``_lo``, ``_hi``
    """
    curves: Array = np.genfromtxt(PAPER_CURVES, delimiter=",", names=True, skip_header=1)
    return curves


def _draw_curves(axes: Axes, results: Results, phase: int) -> None:
    """Draw the learning curves of both methods with their intervals."""
    n_iterations = results.returns.shape[-1]
    iterations = np.arange(window(n_iterations), n_iterations + 1)
    for method, colour in enumerate(COLOURS):
        curves = smoothed(results.returns[:, method, phase])
        axes.plot(iterations, curves.mean(axis=0), color=colour, label=METHODS[method])
        axes.fill_between(iterations, *band(curves), color=colour, alpha=0.2, linewidth=0)
    axes.set_ylabel("return of a roll-out, not discounted")
    level, *passed = crossings(results, phase)
    axes.axhline(level, color="0.4", linestyle=":", linewidth=1)
    for iteration, colour in zip(passed, COLOURS, strict=True):
        # A level that is never passed, at infinity, leaves no mark.
        axes.plot(iteration, level, "o", color=colour, markersize=5)
    axes.set_title(f"{PHASES[phase]} tasks, {len(results.seeds)} seeds")


def _draw_paper(axes: Axes) -> None:
    """Draw the paper's curves."""
    curves = paper_curves()
    for name, method, colour in zip(PAPER_NAMES, METHODS, COLOURS, strict=True):
        axes.plot(curves["iteration"], curves[f"{name}_mean"], color=colour, label=method)
        ends = curves[f"{name}_lo"], curves[f"{name}_hi"]
        axes.fill_between(curves["iteration"], *ends, color=colour, alpha=0.2, linewidth=0)
    axes.set_title("the paper's Figure 3 (its grid is not known)")
    axes.set_ylabel("return, on the paper's own scale")
    axes.legend(loc="lower right", frameon=False, title="means and bands as printed,\nread off (about ±0.15)")


def _draw_example(axes: Axes, goal: int, name: str) -> None:
    """Draw a task with a start."""
    start = int(np.random.default_rng(goal).choice(np.delete(np.arange(len(CELLS)), goal)))
    axes.imshow(draw_grid(WALLS, CELLS[start], CELLS[goal]))
    axes.set_title(name)
    axes.set_axis_off()


def draw_arrows(axes: Axes, policy: Array, title: str) -> None:
    """
    Draw a policy in the corridor: arrows, and a disc for staying, as long and wide as the probability; the number is
    the greatest probability.

    :param axes: Where to draw
    :param policy: Probabilities by cell and action, shape (n_cells, n_actions)
    :param title: Title
    """
    axes.add_patch(Rectangle((-0.5, -0.95), len(policy), 1.9, color=WALL_COLOUR))
    for cell, probabilities in enumerate(policy):
        axes.add_patch(Rectangle((cell - 0.5, -0.5), 1, 1, facecolor="white", edgecolor="0.7"))
        axes.text(cell, 0.33, f"{probabilities.max():.2f}", ha="center", va="center", color="0.3")
        axes.add_patch(Circle((cell, 0), 0.4 * probabilities[0] / 2, color="0.5"))
        for (down, right), size in zip(ACTIONS[1:], probabilities[1:], strict=True):
            axes.arrow(
                *(cell + 0.05 * right, -0.05 * down, 0.42 * size * right, -0.42 * size * down),
                width=0.06 * size,
                head_width=0.25 * size,
                head_length=0.16 * size,
                length_includes_head=True,
                color=COLOURS[0],
            )
    axes.set(xlim=(-0.55, len(policy) - 0.45), ylim=(-0.95, 0.95), title=title)
    axes.set_aspect("equal")
    axes.set_axis_off()


def draw_figure(results: Results) -> Figure:
    """
    Draw the figure.

    :param results: Results
    :return: Learning curves, the paper's curves, four tasks, and π0 in the corridor
    """
    figure = Figure(figsize=(13, 8.2), layout="constrained")
    parts: Any = figure.subfigures(3, 1, height_ratios=[4, 1.7, 2])
    top, middle, bottom = parts
    own, test, paper = top.subplots(1, 3)
    _draw_curves(own, results, TRAINING)
    _draw_curves(test, results, TEST)
    test.sharey(own)
    _draw_paper(paper)
    for axes in (own, test, paper):
        axes.set_xlabel("iterations of 10 roll-outs a task")
        axes.grid(alpha=0.3)
    own.legend(
        loc="lower right",
        frameon=False,
        title="mean and 95 % interval\nover seeds; dots: where they\npass separate's last return",
    )
    goals = list(dict.fromkeys(results.goals[0, TRAINING].tolist()))[:N_EXAMPLES]
    for axes, goal, letter in zip(middle.subplots(1, N_EXAMPLES), goals, "ABCD", strict=False):
        _draw_example(axes, goal, f"task {letter}: goal green, a start red")
    policy = results.corridor.mean(axis=0)
    for axes, action, name in zip(bottom.subplots(1, 2), (LEFT, RIGHT), ("left", "right"), strict=True):
        title = f"π0 in the corridor after a move {name}\nsize of arrows: probability; number: the greatest of them"
        draw_arrows(axes, policy[:, action], title)
    return figure
