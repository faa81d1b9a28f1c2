"""The learning curves of a run as figures."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from sb3_distral.runs.progress import STEPS, Array, by_task, steps_per_second

#: Okabe and Ito's colours, which colour-blind readers tell apart; more tasks than these are grey, and their mean black.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#6E6E6E")


class Curve(NamedTuple):
    """
    A number of each task in the course of the training.

    :param title: What it is, with its unit
    :param pattern: Its key in the log, with ``*`` in place of the task
    :param distilled: Key of the same of π0, drawn dashed; empty: there is none
    """

    title: str
    pattern: str
    distilled: str = ""


CURVES = (
    Curve("Return in training", "rollout/*/ep_rew_mean"),
    Curve("Return in evaluations (dashed: π0)", "eval/*/mean_reward", "eval/*/distilled_mean_reward"),
    Curve("KL(πi‖π0) in nats", "distral/*/kl"),
    Curve("Entropy of πi in nats", "distral/*/entropy"),
    Curve("Cost of a nat of divergence, c_KL", "distral/*/kl_cost"),
    Curve("Cost of a nat of entropy, c_Ent", "distral/*/entropy_cost"),
)


def draw_curves(columns: dict[str, Array]) -> dict[str, Figure]:
    """
    Draw what is logged of each task, the distillation loss and the speed.

    :param columns: What the run has logged, by key
    :return: Figures by title, of what there is
    """
    figures = {curve.title: _draw(curve, columns) for curve in CURVES if by_task(columns, curve.pattern)}
    steps, speed = steps_per_second(columns)
    own = {
        "Distillation loss": (columns[STEPS], columns.get("distral/distillation_loss", np.array([]))),
        "Steps per second": (steps, speed),
    }
    for title, (places, values) in own.items():
        if len(values):
            figure, axes = _figure()
            _line(axes, places, values, color="black")
            axes.set_ylim(bottom=0)
            figures[title] = figure
    return figures


def _draw(curve: Curve, columns: dict[str, Array]) -> Figure:
    figure, axes = _figure()
    shown: dict[str, Line2D] = {}
    for pattern, style in ((curve.pattern, "-"), (curve.distilled, "--")):
        tasks = by_task(columns, pattern) if pattern else {}
        is_few = len(tasks) <= len(COLOURS)
        for task, (name, values) in enumerate(tasks.items()):
            colour = COLOURS[task] if is_few else "#BBBBBB"
            line = _line(axes, columns[STEPS], values, color=colour, linestyle=style)
            if is_few and style == "-":
                shown[name] = line
        if tasks and not is_few:
            mean = np.mean(list(tasks.values()), axis=0)
            line = _line(axes, columns[STEPS], mean, color="black", linestyle=style, linewidth=2)
            if style == "-":
                shown[f"mean of {len(tasks)} tasks"] = line
    legend = axes.legend(shown.values(), shown, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    for text in legend.get_texts():
        text.set(fontsize=8, parse_math=False)  # whatever a task is called
    return figure


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel("steps of all tasks")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _line(axes: Axes, steps: Array, values: Array, **style: object) -> Line2D:
    known = np.isfinite(values)
    # A lone point has no line.
    marker = "o" if known.sum() == 1 else None
    (line,) = axes.plot(steps[known], values[known], marker=marker, **style)  # type: ignore[arg-type]
    return line
