"""Pages and pictures of a study, and how algorithms look in all of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.common.claims import Claim, ResultsT
from sb3_distral.files import atomic_write

#: Colour (of Okabe and Ito's, which colour-blind readers tell apart), line and marker by algorithm.
STYLES: dict[str, dict[str, Any]] = {
    "KL+ent_2col": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
    "KL_2col": {"color": "#0072B2", "linestyle": "-", "marker": "s"},
    "KL+ent_1col": {"color": "#E69F00", "linestyle": "-", "marker": "^"},
    "KL_1col": {"color": "#56B4E9", "linestyle": "-", "marker": "v"},
    "A3C_2col": {"color": "#CC79A7", "linestyle": "--", "marker": "D"},
    "A3C": {"color": "#000000", "linestyle": "--", "marker": "X"},
    "A3C_multitask": {"color": "#009E73", "linestyle": "--", "marker": "P"},
}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """
    Make a table in Markdown.

    :param columns: Names of the columns
    :param rows: Cells of each row
    :param right: Indices of the columns that stand to the right
    :return: Its lines
    """
    to_the_right = set(right)
    rule = "".join("|---:" if column in to_the_right else "|---" for column in range(len(columns)))
    head, *body = (f"| {' | '.join(cells)} |" for cells in (columns, *rows))
    return [head, f"{rule}|", *body]


def claims_table(claims: Iterable[Claim[ResultsT]], results: ResultsT) -> list[str]:
    """
    Judge claims in a table.

    :param claims: Claims whose numbers have a ``text``
    :param results: Results of the study
    :return: Lines of the table, in Markdown
    """
    rows = []
    for claim in claims:
        judgement = claim.judge(results)
        texts = [str(getattr(number, "text")) for number in claim.numbers]  # noqa: B009 (numbers are callables)
        rows.append([claim.text, "", claim.bound_text, "", "", f"**{judgement.verdict}**"])
        rows += [["", text, "", *row] for text, row in zip(texts, judgement.rows, strict=True)]
    return table(["claim", "number", "bound", "measured", "95 % interval", "verdict"], rows, right=(2, 3, 4))


def write_page(path: Path, lines: Iterable[str]) -> None:
    """
    Write a page.

    :param path: File
    :param lines: Its lines
    """
    with atomic_write(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_figure(path: Path, figure: Figure, dpi: int = 110) -> None:
    """
    Write a picture.

    :param path: File, ``.png``
    :param figure: The figure
    :param dpi: Pixels to the inch
    """
    with atomic_write(path) as beside:
        FigureCanvasAgg(figure).print_figure(str(beside), format="png", dpi=dpi)
