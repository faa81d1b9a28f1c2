"""What docs/metaworld.md says, against the results."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "examples"))

pytest.importorskip("matplotlib", reason="the extra experiments is not installed")

from metaworld_report import table  # noqa: E402
from metaworld_tasks import TASKS  # noqa: E402

PAGE = (ROOT / "docs" / "metaworld.md").read_text(encoding="utf-8")
RESULTS = json.loads((ROOT / "docs" / "results" / "metaworld" / "results.json").read_text(encoding="utf-8"))


def test_the_table_is_that_of_the_results() -> None:
    assert list(RESULTS["success"]["task"]) == list(TASKS)
    assert table(RESULTS) in PAGE


def test_the_steps_are_those_of_the_results() -> None:
    assert f"{RESULTS['timesteps']:,} steps".replace(",", " ") in PAGE
    assert f"{RESULTS['evaluation_episodes']} episodes" in PAGE
