"""What an evaluation gave, as a picture: a bar for each policy in each task, with intervals."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from sb3_distral.files import atomic_write
from sb3_distral.runs.evaluating import DISTILLED_POLICY, TASK_POLICY, Evaluation

BARS = "returns.png"
#: Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = {TASK_POLICY: "#0072B2", DISTILLED_POLICY: "#E69F00"}
OTHER_COLOURS = ("#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#6E6E6E")
N_RESAMPLES = 2_000
MEAN_OF_TASKS = "mean of tasks"


class Interval(NamedTuple):
    """
    A mean and its 95 % interval.

    :param mean: The mean
    :param low: Lower end
    :param high: Upper end
    """

    mean: float
    low: float
    high: float


def mean_intervals(returns: dict[str, list[float]]) -> dict[str, Interval]:
    """
    Bootstrap the mean return of every task and the mean of the tasks over episodes; seeds of trainings are not in it.

    :param returns: Returns by task
    :return: Intervals by task, and of the mean of the tasks
    """
    generator = np.random.default_rng(0)
    means, samples = [], []
    for values in returns.values():
        n = len(values)
        mean = np.mean(values)
        resampled = generator.choice(values, (N_RESAMPLES, n)).mean(axis=1)
        # Means of n drawn values vary (n - 1) / n as much as they should.
        samples.append(mean + (resampled - mean) * np.sqrt(n / max(1, n - 1)))
        means.append(mean)
    rows = [*zip(means, samples, strict=True), (np.mean(means), np.mean(samples, axis=0))]
    intervals = [Interval(float(mean), *np.quantile(sample, (0.025, 0.975)).tolist()) for mean, sample in rows]
    return dict(zip([*returns, MEAN_OF_TASKS], intervals, strict=True))


def draw_returns(evaluation: Evaluation) -> Figure:
    """
    Draw a bar for each policy in each task, and below them for the mean of the tasks.

    :param evaluation: What was measured
    :return: The figure, the higher the more tasks there are
    """
    policies = {policy: mean_intervals(returns) for policy, returns in evaluation.returns.items()}
    names = list(next(iter(policies.values())))
    places = np.arange(len(names), dtype=float)
    places[-1] += 0.4  # a gap before the mean of the tasks
    thickness = 0.8 / len(policies)
    figure = Figure(figsize=(7, 1.4 + 0.16 * len(names) * (1 + len(policies))), layout="constrained")
    axes = figure.subplots()
    for row, (policy, intervals) in enumerate(policies.items()):
        own = np.array([intervals[name] for name in names])
        axes.barh(
            places - 0.4 + thickness * (row + 0.5),
            own[:, 0],
            thickness,
            xerr=np.clip([own[:, 0] - own[:, 1], own[:, 2] - own[:, 0]], 0, None),
            color=COLOURS.get(policy, OTHER_COLOURS[row % len(OTHER_COLOURS)]),
            error_kw={"elinewidth": 1, "ecolor": "black"},
            label=policy,
        )
    axes.set_yticks(places, names)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"mean return of {evaluation.n_episodes} episodes, 95 % bootstrap interval over episodes")
    figure.legend(loc="outside upper center", ncols=len(policies), frameon=False)
    return figure


def write_returns(evaluation: Evaluation, folder: Path) -> Path:
    """
    Write the bars into a file.

    :param evaluation: What was measured
    :param folder: Where to
    :return: The file
    """
    with atomic_write(folder / BARS) as beside:
        draw_returns(evaluation).savefig(beside, format="png", dpi=100)
    return folder / BARS
