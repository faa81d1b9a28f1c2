"""What is measured of the learning curves and of π0, and its bootstrap over seeds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.common.bootstrap import Estimate, ends, widened, widening
from experiments.two_rooms.study import Results

Array = npt.NDArray[Any]
Statistic = Callable[[Results], float]

N_RESAMPLES = 2000
DISTRAL, SEPARATE = 0, 1
TRAINING, TEST = 0, 1
STAY, UP, DOWN, LEFT, RIGHT = range(5)


def window(n_iterations: int) -> int:
    """
    Say over how many iterations a smoothed curve averages.

    :param n_iterations: Length of a learning curve
    :return: A fiftieth of it
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


def _crossing(curve: Array, level: float) -> float:
    """Iterations after which the smoothed curve is first at the level or above; infinite if it never is."""
    above = smoothed(curve) >= level
    return float(np.argmax(above)) + window(len(curve)) if above.any() else np.inf


def _mean_curves(results: Results, phase: int) -> Array:
    """Mean learning curves over seeds, shape (methods, n_iterations)."""
    curves: Array = results.returns[:, :, phase].mean(axis=0, dtype=np.float64)
    return curves


def crossings(results: Results, phase: int, level: float | None = None) -> tuple[float, float, float]:
    """
    Find when both methods pass a level.

    :param results: Results
    :param phase: Training or test tasks
    :param level: A return; ``None``: that of separate learning at the end
    :return: The level, and after how many iterations Distral and separate learning pass it
    """
    distral, separate = _mean_curves(results, phase)
    level = float(smoothed(separate)[-1]) if level is None else level
    return level, _crossing(distral, level), _crossing(separate, level)


def crossing_ratio(results: Results, phase: int, level: float | None = None) -> float:
    """
    Compare when both methods pass a level.

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
    Compare the returns of both methods.

    :param results: Results
    :param phase: Training or test tasks
    :param at_end: Compare the end of learning instead of the mean over all of it
    :return: Return of Distral less that of separate learning
    """
    curves = _mean_curves(results, phase)
    scores = smoothed(curves)[:, -1] if at_end else curves.mean(axis=-1)
    return float(scores[DISTRAL] - scores[SEPARATE])


def spread_difference(results: Results) -> float:
    """
    Compare how much the seeds differ, on the training tasks.

    :param results: Results
    :return: Standard deviation between seeds, mean over learning: Distral less separate learning
    """
    spreads = smoothed(results.returns[:, :, TRAINING]).std(axis=0).mean(axis=-1)
    return float(spreads[DISTRAL] - spreads[SEPARATE])


def sideways_probability(results: Results) -> float:
    """
    Measure how likely π0 leaves the corridor sideways.

    :param results: Results
    :return: π0(up) + π0(down), mean over the corridor's cells and the previous actions left and right
    """
    return float(results.corridor[:, :, [LEFT, RIGHT]][..., [UP, DOWN]].sum(axis=-1).mean())


def direction_margin(results: Results) -> float:
    """
    Measure how clearly π0 keeps its direction in the corridor.

    :param results: Results
    :return: Probability that π0 goes on in the direction of travel less that of its likeliest other action, the smaller
        of left and right, mean over the corridor's cells
    """
    policy = results.corridor.mean(axis=(0, 1))
    margins = [policy[action, action] - np.delete(policy[action], action).max() for action in (LEFT, RIGHT)]
    return float(min(margins))


def estimated(results: Results, statistic: Statistic) -> Estimate:
    """
    Bootstrap over seeds: the statistic of seeds drawn with replacement, ``N_RESAMPLES`` times.

    :param results: Results
    :param statistic: A number of them
    :return: It, without an interval where it is NaN in any resample or there is one seed
    """
    value, n_seeds = statistic(results), len(results.seeds)
    if n_seeds < 2:
        return Estimate(value)
    rows = np.random.default_rng(0).integers(n_seeds, size=(N_RESAMPLES, n_seeds))
    samples = np.array([statistic(results.of(row)) for row in rows])
    low, high = ends(widened(samples, value, widening(n_seeds, n_seeds - 1)))
    return Estimate(value, float(low), float(high))


def band(curves: Array) -> Array:
    """
    Bootstrap the mean of curves, point by point.

    :param curves: A curve for each seed, shape (n_seeds, n_points)
    :return: Lower and upper end of its 95 % interval, shape (2, n_points)
    """
    n_seeds = len(curves)
    draws = np.random.default_rng(0).multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=N_RESAMPLES) / n_seeds
    return ends(widened(draws @ curves, curves.mean(axis=0), widening(n_seeds, n_seeds - 1)))
