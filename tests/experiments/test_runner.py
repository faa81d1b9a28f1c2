import json
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joblib import parallel_config
from tqdm import tqdm

from sb3_distral.experiments import runner
from sb3_distral.experiments.results import read_results
from sb3_distral.experiments.run_files import commands, read_run, read_study, run_path
from sb3_distral.experiments.runner import run_study
from sb3_distral.experiments.study import Run, Study
from sb3_distral.experiments.training import N_BINS, train_run
from tests.experiments.synthetic import made_up

TINY = Study(
    "two-rooms", ("A3C", "KL+ent_2col"), (0.01,), (1e-3, 2e-3), 2, timesteps=800, n_envs_per_task=1, n_evaluations=1
)


def contents(folder: Path) -> dict[str, Any]:
    """Return everything in the files of the runs that does not depend on the clock."""
    # A process that was killed while it wrote leaves a part of a file beside them.
    found = {path.name: json.loads(path.read_text()) for path in folder.glob("runs/*.json")}
    for content in found.values():
        del content["checksum"], content["results"]["timing"]
    return found


def kill_when(process: Any, folder: Path, n_files: int) -> None:
    # Generous: a busy machine takes its time to start a process.
    deadline = time.monotonic() + 600
    while len(list(folder.glob("runs/*.json"))) < n_files:
        assert time.monotonic() < deadline and process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run_study(TINY, folder, n_jobs=2)
    return folder


