"""The generated pages of the studies, against the results that they are made of."""

import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.store import read_done
from experiments.continual.study import Study as Continual
from experiments.costs import page as costs_page
from experiments.costs.study import Study as Costs
from experiments.costs.study import read_results as read_costs
from experiments.families import page as families_page
from experiments.families.study import Study as Families
from experiments.families.study import read_results as read_families
from experiments.figure4.page import write_claims
from experiments.figure4.results import read_results
from experiments.figure4.study import Study as Figure4
from experiments.likeness import page as likeness_page
from experiments.likeness.study import Study as Likeness
from experiments.likeness.study import read_results as read_likeness
from experiments.mazes.study import Study as Mazes
from experiments.scales import page as scales_page
from experiments.scales.study import Study as Scales
from experiments.scales.study import read_results as read_scales
from experiments.scaling import page as scaling_page
from experiments.scaling.optimum import best_mean_return
from experiments.scaling.study import Study as Scaling
from experiments.scaling.study import read_results as read_scaling
from experiments.transfer import page as transfer_page
from experiments.transfer.study import Study as Transfer
from experiments.transfer.study import read_results as read_transfer
from experiments.two_rooms.page import CLAIMS, claims_lines
from experiments.two_rooms.study import Study as TwoRooms
from experiments.two_rooms.study import read_results as read_two_rooms
from experiments.view import page as view_page
from experiments.view.study import Study as View
from experiments.view.study import read_results as read_view
from experiments.warm_start import page as warm_start_page
from experiments.warm_start.study import Study as WarmStart
from experiments.warm_start.study import read_results as read_warm_start
from sb3_distral.tasks.grids.mazes import make_maze

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "results"
TRANSFERS = ["transfer", "transfer-navigation", "transfer-two-rooms"]
STUDIES: dict[str, tuple[Any, int]] = {
    "two-rooms": (TwoRooms, 10),
    "figure4/grid-mazes": (Figure4, 126),
    "figure4/grid-mazes-larger-costs": (Figure4, 16),
    "figure4/grid-navigation": (Figure4, 126),
    "figure4/grid-tag": (Figure4, 126),
    "mazes": (Mazes, 5),
    "transfer": (Transfer, 72),
    "transfer-two-rooms": (Transfer, 56),
    "transfer-navigation": (Transfer, 35),
    "warm-start": (WarmStart, 48),
    "scaling": (Scaling, 105),
    "scaling-256": (Scaling, 14),
    "likeness": (Likeness, 150),
    "costs": (Costs, 192),
    "costs-kl-alone": (Costs, 32),
    "scales": (Scales, 64),
    "continual": (Continual, 10),
    "families": (Families, 48),
    "families-longer": (Families, 96),
    "view": (View, 16),
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


@pytest.mark.parametrize("name", ["transfer", "transfer-two-rooms", "transfer-navigation"])
def test_claims_about_transfer_are_those_of_the_results(name: str) -> None:
    page = (RESULTS / name / transfer_page.PAGE).read_text(encoding="utf-8")
    assert "\n".join(transfer_page.claims_lines(read_transfer(RESULTS / name))) + "\n" == page


def test_claims_about_warm_starts_are_those_of_the_results() -> None:
    page = (RESULTS / "warm-start" / warm_start_page.PAGE).read_text(encoding="utf-8")
    assert "\n".join(warm_start_page.claims_lines(read_warm_start(RESULTS / "warm-start"))) + "\n" == page


@pytest.mark.parametrize(
    ("page", "name"),
    [("learners", "warm-start"), ("transfer", "transfer-two-rooms"), ("transfer", "transfer-navigation")],
)
def test_numbers_between_marks_are_those_of_the_claims(page: str, name: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    prose = text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    claims = (RESULTS / name / "claims.md").read_text(encoding="utf-8")
    numbers = re.findall(r"[-−]?\d+\.\d+", prose)
    assert numbers and [number for number in numbers if not found_in(number.replace("−", "-"), claims)] == []


def test_claims_about_the_number_of_tasks_are_those_of_the_results() -> None:
    page = (RESULTS / "scaling" / scaling_page.PAGE).read_text(encoding="utf-8")
    assert "\n".join(scaling_page.claims_lines(*read_scaling(RESULTS / "scaling"))) + "\n" == page


def test_claims_about_likeness_are_those_of_the_results() -> None:
    page = (RESULTS / "likeness" / likeness_page.PAGE).read_text(encoding="utf-8")
    assert "\n".join(likeness_page.claims_lines(*read_likeness(RESULTS / "likeness"))) + "\n" == page


def test_claims_about_families_are_those_of_the_results() -> None:
    for name in ("families", "families-longer"):
        page = (RESULTS / name / families_page.PAGE).read_text(encoding="utf-8")
        assert "\n".join(families_page.claims_lines(read_families(RESULTS / name))) + "\n" == page


@pytest.mark.parametrize(
    ("page", "of"),
    [
        ("transfer", ["transfer"]),
        ("scaling", ["scaling"]),
        ("likeness", ["likeness"]),
        ("families", ["families", "families-longer"]),
        ("when", [*TRANSFERS, "scaling", "likeness", "scales", "figure4/grid-mazes"]),
    ],
)
def test_numbers_about_what_came_out_are_those_of_the_claims(page: str, of: list[str]) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    prose = text if page == "when" else text.split("## What came out")[1].split("\n## ")[0]
    claims = " ".join((RESULTS / name / "claims.md").read_text(encoding="utf-8") for name in of)
    numbers = re.findall(r"[-−]?\d+\.\d+", prose)
    assert numbers and [number for number in numbers if not found_in(number.replace("−", "-"), claims)] == []


def test_numbers_under_the_first_figure_of_the_readme_are_those_of_the_claims() -> None:
    prose = (DOCS.parent / "README.md").read_text(encoding="utf-8").split("scaling.png)")[1].split("\n## ")[0]
    numbers = re.findall(r"\d+\.\d+", prose)
    claims = (RESULTS / "scaling" / scaling_page.PAGE).read_text(encoding="utf-8")
    assert len(numbers) == 4 and all(found_in(number, claims) for number in numbers)


def found_in(number: str, text: str) -> bool:
    """Whether the whole number is there, and not as a part of another."""
    return re.search(rf"(?<![\d.-]){re.escape(number)}(?!\d)", text) is not None


def test_claims_about_costs_and_scales_are_those_of_the_results() -> None:
    scales = (RESULTS / "scales" / "claims.md").read_text(encoding="utf-8")
    for name in ("costs", "costs-kl-alone"):
        costs = (RESULTS / name / "claims.md").read_text(encoding="utf-8")
        assert "\n".join(costs_page.claims_lines(read_costs(RESULTS / name))) + "\n" == costs
    assert "\n".join(scales_page.claims_lines(read_scales(RESULTS / "scales"))) + "\n" == scales


@pytest.mark.parametrize("name", ["costs", "costs-kl-alone", "scales"])
def test_numbers_about_costs_and_scales_are_those_of_the_claims(name: str) -> None:
    page = (DOCS / "costs.md").read_text(encoding="utf-8")
    prose = re.split(r"\n## |<!--", page.split(f"<!-- {name} -->")[1])[0]
    claims = (RESULTS / name / "claims.md").read_text(encoding="utf-8")
    numbers = re.findall(r"\d+\.\d+", prose)
    assert numbers and [number for number in numbers if not re.search(rf"\b{re.escape(number)}\b", claims)] == []


def test_claims_and_numbers_about_the_view_are_those_of_the_results() -> None:
    page = (RESULTS / "view" / view_page.PAGE).read_text(encoding="utf-8")
    assert "\n".join(view_page.claims_lines(read_view(RESULTS / "view"))) + "\n" == page
    prose = (DOCS / "transfer.md").read_text(encoding="utf-8").split("All numbers are from")[1].split("![Returns")[0]
    numbers = re.findall(r"\d+\.\d\d\b", prose)
    assert numbers and [number for number in numbers if number not in page] == []


def test_what_figure_4_says_about_the_mazes() -> None:
    page = (DOCS / "figure4.md").read_text(encoding="utf-8")
    mazes = [make_maze(task) for task in range(8)]
    assert f"{best_mean_return(8, maze_seed=0):.2f} is the return" in page
    seen = Counter(cell.tobytes() for maze in mazes for cell in maze.features)
    assert round(10 * np.mean([n == 1 for n in seen.values()])) == 9


def test_final_returns_on_the_page_of_figure_4_are_those_of_the_results() -> None:
    page = " ".join((DOCS / "figure4.md").read_text(encoding="utf-8").split())
    results = read_results(RESULTS / "figure4" / "grid-mazes")

    def finals(name: str, rate: float, *costs: float) -> list[str]:
        places = [place for place, setting in enumerate(results.study.settings) if setting in product(costs, [rate])]
        return [f"{final:.2f}" for final in sorted(results.algorithms[name].final[places].mean(axis=-1).flatten())]

    costs = results.study.entropy_costs
    *most, last = finals("KL_2col", 0.008, *costs)
    assert f"of the six runs are {', '.join(most)} and {last}" in page
    entropic = finals("KL+ent_2col", 0.008, *costs)
    assert f"KL+ent_2col lie between {min(entropic, key=float)} and {max(entropic, key=float)}" in page
    assert f"two seeds end at {' and '.join(finals('KL_2col', 0.004, 0.01))} now" in page


def test_levels_on_the_page_of_two_rooms_are_those_of_the_claims() -> None:
    page = " ".join((DOCS / "two-rooms.md").read_text(encoding="utf-8").split())
    (row,) = re.findall(
        r"\| training \| -2\.00 \| \d+ \| (\d+) \| (\S+) \|", (RESULTS / "two-rooms" / CLAIMS).read_text()
    )
    assert f"At −2, which separate learning passes here after {row[0]} iterations, it is {row[1]}." in page


def test_readme_says_of_transfer_what_the_claims_say() -> None:
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    claims = (RESULTS / "transfer" / transfer_page.PAGE).read_text(encoding="utf-8")
    two, four = (
        re.findall(rf"steps to {level}: frozen-then-on / KL\+ent_2col \|  \| (\S+) \|", claims)[0] for level in (2, 4)
    )
    assert f"a return of 2 takes {two} times the steps of learning from nothing, a return of 4 {four} times" in readme
