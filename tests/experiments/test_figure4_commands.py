import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic import made_up, write_study_of

from experiments.common.command import main
from experiments.figure4 import __main__ as command
from experiments.figure4 import aggregates
from experiments.figure4.figures import draw_study
from experiments.figure4.study import Run


def figure4(*args: str) -> None:
    main(command.Figure4, draw_study, args)


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """What does a run: made-up results, unless set otherwise; statistics are quick."""
    monkeypatch.setattr(aggregates, "N_RESAMPLES", 40)
    monkeypatch.setattr(command, "train_run", made_up)
    return lambda work: monkeypatch.setattr(command, "train_run", work)


@pytest.mark.usefixtures("train")
def test_run_and_draw(tmp_path: Path, capsys: Any) -> None:
    options = ["--algorithms", "A3C", "KL_2col", "--n-seeds", "2", "--timesteps", "12800", "--n-jobs", "1"]
    figure4("run", "--suite", "grid-mazes", "--output", str(tmp_path), *options)
    assert "36 of 36 runs" in capsys.readouterr().out
    assert {"study.json", "claims.md", "figure4.png", "runs"} <= {path.name for path in tmp_path.iterdir()}
    record = json.loads((tmp_path / "study.json").read_text())
    assert (record["kind"], record["study"]["timesteps"]) == ("figure4", 12_800)
    (made_by,) = record["commands"]
    words = f"--output={tmp_path} --suite=grid-mazes --algorithms A3C KL_2col --n-seeds=2 --timesteps=12800 --n-jobs=1"
    assert made_by["command"] == f"python -m experiments.figure4 run {words}"


def fail(run: Run) -> dict[str, Any]:
    raise RuntimeError("no luck")


def fail_with_seed_0(run: Run) -> dict[str, Any]:
    return made_up(run) if run.seed else fail(run)


def test_failed_runs_end_with_a_message_and_1(train: Callable[[Any], None], tmp_path: Path, capsys: Any) -> None:
    options = ["--suite", "grid-mazes", "--output", str(tmp_path), "--algorithms", "A3C", "--n-seeds", "2"]
    for work, message, is_drawn in ((fail, "18 of 18 runs failed", False), (fail_with_seed_0, "9 of 18", True)):
        train(work)
        with pytest.raises(SystemExit, match=message):
            figure4("run", *options, "--n-jobs", "1")
        assert (tmp_path / "figure4.png").exists() == is_drawn
        if not is_drawn:
            with pytest.raises(SystemExit) as end:
                figure4("draw", str(tmp_path))
            assert end.value.code == 2
            assert "has ended well (0 of 18 runs, 18 failed). Read a traceback in" in capsys.readouterr().err


@pytest.mark.usefixtures("train")
def test_draw_needs_the_raw_results_alone(tmp_path: Path) -> None:
    folder = write_study_of(tmp_path / "study", is_there=lambda run: run.seed == 0)
    figure4("draw", str(folder), "--output", str(tmp_path / "new"))
    assert (tmp_path / "new" / "figure4.png").exists()
    assert not (folder / "figure4.png").exists()


@pytest.mark.parametrize("option", ["n-seeds", "n-jobs", "timesteps"])
def test_option_below_one_is_refused(option: str, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        figure4("run", "--suite", "grid-mazes", "--output", str(tmp_path / "new"), f"--{option}", "0")
    assert end.value.code == 2 and not (tmp_path / "new").exists()
    assert f"--{option} is 0, expected at least 1" in capsys.readouterr().err


def interrupt(run: Run) -> dict[str, Any]:
    raise KeyboardInterrupt


def test_interruption_ends_with_130_and_advice(train: Callable[[Any], None], tmp_path: Path, capsys: Any) -> None:
    train(interrupt)
    with pytest.raises(SystemExit) as end:
        figure4("run", "--suite", "grid-mazes", "--output", str(tmp_path), "--n-jobs", "1")
    assert end.value.code == 130
    assert "The same command goes on where it stopped" in capsys.readouterr().err


def test_mistakes_of_the_program_keep_their_traceback(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of another library"):
        main(command.Figure4, raise_value_error, ["draw", str(tmp_path)])


def raise_value_error(folder: Path, output: Path) -> str:
    raise ValueError("of another library")