def test_interrupted_study_ends_as_the_uninterrupted(uninterrupted: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run_study, args=(TINY, tmp_path, 1))
    process.start()
    kill_when(process, tmp_path, 3)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.json")}
    assert 3 <= len(before) < 8
    run_study(TINY, tmp_path, n_jobs=1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(tmp_path) == contents(uninterrupted)
    assert len(contents(tmp_path)) == 8


def test_files_of_a_true_study(uninterrupted: Path) -> None:
    content = read_run(uninterrupted, TINY.runs[0])
    assert content is not None
    assert {"python", "torch", "sb3-distral"} <= set(content["versions"])
    assert run_path(uninterrupted, TINY.runs[0]).stat().st_size < 5000
    assert read_results(uninterrupted).progress == "8 of 8 runs"


def test_results_of_a_run() -> None:
    run = replace(TINY.runs[0], suite="grid-mazes", timesteps=1600, n_evaluations=2)
    results = train_run(run)
    assert len(results["tasks"]) == len(results["curves"]) == len(results["distilled_unseen"]) == 8
    assert {len(curve) for curve in results["curves"]} == {N_BINS}
    assert [len(returns) for returns in results["distilled_curves"]] == [8, 8]
    assert results["timing"]["steps_per_second"] > 0


@pytest.mark.parametrize("damage", [lambda text: text[:100], lambda text: text.replace("0.", "1.", 1), lambda text: ""])
def test_damaged_file_is_reported_and_the_run_repeated(damage: Any, tmp_path: Path, capsys: Any) -> None:
    run_study(TINY, tmp_path, 1, train=made_up)
    path = run_path(tmp_path, TINY.runs[3])
    whole = path.read_text()
    path.write_text(damage(whole))
    assert path.read_text() != whole
    assert read_results(tmp_path).damaged == [TINY.runs[3].key]
    run_study(TINY, tmp_path, 1, train=made_up)
    assert f"{path} is damaged" in capsys.readouterr().out
    assert path.read_text() == whole


def fail_for_a3c(run: Run) -> dict[str, Any]:
    if run.algorithm == "A3C" and run.seed == 0:
        raise RuntimeError("no luck")
    return made_up(run)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_failed_run_is_recorded_and_the_rest_goes_on(n_jobs: int, tmp_path: Path, capsys: Any) -> None:
    failures = run_study(TINY, tmp_path, n_jobs, train=fail_for_a3c)
    assert sorted(failures) == [run.key for run in TINY.runs if run.algorithm == "A3C" and run.seed == 0]
    results = read_results(tmp_path)
    assert results.progress == "6 of 8 runs, 2 failed"
    assert set(results.failures.values()) == {"RuntimeError: no luck"}
    content = read_run(tmp_path, TINY.runs[0])
    assert content is not None and "fail_for_a3c" in content["failure"]
    assert capsys.readouterr().out.count("no luck") == 2
    run_study(TINY, tmp_path, n_jobs, train=made_up)
    assert read_results(tmp_path).progress == "8 of 8 runs"


def die(run: Run) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_killed_worker_is_told_with_advice(tmp_path: Path) -> None:
    first = replace(TINY, algorithms=("KL+ent_2col",))
    run_study(first, tmp_path, 1, train=made_up)
    with pytest.raises(ChildProcessError, match=r"memory was short.* fewer --n-jobs than 2"):
        run_study(TINY, tmp_path, 2, train=die)
    assert read_results(tmp_path).progress == "4 of 8 runs"
    run_study(TINY, tmp_path, 1, train=made_up)
    assert read_results(tmp_path).progress == "8 of 8 runs"


def test_runs_on_another_back_end(tmp_path: Path) -> None:
    ran_by: list[str] = []

    def train(run: Run) -> dict[str, Any]:
        # Another process would fill a list of its own.
        ran_by.append(threading.current_thread().name)
        return made_up(run)

    with parallel_config(backend="threading"):
        assert run_study(TINY, tmp_path, 2, train=train) == {}
    assert len(ran_by) == 8 and "MainThread" not in ran_by
    assert read_results(tmp_path).progress == "8 of 8 runs"


def test_bar_goes_from_what_is_done_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_study(replace(TINY, algorithms=("A3C",)), tmp_path, 1, train=made_up)
    shown: list[int] = []

    class Bar(tqdm):  # type: ignore[type-arg]
        def update(self, n: float | None = 1) -> bool | None:
            updated = super().update(n)
            shown.append(int(self.n))
            return updated

    monkeypatch.setattr(runner, "tqdm", Bar)
    run_study(TINY, tmp_path, 1, train=made_up)
    assert list(dict.fromkeys(shown)) == [5, 6, 7, 8]


def test_every_command_with_something_to_do_is_recorded(tmp_path: Path) -> None:
    for n_seeds, command in ((1, "first"), (2, "second"), (1, "nothing to do")):
        run_study(replace(TINY, n_seeds=n_seeds), tmp_path, 1, command, made_up)
    study, record = read_study(tmp_path)
    assert study.n_seeds == 2
    assert [made_by["command"] for made_by in commands(record)] == ["first", "second"]
    assert all(made_by["machine"]["cores"] >= 1 and made_by["date"] for made_by in commands(record))


def test_file_of_a_single_command_is_still_read(tmp_path: Path) -> None:
    run_study(TINY, tmp_path, 1, "first", made_up)
    _, record = read_study(tmp_path)
    old = {"kind": "figure4", "study": record["study"], **record["commands"][0]}
    (tmp_path / "study.json").write_text(json.dumps(old))
    assert commands(read_study(tmp_path)[1]) == record["commands"]
    run_study(replace(TINY, n_seeds=3), tmp_path, 1, "second", made_up)
    assert [made_by["command"] for made_by in commands(read_study(tmp_path)[1])] == ["first", "second"]


def test_too_few_steps_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--timesteps is 799, expected at least 800"):
        run_study(replace(TINY, timesteps=799), tmp_path / "new", 1, train=made_up)
    assert not (tmp_path / "new").exists()


def test_folder_of_another_experiment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text('{"kind": "two-rooms", "runs": []}')
    with pytest.raises(ValueError, match=r"holds the study two-rooms, expected figure4 or an empty folder"):
        run_study(TINY, tmp_path, 1, train=made_up)


def test_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    run_study(TINY, tmp_path, 1, train=made_up)
    with pytest.raises(ValueError, match="another --output"):
        run_study(Study("grid-mazes"), tmp_path, 1, train=made_up)


def test_study_grows_by_seeds(tmp_path: Path) -> None:
    more = replace(TINY, n_seeds=3, algorithms=("A3C",))
    run_study(TINY, tmp_path, 1, train=made_up)
    assert run_study(more, tmp_path, 1, train=made_up) == {}
    assert read_study(tmp_path)[0].n_seeds == 3
    assert read_results(tmp_path).progress == "10 of 12 runs"
