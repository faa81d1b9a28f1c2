"""What docs/security.md says, against the code."""

import re
from pathlib import Path

import pytest

from sb3_distral.algorithms.saving import LARGEST_RATIO
from sb3_distral.envs.names import LONGEST_NAME
from sb3_distral.envs.space_json import LARGEST_SPACE
from sb3_distral.policies.archive import LONGEST
from sb3_distral.policies.saving import MOST_COLUMNS
from sb3_distral.policies.vocabulary import MOST_LAYERS

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")


def test_python_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(block.replace("1_000", "80"), {})
    assert (tmp_path / "mazes.zip").exists()


def test_limits_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    for words in (
        f"at most {LONGEST // 2**20} MiB",
        f"at most {LARGEST_SPACE:,} numbers or choices".replace(",", " "),
        f"at most {MOST_COLUMNS} tasks with networks of at most {MOST_LAYERS} layers",
        f"no more than {LARGEST_RATIO} times its size",
        f"1 to {LONGEST_NAME} printable characters",
    ):
        assert words in text
