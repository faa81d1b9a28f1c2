"""The generated pages of the studies, against the results that they are made of."""

import re
from pathlib import Path
from typing import Any

import pytest

from experiments.common.store import read_done
from experiments.figure4.page import write_claims
from experiments.figure4.results import read_results
from experiments.figure4.study import Study as Figure4
from experiments.mazes.study import Study as Mazes
from experiments.transfer import page as transfer_page
from experiments.transfer.study import Study as Transfer
from experiments.transfer.study import read_results as read_transfer
from experiments.two_rooms.page import CLAIMS, claims_lines
from experiments.two_rooms.study import Study as TwoRooms
from experiments.two_rooms.study import read_results as read_two_rooms

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "results"
STUDIES: dict[str, tuple[Any, int]] = {
    "two-rooms": (TwoRooms, 10),
    "figure4/grid-mazes": (Figure4, 252),
    "figure4/grid-mazes-larger-costs": (Figure4, 32),
    "figure4/grid-navigation": (Figure4, 252),
    "figure4/grid-tag": (Figure4, 252),
    "mazes": (Mazes, 5),
    "transfer": (Transfer, 72),
}


@pytest.mark.parametrize("name", STUDIES)
def test_results_are_whole(name: str) -> None:
    kind, n_runs = STUDIES[name]
    study, outcomes = read_done(RESULTS / name, kind)
    assert outcomes.progress == f"{n_runs} of {n_runs} runs"
    assert set(outcomes.results) == set(study.runs)


def test_claims_about_two_rooms_are_those_of_the_results() -> None:
    page = (RESULTS / "two-rooms" / CLAIMS).read_text(encoding="utf-8")
    assert "\n".join(claims_lines(read_two_rooms(RESULTS / "two-rooms"))) + "\n" == page


@pytest.mark.parametrize("suite", ["grid-mazes", "grid-navigation", "grid-tag"])
def test_claims_of_figure_4_are_those_of_the_results(suite: str, tmp_path: Path) -> None:
    folder = RESULTS / "figure4" / suite
    write_claims(read_results(folder), tmp_path / "claims.md")
    assert (tmp_path / "claims.md").read_text(encoding="utf-8") == (folder / "claims.md").read_text(encoding="utf-8")


def test_claims_about_transfer_are_those_of_the_results() -> None:
    page = (RESULTS / "transfer" / transfer_page.PAGE).read_text(encoding="utf-8")
    assert "\n".join(transfer_page.claims_lines(read_transfer(RESULTS / "transfer"))) + "\n" == page


def test_numbers_about_transfer_are_those_of_the_claims() -> None:
    prose = (DOCS / "transfer.md").read_text(encoding="utf-8").split("## What came out")[1].split("## Why")[0]
    claims = (RESULTS / "transfer" / transfer_page.PAGE).read_text(encoding="utf-8")
    numbers = re.findall(r"\d+\.\d+", prose)
    assert numbers and [number for number in numbers if not re.search(rf"\b{re.escape(number)}\b", claims)] == []
