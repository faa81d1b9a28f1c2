"""What ``docs/suites.md`` says, against the code."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.pyplot import imread

from sb3_distral import tasks

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "suites.md").read_text(encoding="utf-8")


def test_pictures_are_those_that_the_code_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (block,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "imsave" in code)
    exec(block, {})
    for suite in tasks.GRID_SUITES:
        image = f"images/{suite}.png"
        assert f"]({image})" in PAGE
        np.testing.assert_array_equal(imread(tmp_path / "docs" / image), imread(DOCS / image))


def test_table_has_the_suites_with_their_lengths_of_observations() -> None:
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:1] == "|"]
    rows = {row[0]: row[1:] for row in table[:12]}
    assert rows[""] == [f"`{suite}`" for suite in tasks.GRID_SUITES]
    lengths = [int(text.split()[0]) for text in rows["observation"]]
    assert lengths == [suite([0]).observation_space.shape[0] for suite in tasks.GRID_SUITES.values()]
    n_tasks = [int(text.split()[0]) for text in rows["tasks"]]
    assert n_tasks == [suite.n_tasks for suite in tasks.GRID_SUITES.values()]
    ends = [int(re.findall(r"(\d+) steps", text)[0]) for text in rows["end of an episode"]]
    assert ends == [suite.max_episode_steps for suite in tasks.GRID_SUITES.values()]
