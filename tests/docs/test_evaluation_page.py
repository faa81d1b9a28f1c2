"""What docs/evaluation.md shows can be done."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def test_python_block_runs_and_gives_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    block = block.replace("eval_freq=1_000", "eval_freq=10, n_eval_episodes=1").replace("500_000", "640")
    exec(block, {})
    files = [name for cell in re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE) for name in cell.split(", ")]
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "logs" / name.strip("`").replace("<task>", "maze-1")).exists()
