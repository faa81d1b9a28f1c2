"""``claims.md`` and the figure of the study: what the paper claims and whether it came out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.bootstrap import widening
from experiments.common.claims import Claim
from experiments.common.pages import table, write_figure, write_page
from experiments.two_rooms import measures
from experiments.two_rooms.figure import draw_figure
from experiments.two_rooms.measures import N_RESAMPLES, crossing_ratio, crossings, estimated, window
from experiments.two_rooms.study import PHASES, Results, read_results

CLAIMS, FIGURE = "claims.md", "two-rooms.png"
#: Ratio of the crossings of -5 in the paper's Figure 3, and that level.
PAPER_RATIO, PAPER_LEVEL = 2.4, -5.0
#: Returns whose crossings are listed; ``None``: that of separate learning at the end.
LEVELS = (None, PAPER_LEVEL, -4.0, -3.0, -2.0, -1.0)


def make_claims() -> list[Claim[Results]]:
    """
    List what the paper claims.

    :return: The claims, in the order of the table
    """
    return [
        *(claim for phase in range(len(PHASES)) for claim in _claims_of_curves(phase)),
        _claim(
            "Distral is more stable (standard deviation between seeds on training tasks, difference)",
            measures.spread_difference,
            is_above=False,
        ),
        _claim(
            "Up and down have together less than 5 % in π0 in the corridor (previous action left or right)",
            measures.sideways_probability,
            bound=0.05,
            is_above=False,
            unit=".1%",
        ),
        _claim(
            "π0 keeps the direction of travel in the corridor (its probability less the next likeliest)",
            measures.direction_margin,
            unit=".1%",
        ),
    ]


def _claims_of_curves(phase: int) -> list[Claim[Results]]:
    on = f"on {PHASES[phase]} tasks"
    return [
        _claim(
            f"Distral passes the return that separate learning reaches at the end {on} at least 2.4 times earlier "
            "(ratio of iterations)",
            partial(crossing_ratio, phase=phase),
            bound=PAPER_RATIO,
        ),
        _claim(
            f"Distral passes −5 {on} at least 2.4 times earlier (ratio of iterations; the paper's level, which its own "
            "grid reaches halfway)",
            partial(crossing_ratio, phase=phase, level=PAPER_LEVEL),
            bound=PAPER_RATIO,
        ),
        _claim(
            f"Distral learns faster {on} (mean return of all iterations, difference)",
            partial(measures.difference, phase=phase, at_end=False),
        ),
        _claim(
            f"Distral ends higher {on} (return at the end, difference)",
            partial(measures.difference, phase=phase, at_end=True),
        ),
    ]


def _claim(text: str, statistic: Callable[[Results], float], **how: Any) -> Claim[Results]:
    return Claim(text, (lambda results, _: estimated(results, statistic),), **how)


def claims_lines(results: Results) -> list[str]:
    """
    Judge all claims.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    n_seeds, n_iterations = len(results.seeds), results.returns.shape[-1]
    columns, rows = ["claim", "bound", "measured", "95 % interval", "verdict"], []
    for claim in make_claims():
        ((*numbers, verdict),) = claim.judge(results).rows
        rows.append([claim.text, claim.bound_text, *numbers, f"**{verdict}**"])
    return [
        "# Two rooms: what the paper claims and what came out",
        "",
        f"{n_seeds} seeds, {n_iterations} iterations. Curves are means over seeds, smoothed over "
        f"{window(n_iterations)} iterations. A claim holds or does not hold where the whole interval is on one side of "
        "its bound, else it is undecided.",
        "",
        _interval_rule(n_seeds),
        "",
        *table(columns, rows, right=(1, 2, 3)),
        "",
        "Iterations after which the smoothed curves pass a level; the first is that of separate learning at the end:",
        "",
        *_crossings(results),
    ]


def _interval_rule(n_seeds: int) -> str:
    if n_seeds < 2:
        return "One seed says nothing about others: there are no intervals, and every claim is undecided."
    return (
        f"Intervals (95 %) are bootstrapped: all seeds are drawn anew, with replacement, {N_RESAMPLES} times. The "
        "distances of the 2.5 % and 97.5 % percentiles from the measured number are then widened by "
        f"√(n / (n − 1)) · t / 1.96 = {widening(n_seeds, n_seeds - 1):.2f}, where n is the number of seeds and t that "
        "of a t test, since few seeds know their own spread badly."
    )


def _crossings(results: Results) -> list[str]:
    rows = []
    for (phase, name), level in ((own, level) for own in enumerate(PHASES) for level in LEVELS):
        value, *passed = crossings(results, phase, level)
        cells = ["never" if np.isinf(number) else f"{number:.0f}" for number in passed]
        rows.append([name, f"{value:.2f}", *cells, f"{crossing_ratio(results, phase, level):.2f}"])
    return table(["tasks", "level", "Distral", "separate learning", "ratio"], rows, right=range(1, 5))


def draw_study(folder: Path, output: Path) -> str:
    """
    Draw the figure and write ``claims.md``, from the raw results alone.

    :param folder: Folder of the study, complete or not
    :param output: Folder for figure and claims
    :return: What was drawn, in words
    """
    results = read_results(folder)
    write_figure(output / FIGURE, draw_figure(results))
    write_page(output / CLAIMS, claims_lines(results))
    return f"{len(results.seeds)} seeds. The figure is {output / FIGURE}, the claims are in {output / CLAIMS}."
