import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from sb3_distral.cli.study import Figure4, Plot
from sb3_distral.experiments import runner, statistics
from tests.experiments.synthetic import made_up, write_study_of


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "N_RLIABLE_RESAMPLES", 40)
    # The default of run_study is bound when it is defined.
    monkeypatch.setattr(runner.run_study, "__defaults__", (1, "", made_up))


def figure_4(output: Path, **options: Any) -> Figure4:
    return Figure4(suite="grid-mazes", output=output, n_jobs=1, **options)


def test_study_runs_and_draws(quick: None, tmp_path: Path, capsys: Any) -> None:
    figure_4(tmp_path, algorithms=("A3C", "KL_2col"), n_seeds=2, timesteps=5000).run()
    assert "36 of 36 runs" in capsys.readouterr().out
    assert {"study.json", "claims.md", "figure4.png", "runs"} <= {path.name for path in tmp_path.iterdir()}
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["kind"] == "figure4"
    assert record["study"]["timesteps"] == 5000
    assert record["machine"]["cores"] >= 1
    options = f"--output={tmp_path} --algorithms A3C KL_2col --timesteps=5000 --n-seeds=2 --n-jobs=1"
    assert record["command"] == f"sb3-distral study figure4 --suite=grid-mazes {options}"


def test_plot_needs_the_raw_results_alone(quick: None, tmp_path: Path) -> None:
    folder = write_study_of(tmp_path / "study", is_there=lambda run: run.seed == 0)
    Plot(folder=folder, output=tmp_path / "new").run()
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
