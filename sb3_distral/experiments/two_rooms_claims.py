"""What the paper claims of Figure 3, measured: curves, crossings, intervals over seeds, and a table of verdicts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sb3_distral.checkpoint import atomic_write
from sb3_distral.experiments.two_rooms import PHASES, Results

Array = npt.NDArray[Any]
Statistic = Callable[[Results], float]

CLAIMS = "claims.md"
N_RESAMPLES = 2000
DISTRAL, SEPARATE = 0, 1
TRAINING, TEST = 0, 1
STAY, UP, DOWN, LEFT, RIGHT = range(5)
#: Ratio of the crossings of -5 in the paper's Figure 3, and that level.
PAPER_RATIO, PAPER_LEVEL = 2.4, -5.0
#: Returns whose crossings are listed; ``None``: that of separate learning at the end.
LEVELS = (None, PAPER_LEVEL, -4.0, -3.0, -2.0, -1.0)


class Claim(NamedTuple):
    """
    A claim that a number is above or below a bound.

    :param text: The claim
    :param statistic: Gives the number
    :param bound: The bound
    :param is_above: Whether the number should be above the bound, else below
    :param unit: How the number is printed, a format specification
    """

    text: str
    statistic: Statistic
    bound: float
    is_above: bool = True
    unit: str = ".2f"

    def verdict(self, low: float, high: float) -> str:
        """
        :param low: Lower end of the interval
        :param high: Upper end of the interval
        :return: "holds" or "does not hold" where the whole interval is on one side of the bound, else "undecided"
        """
        if low >= self.bound if self.is_above else high <= self.bound:
            return "holds"
        return "does not hold" if (high < self.bound if self.is_above else low > self.bound) else "undecided"


def window(n_iterations: int) -> int:
    """
    :param n_iterations: Length of a learning curve
    :return: Iterations that a smoothed curve averages over, a fiftieth of all
    """
    return max(1, n_iterations // 50)


def smoothed(curves: Array) -> Array:
    """
    Average each point with those before it, over :func:`window` iterations.

    :param curves: Shape (..., n_iterations)
    :return: Means that end with each iteration from the ``window``-th on, shape (..., n_iterations - window + 1)
    """
    width = window(curves.shape[-1])
    sums = np.cumsum(np.pad(curves, [(0, 0)] * (curves.ndim - 1) + [(1, 0)]), axis=-1, dtype=np.float64)
    means: Array = (sums[..., width:] - sums[..., :-width]) / width
    return means


def crossing(curve: Array, level: float) -> float:
    """
    :param curve: A learning curve, not smoothed, shape (n_iterations,)
    :param level: A return
    :return: Iterations after which the smoothed curve is first at the level or above; infinite if it never is
    """
    above = smoothed(curve) >= level
    return float(np.argmax(above)) + window(len(curve)) if above.any() else np.inf


def mean_curves(results: Results, phase: int) -> Array:
    """
    :param results: Results
    :param phase: Training or test tasks
    :return: Mean learning curves over seeds, shape (methods, n_iterations)
    """
    curves: Array = results.returns[:, :, phase].mean(axis=0, dtype=np.float64)
    return curves


def crossings(results: Results, phase: int, level: float | None = None) -> tuple[float, float, float]:
    """
    :param results: Results
    :param phase: Training or test tasks
    :param level: A return; ``None``: that of separate learning at the end
    :return: The level, and after how many iterations Distral and separate learning pass it
    """
    distral, separate = mean_curves(results, phase)
    level = float(smoothed(separate)[-1]) if level is None else level
    return level, crossing(distral, level), crossing(separate, level)


def crossing_ratio(results: Results, phase: int, level: float | None = None) -> float:
    """
    :param results: Results
    :param phase: Training or test tasks
    :param level: A return; ``None``: that of separate learning at the end
    :return: How many times earlier Distral passes the level: 0 if it never does, infinite if only it does, NaN if
        neither does
    """
    _, distral, separate = crossings(results, phase, level)
    if np.isinf(distral):
        return np.nan if np.isinf(separate) else 0.0
    return separate / distral


def difference(results: Results, phase: int, at_end: bool) -> float:
    """
    :param results: Results
    :param phase: Training or test tasks
    :param at_end: Compare the end of learning instead of the mean over all of it
    :return: Return of Distral less that of separate learning
    """
    curves = mean_curves(results, phase)
    scores = smoothed(curves)[:, -1] if at_end else curves.mean(axis=-1)
    return float(scores[DISTRAL] - scores[SEPARATE])


def spread_difference(results: Results) -> float:
    """
    :param results: Results
    :return: Standard deviation between seeds on the training tasks, mean over learning: Distral less separate learning
    """
    spreads = smoothed(results.returns[:, :, TRAINING]).std(axis=0).mean(axis=-1)
    return float(spreads[DISTRAL] - spreads[SEPARATE])


def sideways_probability(results: Results) -> float:
    """
    :param results: Results
    :return: π0(up) + π0(down), mean over the corridor's cells and the previous actions left and right
    """
    return float(results.corridor[:, :, [LEFT, RIGHT]][..., [UP, DOWN]].sum(axis=-1).mean())


def direction_margin(results: Results) -> float:
    """
    :param results: Results
    :return: Probability that π0 goes on in the direction of travel less that of its likeliest other action, the smaller
        of left and right, mean over the corridor's cells
    """
    policy = results.corridor.mean(axis=(0, 1))
    margins = [policy[action, action] - np.delete(policy[action], action).max() for action in (LEFT, RIGHT)]
    return float(min(margins))


def interval(results: Results, statistic: Statistic) -> tuple[float, float]:
    """
    Bootstrap over seeds: the statistic of the seeds drawn with replacement, ``N_RESAMPLES`` times.

    :param results: Results
    :param statistic: A number of them
    :return: 95 % interval by percentiles, NaN where the number is NaN in any resample
    """
    n_seeds = len(results.seeds)
    rows = np.random.default_rng(0).integers(n_seeds, size=(N_RESAMPLES, n_seeds))
    values = [statistic(results.of(row)) for row in rows]
    # A percentile between two values could be infinity less infinity.
    low, high = np.percentile(values, [2.5, 97.5], method="inverted_cdf")
    return float(low), float(high)


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
        f"{n_seeds} seeds, {n_iterations} iterations. Intervals: 95 %, percentile bootstrap over seeds ({N_RESAMPLES} "
        f"resamples). Curves are means over seeds, smoothed over {window(n_iterations)} iterations. A claim holds or "
        "does not hold where the whole interval is on one side of its bound, else it is undecided.",
        "",
        "| claim | measured | 95 % interval | bound | verdict |",
        "|---|---:|---:|---:|---|",
    ]
    for claim in make_claims():
        low, high = interval(results, claim.statistic)
        value, *ends, bound = (
            format(number, claim.unit) for number in (claim.statistic(results), low, high, claim.bound)
        )
        sign = "≥" if claim.is_above else "≤"
        lines.append(
            f"| {claim.text} | {value} | {ends[0]} to {ends[1]} | {sign} {bound} | **{claim.verdict(low, high)}** |"
        )
    return "\n".join([*lines, "", *crossing_lines(results), ""])


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
    with atomic_write(folder / CLAIMS) as beside:
        beside.write_text(claims_text(results), encoding="utf-8")
