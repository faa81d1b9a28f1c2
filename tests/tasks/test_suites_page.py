"""What ``docs/suites.md`` says, against the code."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.pyplot import imread

from experiments.likeness.optimum import best_returns
from sb3_distral import tasks
from sb3_distral.tasks.pendulums import draw_pendulum
from sb3_distral.tasks.suites import ArraySuite

DOCS = Path(__file__).parents[2] / "docs"
SUITES = {name: suite for name, suite in tasks.SUITES.items() if isinstance(suite, ArraySuite)}
PAGE = (DOCS / "suites.md").read_text(encoding="utf-8")


def test_pictures_are_those_that_the_code_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (block,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "imsave" in code)
    exec(block, {})
    for suite in SUITES:
        image = f"images/{suite}.png"
        assert f"]({image})" in PAGE
        np.testing.assert_array_equal(imread(tmp_path / "docs" / image), imread(DOCS / image))


def test_table_has_the_suites_with_their_lengths_of_observations() -> None:
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:1] == "|"]
    rows = {row[0]: row[1:] for row in table[:12]}
    assert rows[""] == [f"`{suite}`" for suite in SUITES]
    lengths = [int(text.split()[0]) for text in rows["observation"]]
    assert lengths == [suite.batch([0]).observation_space.shape[0] for suite in SUITES.values()]
    n_tasks = [int(text.split()[0]) for text in rows["tasks"]]
    assert n_tasks == [suite.n_tasks for suite in SUITES.values()]
    for text, suite in zip(rows["ids"], SUITES.values(), strict=True):
        assert text == f"`{suite.prefix}-0-v0` … `-{suite.n_tasks - 1}-v0`"
    assert [re.findall(r"\w+", text) for text in rows["arguments"]] == [
        sorted(suite.arguments) for suite in SUITES.values()
    ]
    ends = [int(re.findall(r"(\d+) steps", text)[0]) for text in rows["end of an episode"]]
    assert ends == [suite.max_episode_steps for suite in SUITES.values()]


def test_best_returns_of_grid_likeness() -> None:
    best = [best_returns(likeness) for likeness in (0, 0.25, 0.5, 0.75, 1)]
    rows = ("best policy of each task", "best policy for all tasks")
    for name, values in zip(rows, zip(*best, strict=True), strict=True):
        assert f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |" in PAGE


def test_table_has_the_masses_and_lengths_of_the_pendulums() -> None:
    rows = re.findall(r"\| pendulum-(\d) \| ([\d.]+) \| ([\d.]+) \|", PAGE)
    pendulums = [draw_pendulum(task) for task in range(8)]
    assert rows == [(str(task), f"{mass:.2f}", f"{length:.2f}") for task, (mass, length) in enumerate(pendulums)]
