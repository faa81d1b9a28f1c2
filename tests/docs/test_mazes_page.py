"""What docs/mazes.md says, against the results."""

import re
from pathlib import Path

import numpy as np

from experiments.mazes.page import TABLE, returns_lines
from experiments.mazes.study import read_results

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "results" / "mazes"
PAGE = (DOCS / "mazes.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_results() -> None:
    table = "\n".join(returns_lines(read_results(RESULTS))) + "\n"
    assert (RESULTS / TABLE).read_text(encoding="utf-8") == table
    assert table in PAGE


def test_the_steps_of_all_runs_are_those_of_the_page() -> None:
    trained = [own for own in read_results(RESULTS).values() if "evaluations" in own]
    assert len(trained) == 4 and all(own["timesteps"] >= 1_000_000 for own in trained)
    assert [own["begun_at"] for own in trained if len(own["begun_at"]) > 1] == [[0, 960_640]] and "960 640" in PAGE


def test_when_a_return_of_40_is_passed() -> None:
    found = re.findall(r"(\S+) after ([\d ]+\d)\b", re.findall(r"A return of 40 is passed by (.*?)\.", PAGE, re.S)[0])
    assert len(found) == 3
    results = read_results(RESULTS)
    for name, steps in found:
        evaluations = results[name]["evaluations"]
        above = [own["timesteps"] for own in evaluations if np.mean(list(own["tasks"].values())) > 40]
        assert round(above[0], -4) == int(steps.replace(" ", "")), name
