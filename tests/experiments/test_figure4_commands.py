import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from sb3_distral.cli import main
from sb3_distral.cli.study import Figure4, Plot
from sb3_distral.experiments import rliable_statistics, runner, two_rooms, two_rooms_claims, two_rooms_figure
from sb3_distral.experiments.study import Run
from tests.experiments.synthetic import made_up, write_study_of


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rliable_statistics, "N_RESAMPLES", 40)
    # The default of run_study is bound when it is defined.
    monkeypatch.setattr(runner.run_study, "__defaults__", (1, "", made_up))


def figure_4(output: Path, **options: Any) -> Figure4:
    return Figure4(suite="grid-mazes", output=output, n_jobs=1, **options)


def test_study_runs_and_draws(quick: None, tmp_path: Path, capsys: Any) -> None:
    options = ["--algorithms", "A3C", "KL_2col", "--n-seeds", "2", "--timesteps", "12800", "--n-jobs", "1"]
    main(["study", "figure4", "--suite", "grid-mazes", "--output", str(tmp_path), *options])
    assert "36 of 36 runs" in capsys.readouterr().out
    assert {"study.json", "claims.md", "figure4.png", "runs"} <= {path.name for path in tmp_path.iterdir()}
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["kind"] == "figure4"
    assert record["study"]["timesteps"] == 12_800
    (made_by,) = record["commands"]
    assert made_by["machine"]["cores"] >= 1
    words = f"--output={tmp_path} --algorithms A3C KL_2col --timesteps=12800 --n-seeds=2 --n-jobs=1"
    assert made_by["command"] == f"sb3-distral study figure4 --suite=grid-mazes {words}"


def test_two_rooms_by_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for module, name, value in (
        (two_rooms, "LENGTH", 5),
        (two_rooms_claims, "N_RESAMPLES", 5),
        (two_rooms_figure, "N_RESAMPLES", 5),
    ):
        monkeypatch.setattr(module, name, value)
    folder, output = tmp_path / "study", tmp_path / "new"
    main(["study", "two-rooms", "--n-seeds", "1", "--first-seed", "4", "--n-iterations", "2", "--output", str(folder)])
    main(["plot", str(folder), "--output", str(output)])
    assert str(output / "two-rooms.png") in capsys.readouterr().out
    for name in ("two-rooms.png", "claims.md"):
        assert (folder / name).read_bytes() == (output / name).read_bytes()


def fail(run: Run) -> dict[str, Any]:
    raise RuntimeError("no luck")


def fail_with_seed_0(run: Run) -> dict[str, Any]:
    return made_up(run) if run.seed else fail(run)


def test_failed_runs_end_with_a_message_and_1(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for train, message, is_drawn in ((fail, "18 of 18 runs failed", False), (fail_with_seed_0, "9 of 18", True)):
        monkeypatch.setattr(runner.run_study, "__defaults__", (1, "", train))
        with pytest.raises(SystemExit, match=message):
            figure_4(tmp_path, algorithms=("A3C",), n_seeds=2).run()
        assert (tmp_path / "figure4.png").exists() == is_drawn
        if not is_drawn:
            with pytest.raises(ValueError, match=r"has ended well \(0 of 18 runs, 18 failed\)\. Read a traceback in"):
                Plot(folder=tmp_path).run()


def test_plot_needs_the_raw_results_alone(quick: None, tmp_path: Path) -> None:
    folder = write_study_of(tmp_path / "study", is_there=lambda run: run.seed == 0)
    main(["plot", str(folder), "--output", str(tmp_path / "new")])
    assert (tmp_path / "new" / "figure4.png").exists()
    assert not (folder / "figure4.png").exists()


@pytest.mark.parametrize("option", ["n_seeds", "n_jobs", "timesteps"])
def test_option_below_one_is_refused(option: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"suite": "grid-mazes", "output": tmp_path, option: 0}
    with pytest.raises(ValueError, match=f"--{option.replace('_', '-')} is 0"):
        Figure4(**options).run()


def test_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"study\.json"):
        Plot(folder=tmp_path).run()


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_experiments(name: str, *arguments: Any) -> Any:
        if name.startswith("sb3_distral.experiments"):
            raise ImportError("pip install sb3-distral[experiments]")
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_experiments)
    with pytest.raises(ValueError, match=r"pip install sb3-distral\[experiments\]"):
        Plot(folder=tmp_path).run()
