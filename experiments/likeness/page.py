"""Figure and ``claims.md`` of the study."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common.claims import Claim
from experiments.common.curves import LAST_BINS, N_BINS
from experiments.common.pages import claims_table, table, write_figure, write_page
from experiments.common.sweep_pages import HOW_JUDGED, draw_panel, numbers_table
from experiments.common.sweeps import AREA, FINAL, Contrast, Place, Sweep, difference
from experiments.likeness.optimum import best_returns
from experiments.likeness.study import Study, read_results
from experiments.likeness.training import RATE

PAGE, FIGURE = "claims.md", "likeness.png"
TITLES = {FINAL: "Final return", AREA: "Mean return in the course of learning"}
#: Distral with two columns, two columns without KL, and one network for all tasks.
DISTRAL, RIVAL, ONE_NETWORK = ("KL+ent_2col", "KL_2col"), "A3C_2col", "A3C_multitask"
#: What can be reached: names and looks.
BEST = {
    "best policy of each task": {"color": "#999999", "linestyle": ":"},
    "best policy for all tasks": {"color": "#999999", "linestyle": "-."},
}


def draw_study(folder: Path, output: Path) -> str:
    """
    Draw the figure and write ``claims.md``, from the raw results alone.

    :param folder: Folder of the study, complete or not
    :param output: Folder for figure and claims
    :return: What was drawn, in words
    """
    study, results = read_results(folder)
    write_figure(output / FIGURE, draw_figure(study, results))
    write_page(output / PAGE, claims_lines(study, results))
    return f"{results.progress}. The figure is {output / FIGURE}, the claims are in {output / PAGE}."


def draw_figure(study: Study, results: Sweep) -> Figure:
    """
    Draw all measures along the dial, and what can be reached.

    :param study: The study
    :param results: Its results
    :return: The figure
    """
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    axes = figure.subplots(1, len(TITLES), sharey=True)
    for axis, (measure, title) in zip(axes, TITLES.items(), strict=True):
        draw_panel(axis, results, measure, {value: value for value in results.values})
        for (name, look), best in zip(BEST.items(), best_along(study, results), strict=True):
            axis.plot(results.values, best, label=name, zorder=0, **look)
        axis.set(title=title, xlabel="likeness: part of the wishes that all tasks have in common")
        axis.set_xticks(results.values)
    axes[0].set_ylabel("return of an episode, mean of tasks")
    figure.suptitle(f"{study.n_tasks} tasks in one maze (mean over seeds, 95 % interval; seeds: {len(results.seeds)})")
    handles: Any = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False, handlelength=3)
    return figure


def best_along(study: Study, results: Sweep) -> Any:
    """
    Say what can be reached in the mazes of the study.

    :param study: The study
    :param results: Its results
    :return: Best return of a policy for each task and of one for all, mean over seeds, shape (2, n_values)
    """
    best = [[best_returns(value, seed, study.n_tasks) for seed in results.seeds] for value in results.values]
    return np.array(best).mean(axis=1).T


def claims(values: tuple[float, ...]) -> tuple[Claim[Sweep], ...]:
    """
    Say what is claimed.

    :param values: Values of the dial, in order
    :return: The claims
    """
    low, high = values[0], values[-1]
    nothing = Contrast(f"{FINAL} at {low:g}: {ONE_NETWORK}", FINAL, {Place(low, ONE_NETWORK): 1.0})
    others = ("A3C", "KL+ent_1col", RIVAL, *DISTRAL)
    return (
        Claim("one network for all gets nothing where the tasks want opposite things", (nothing,), 1.0, is_above=False),
        Claim(
            "where the tasks are one task, one network for all has the most area",
            tuple(difference(AREA, high, ONE_NETWORK, other) for other in others),
        ),
        Claim(
            "two-column Distral ends higher than one network for all wherever the tasks are not one task",
            _everywhere(FINAL, values[:-1], ONE_NETWORK),
        ),
        Claim(
            "two-column Distral has more area than separate learning at every likeness",
            _everywhere(AREA, values, "A3C"),
        ),
        Claim(
            "two-column Distral has more area than two columns without KL at every likeness",
            _everywhere(AREA, values, RIVAL),
        ),
        Claim(
            "two-column Distral ends higher than two columns without KL at every likeness",
            _everywhere(FINAL, values, RIVAL),
        ),
        Claim(
            "one column with KL has more area than separate learning at every likeness",
            tuple(difference(AREA, value, "KL+ent_1col", "A3C") for value in values),
        ),
    )


def _everywhere(measure: str, values: tuple[float, ...], other: str) -> tuple[Contrast, ...]:
    return tuple(difference(measure, value, name, other) for name in DISTRAL for value in values)


def claims_lines(study: Study, results: Sweep) -> list[str]:
    """
    Judge all claims and list what was measured of every algorithm.

    :param study: The study
    :param results: Its results
    :return: Lines of the page, in Markdown
    """
    lines = [
        "# How alike the tasks are: what was claimed and what came out",
        "",
        f"**{results.progress}**: {len(results.algorithms)} algorithms at a likeness of "
        f"{', '.join(f'{value:g}' for value in results.values)}, {study.n_tasks} tasks with {study.n_envs_per_task} "
        f"sub-environments each, {study.timesteps} steps of all tasks together, learning rate {RATE:g}, 1/β = 0.01. "
        f"Seeds of which every run is there: {len(results.seeds)}; each has another maze.",
        "",
        HOW_JUDGED,
        "",
        *claims_table(claims(results.values), results),
    ]
    notes = {FINAL: f" (last {LAST_BINS} of {N_BINS} bins)"}
    for measure, title in TITLES.items():
        lines += ["", f"## {title}{notes.get(measure, '')}", ""]
        lines += numbers_table(results, measure, "likeness")
    best = [
        [name, *(f"{value:.2f}" for value in row)] for name, row in zip(BEST, best_along(study, results), strict=True)
    ]
    columns = ["computed", *(f"likeness {value:g}" for value in results.values)]
    return [*lines, "", "## What can be reached", "", *table(columns, best, right=range(1, len(columns)))]
