"""Figure and ``claims.md`` of the study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from experiments.common.bootstrap import Estimate
from experiments.common.claims import Claim, interval_text, number_text
from experiments.common.curves import LAST_BINS, N_BINS
from experiments.common.pages import claims_table, table, write_figure, write_page
from experiments.families.study import ARMS, SUITE, Array, Results, read_results
from experiments.families.training import RATE
from experiments.transfer.measures import (
    AREA,
    FINAL,
    N_RESAMPLES,
    Measure,
    Rows,
    draws,
    estimated,
    intervals,
)

PAGE, FIGURE = "claims.md", "families.png"
#: Colours of Okabe and Ito by label.
COLOURS = {
    "one π0": "#888888",
    "two π0": "#D55E00",
    "two π0, families told": "#0072B2",
    "two columns, no KL": "#009E73",
}
TITLES = {2: "two families", 1: "one family"}


@dataclass(frozen=True)
class Difference:
    """
    A number of a claim: two arms compared seed by seed.

    :param first: An arm
    :param second: Another
    :param measure: What is compared
    """

    first: str
    second: str
    measure: Measure

    def __call__(self, results: Results, n_comparisons: int) -> Estimate:
        """
        Compare the two.

        :param results: Results
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: The number
        """

        def number(rows: Rows) -> float:
            first, second = (_measured(results, arm, self.measure, rows) for arm in (self.first, self.second))
            return first - second

        return estimated(number, results.n_seeds, n_comparisons)

    @property
    def text(self) -> str:
        """What the number is."""
        return f"{self.measure.name}: {self.first} − {self.second}"


def _measured(results: Results, arm: str, measure: Measure, rows: Rows) -> float:
    return measure.of_curve(results.curves[arm][rows].mean(axis=0))


class Agreement:
    """A number of a claim: how well the responsibilities agree with the families in the end."""

    text: ClassVar[str] = "share"

    def __call__(self, results: Results, n_comparisons: int) -> Estimate:
        """
        Measure it.

        :param results: Results
        :param n_comparisons: Intervals that are to hold together with 95 % (Bonferroni)
        :return: Share of the tasks, mean over seeds
        """
        final = results.agreement["two"][:, -1]
        return estimated(lambda rows: float(final[rows].mean()), results.n_seeds, n_comparisons)


BOTH = (AREA, FINAL)
CLAIMS: tuple[Claim[Results], ...] = (
    Claim("Two π0 find the families: at least 0.9 of the tasks are where their family is", (Agreement(),), bound=0.9),
    Claim("With two families two π0 are better than one", tuple(Difference("two", "one", own) for own in BOTH)),
    Claim(
        "With two families two π0 are better than two columns that share h without KL",
        tuple(Difference("two", "shared h", own) for own in BOTH),
    ),
    Claim("Two π0 of known families are better than one", tuple(Difference("told", "one", own) for own in BOTH)),
    Claim(
        "With one family the second π0 costs less than 0.5",
        tuple(Difference("one family, two", "one family, one", own) for own in BOTH),
        bound=-0.5,
    ),
)


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
    Draw the learning curves with two families and with one, and how the families are found.

    :param results: Results
    :return: The figure
    """
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axis, (n_families, title) in zip((left, middle), TITLES.items(), strict=True):
        for arm, own in ARMS.items():
            if own.n_families == n_families:
                _draw(axis, results, results.curves[arm], own.label)
        axis.set(
            title=f"{results.study.n_tasks} tasks of {title}",
            ylabel="return of an episode, mean of tasks",
        )
        axis.legend(frameon=False)
    _draw(right, results, results.agreement["two"], ARMS["two"].label)
    right.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
    right.set(title="tasks at the π0 of their family", ylabel="share", ylim=(0.45, 1.02))
    figure.suptitle(f"Mean over seeds, 95 % interval (seeds: {results.n_seeds})", fontsize=10)
    return figure


def _draw(axis: Any, results: Results, curves: Array, label: str) -> None:
    thousands = results.study.timesteps / 1000 * np.arange(1, N_BINS + 1) / N_BINS
    mean = curves.mean(axis=0)
    band = intervals(curves[draws(results.n_seeds)].mean(axis=1), mean, results.n_seeds)
    axis.plot(thousands, mean, label=label, linewidth=2, color=COLOURS[label])
    axis.fill_between(thousands, *band, color=COLOURS[label], alpha=0.15, linewidth=0)
    axis.set_xlabel("thousand steps of all tasks")
    axis.grid(alpha=0.25)


def claims_lines(results: Results) -> list[str]:
    """
    Judge all claims and list what was measured of every arm.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    study = results.study
    return [
        "# Families of tasks: what was claimed and what came out",
        "",
        f"**{results.progress}**: `{SUITE}`, {study.n_tasks} tasks with {study.n_envs_per_task} sub-environments each, "
        f"{study.timesteps} steps in all, learning rate {RATE:g} falling to a sixth, 1/β = 0.01. Seeds of which every "
        f"run is there: {results.n_seeds}; each has another maze.",
        "",
        f"Intervals (95 %) are bootstrapped over seeds, the same ones for all ways ({N_RESAMPLES} times), widened for "
        "their small number; a claim is judged as in [the study of transfer](../transfer/claims.md).",
        "",
        *claims_table(CLAIMS, results),
        "",
        "## Every way",
        "",
        f"Mean return in the course of learning (area) and in the last {LAST_BINS} of {N_BINS} bins (final).",
        "",
        *_arms(results),
    ]


def _arms(results: Results) -> list[str]:
    rows = []
    for name, arm in ARMS.items():
        numbers = [
            estimated(lambda rows, name=name, own=own: _measured(results, name, own, rows), results.n_seeds)  # type: ignore[misc]
            for own in BOTH
        ]
        rows.append(
            [name, arm.label, TITLES[arm.n_families], *(f"{number_text(n.value)} {interval_text(n)}" for n in numbers)]
        )
    return table(["name", "way", "tasks", *(own.name for own in BOTH)], rows, right=(3, 4))
