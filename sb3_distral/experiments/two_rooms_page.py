"""``claims.md`` of the study ``two-rooms``: what the paper claims and whether it came out."""

from functools import partial
from pathlib import Path

import numpy as np

from sb3_distral.experiments.two_rooms import PHASES, Results
from sb3_distral.experiments.two_rooms_claims import (
    N_RESAMPLES,
    Claim,
    crossing_ratio,
    crossings,
    difference,
    direction_margin,
    interval,
    sideways_probability,
    spread_difference,
    widening,
    window,
)
from sb3_distral.files import atomic_write

CLAIMS_FILE = "claims.md"
#: Ratio of the crossings of -5 in the paper's Figure 3, and that level.
PAPER_RATIO, PAPER_LEVEL = 2.4, -5.0
#: Returns whose crossings are listed; ``None``: that of separate learning at the end.
LEVELS = (None, PAPER_LEVEL, -4.0, -3.0, -2.0, -1.0)


def make_claims() -> list[Claim]:
    """
    :return: The claims, in the order of the table
    """
    claims = []
    for phase, name in enumerate(PHASES):
        on = f"on {name} tasks"
        ratio = f"Distral passes the return that separate learning reaches at the end {on} at least 2.4 times earlier"
        claims += [
            Claim(f"{ratio} (ratio of iterations)", partial(crossing_ratio, phase=phase), PAPER_RATIO),
            Claim(
                f"Distral passes −5 {on} at least 2.4 times earlier (ratio of iterations; the paper's level, which its "
                "own grid reaches halfway)",
                partial(crossing_ratio, phase=phase, level=PAPER_LEVEL),
                PAPER_RATIO,
            ),
            Claim(
                f"Distral learns faster {on} (mean return of all iterations, difference)",
                partial(difference, phase=phase, at_end=False),
                0.0,
            ),
            Claim(
                f"Distral ends higher {on} (return at the end, difference)",
                partial(difference, phase=phase, at_end=True),
                0.0,
            ),
        ]
    spread = "Distral is more stable (standard deviation between seeds on training tasks, difference)"
    sideways = "Up and down have together less than 5 % in π0 in the corridor (previous action left or right)"
    onwards = "π0 keeps the direction of travel in the corridor (its probability less the next likeliest)"
    return [
        *claims,
        Claim(spread, spread_difference, 0.0, is_above=False),
        Claim(sideways, sideways_probability, 0.05, is_above=False, unit=".1%"),
        Claim(onwards, direction_margin, 0.0, unit=".1%"),
    ]


def claims_text(results: Results) -> str:
    """
    :param results: Results
    :return: The page with all claims, in Markdown
    """
    n_seeds, n_iterations = len(results.seeds), results.returns.shape[-1]
    lines = [
        "# Two rooms: what the paper claims and what came out",
        "",
        f"{n_seeds} seeds, {n_iterations} iterations. Curves are means over seeds, smoothed over "
        f"{window(n_iterations)} iterations. A claim holds or does not hold where the whole interval is on one side of "
        "its bound, else it is undecided.",
        "",
        _interval_rule(n_seeds),
        "",
        "| claim | measured | 95 % interval | bound | verdict |",
        "|---|---:|---:|---:|---|",
    ]
    for claim in make_claims():
        ends = interval(results, claim.statistic)
        value, bound = (format(number, claim.unit) for number in (claim.statistic(results), claim.bound))
        between = "–" if np.isnan(ends).any() else " to ".join(format(end, claim.unit) for end in ends)
        sign = "≥" if claim.is_above else "≤"
        lines.append(f"| {claim.text} | {value} | {between} | {sign} {bound} | **{claim.verdict(*ends)}** |")
    return "\n".join([*lines, "", *crossing_lines(results), ""])


def _interval_rule(n_seeds: int) -> str:
    if n_seeds < 2:
        return "One seed says nothing about others: there are no intervals, and every claim is undecided."
    return (
        f"Intervals (95 %) are bootstrapped: all seeds are drawn anew, with replacement, {N_RESAMPLES} times. The "
        "distances of the 2.5 % and 97.5 % percentiles from the measured number are then widened by "
        f"√(n / (n − 1)) · t / 1.96 = {widening(n_seeds):.2f}, where n is the number of seeds and t that of a t test, "
        "since few seeds know their own spread badly."
    )


def crossing_lines(results: Results) -> list[str]:
    """
    :param results: Results
    :return: A table of the levels and of the iterations at which they are passed, in Markdown
    """
    lines = [
        "Iterations after which the smoothed curves pass a level; the first is that of separate learning at the end:",
        "",
        "| tasks | level | Distral | separate learning | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for phase, name in enumerate(PHASES):
        for level in LEVELS:
            value, *passed = crossings(results, phase, level)
            cells = ["never" if np.isinf(number) else f"{number:.0f}" for number in passed]
            lines.append(
                f"| {name} | {value:.2f} | {' | '.join(cells)} | {crossing_ratio(results, phase, level):.2f} |"
            )
    return lines


def write_claims(folder: Path, results: Results) -> None:
    """
    :param folder: Where the page goes
    :param results: Results
    """
    with atomic_write(folder / CLAIMS_FILE) as beside:
        beside.write_text(claims_text(results), encoding="utf-8")
