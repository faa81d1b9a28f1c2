import os
from pathlib import Path

import pytest

from sb3_distral.files import atomic_write


def test_two_processes_that_write_one_file_leave_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    with atomic_write(path) as first:
        first.write_text("first")
        with monkeypatch.context() as other_process:
            other_process.setattr(os, "getpid", lambda: 0)
            with atomic_write(path) as second:
                second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
