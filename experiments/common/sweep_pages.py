"""Figure and tables of a study of algorithms along an axis."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.common.claims import interval_text, number_text
from experiments.common.pages import STYLES, table
from experiments.common.sweeps import Place, Sweep

#: What is said of intervals and verdicts.
HOW_JUDGED = (
    "Intervals (95 %) are t intervals over seeds; two algorithms are compared seed by seed. A number holds if its "
    "interval lies on the claimed side of the bound, does not hold if it lies on the other, and is undecided "
    "otherwise. A claim holds if all its numbers do. It does not hold if one does not, in an interval so much wider "
    "that all numbers of the claim are in theirs with 95 % (Bonferroni)."
)


def draw_panel(
    axis: Any, results: Sweep, measure: str, places: Mapping[float, float], without: Sequence[str] = ()
) -> None:
    """
    Draw a number of all algorithms along the axis, with intervals.

    :param axis: Where to draw
    :param results: Results
    :param measure: What is measured
    :param places: Where in the picture each value is
    :param without: Algorithms that are left out
    """
    shown = [name for name in results.algorithms if name not in without]
    width = max(places.values()) - min(places.values())
    for order, name in enumerate(shown):
        # Beside one another, so that intervals do not hide one another.
        shift = 0.008 * width * (order - (len(shown) - 1) / 2)
        found = [results.estimate(measure, Place(value, name)) for value in results.values]
        middles = [estimate.value for estimate in found]
        reach = [estimate.high - estimate.value for estimate in found]
        at = [places[value] + shift for value in results.values]
        axis.errorbar(at, middles, reach, label=name, linewidth=1.8, elinewidth=1, markersize=5, **STYLES[name])
    axis.grid(alpha=0.25)


def numbers_table(results: Sweep, measure: str, column: str, without: Sequence[str] = ()) -> list[str]:
    """
    List a number of all algorithms.

    :param results: Results
    :param measure: What is measured
    :param column: What stands before each value of the axis
    :param without: Algorithms that are left out
    :return: Lines of the table, in Markdown
    """
    rows = []
    for name in results.algorithms:
        if name in without:
            continue
        found = [results.estimate(measure, Place(value, name)) for value in results.values]
        rows.append([name, *(f"{number_text(own.value)} {interval_text(own)}" for own in found)])
    columns = ["algorithm", *(f"{column} {value:g}" for value in results.values)]
    return table(columns, rows, right=range(1, len(columns)))
