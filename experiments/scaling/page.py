"""Figure and ``claims.md`` of the study."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common.claims import Claim
from experiments.common.curves import N_BINS
from experiments.common.pages import claims_table, write_figure, write_page
from experiments.common.sweep_pages import HOW_JUDGED, draw_panel, numbers_table
from experiments.common.sweeps import AREA, FINAL, Contrast, Sweep, difference, growth
from experiments.scaling.optimum import best_mean_return
from experiments.scaling.study import LAST_BINS, Study, read_results
from experiments.scaling.training import N_UNSEEN, RATE

PAGE, FIGURE = "claims.md", "scaling.png"
DISTILLED, UNSEEN = "distilled", "unseen"
#: What is measured, its title, and the algorithms that have no such number: h of A3C is never trained.
PANELS = {
    FINAL: ("Task policies: final return", ()),
    AREA: ("Task policies: mean return in the course of learning", ()),
    DISTILLED: ("π0 in the mazes of the training", ("A3C",)),
    UNSEEN: ("π0 in mazes never seen", ("A3C",)),
}
#: Distral with two columns, and two columns without KL.
DISTRAL, RIVAL = ("KL+ent_2col", "KL_2col"), "A3C_2col"


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
    Draw all measures over the number of mazes.

    :param study: The study
    :param results: Its results
    :return: The figure
    """
    figure = Figure(figsize=(11.5, 8.4), layout="constrained")
    for axis, (measure, (title, without)) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        places = {value: float(np.log2(value)) for value in results.values}
        draw_panel(axis, results, measure, places, without)
        steps = [f"{value:g}\n{_thousands(study.timesteps / value)}" for value in results.values]
        axis.set_xticks(list(places.values()), steps)
        axis.set(title=title, ylabel="return of an episode", xlabel="mazes, and steps of each")
        if measure == FINAL:
            best = [best_returns(results, int(value)) for value in results.values]
            axis.plot(list(places.values()), best, color="#999999", linestyle=":", label="best possible", zorder=0)
            handles: Any = axis.get_legend_handles_labels()
    n_seeds = len(results.seeds)
    figure.suptitle(f"{study.timesteps} steps of all mazes together (mean over seeds, 95 % interval; seeds: {n_seeds})")
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False, handlelength=3)
    return figure


def _thousands(steps: float) -> str:
    return f"{steps / 1000:.0f} k" if steps >= 10_000 else f"{steps / 1000:.1f} k"


def best_returns(results: Sweep, n_tasks: int) -> float:
    """
    Say what can be reached in the mazes of the study.

    :param results: Results
    :param n_tasks: Number of mazes
    :return: Mean over seeds of the best expected return
    """
    return float(np.mean([best_mean_return(n_tasks, 2 * seed) for seed in results.seeds]))


def claims(values: tuple[float, ...]) -> tuple[Claim[Sweep], ...]:
    """
    Say what is claimed.

    :param values: Numbers of mazes, in order
    :return: The claims
    """
    many = values[len(values) // 2 :]
    ahead = "with many mazes two-column Distral ends higher than"
    one_column = (
        *(difference(FINAL, n_tasks, "KL+ent_2col", "KL+ent_1col") for n_tasks in many),
        *(difference(FINAL, n_tasks, "KL_2col", "KL_1col") for n_tasks in many),
    )
    more = (
        Claim(
            "the more mazes π0 was distilled from (two columns), the more it finds in mazes never seen",
            tuple(growth(UNSEEN, (values[0], values[-1]), name) for name in DISTRAL),
        ),
    )
    return (
        Claim(f"{ahead} one network for all", _at(many, FINAL, "A3C_multitask")),
        Claim(f"{ahead} separate learning", _at(many, FINAL, "A3C")),
        Claim(f"{ahead} two columns without KL", _at(many, FINAL, RIVAL)),
        Claim("with many mazes two columns end higher than one", one_column),
        Claim(
            "with many mazes KL alone ends higher than KL+ent (two columns)",
            tuple(difference(FINAL, n_tasks, "KL_2col", "KL+ent_2col") for n_tasks in many),
        ),
        *(more if len(values) > 1 else ()),
        Claim(
            "in mazes never seen π0 of two columns finds more than the one network for all",
            _at(values, UNSEEN, "A3C_multitask"),
        ),
        Claim(
            "in mazes never seen π0 of two columns finds more than the h of two columns without KL",
            _at(values, UNSEEN, RIVAL),
        ),
    )


def _at(values: tuple[float, ...], measure: str, other: str) -> tuple[Contrast, ...]:
    return tuple(difference(measure, value, name, other) for name in DISTRAL for value in values)


def claims_lines(study: Study, results: Sweep) -> list[str]:
    """
    Judge all claims and list what was measured of every algorithm.

    :param study: The study
    :param results: Its results
    :return: Lines of the page, in Markdown
    """
    numbers = ", ".join(f"{n_tasks:g}" for n_tasks in results.values)
    lines = [
        "# The number of tasks: what was claimed and what came out",
        "",
        f"**{results.progress}**: {len(results.algorithms)} algorithms on {numbers} mazes, {study.timesteps} steps of "
        f"all mazes together with {study.n_envs} sub-environments in all, learning rate {RATE:g}, 1/β = 0.01. Seeds of "
        f"which every run is there: {len(results.seeds)}; each has other mazes.",
        "",
        HOW_JUDGED,
        "",
        *claims_table(claims(results.values), results),
    ]
    notes = {
        FINAL: f" (last {LAST_BINS} of {N_BINS} bins)",
        UNSEEN: f" ({N_UNSEEN} of them)",
    }
    for measure, (title, without) in PANELS.items():
        lines += ["", f"## {title}{notes.get(measure, '')}", ""]
        lines += numbers_table(results, measure, "mazes:", without)
    best = [f"{best_returns(results, int(n)):.2f} with {n:g}" for n in results.values]
    return [*lines, "", f"Best possible return of task policies, computed: {', '.join(best)} mazes."]
