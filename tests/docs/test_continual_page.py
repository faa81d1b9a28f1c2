"""The example of docs/continual.md, and its numbers against the claims."""

import re
from pathlib import Path

import pytest

from experiments.continual import page as continual_page
from experiments.continual.study import read_results

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "continual.md").read_text(encoding="utf-8")
RESULTS = DOCS / "results" / "continual"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(block.replace("64_000", "320").replace('"grid-mazes", 16', '"grid-mazes", 2'), names)
    model = names["model"]
    assert model.task_names == ["maze-6", "maze-7"] and model.num_timesteps == 5 * 320  # type: ignore[attr-defined]


def test_claims_are_those_of_the_results() -> None:
    claims = (RESULTS / continual_page.PAGE).read_text(encoding="utf-8")
    assert "\n".join(continual_page.claims_lines(read_results(RESULTS))) + "\n" == claims


def test_numbers_are_those_of_the_claims() -> None:
    prose = PAGE.split("continual.png)")[1]
    claims = (RESULTS / continual_page.PAGE).read_text(encoding="utf-8")
    numbers = re.findall(r"\d+\.\d+", prose)
    assert numbers and [number for number in numbers if not re.search(rf"\b{re.escape(number)}\b", claims)] == []
