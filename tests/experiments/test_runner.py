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
from synthetic import made_up
from tqdm import tqdm

from experiments.common import runner
from experiments.common.runner import run_study
from experiments.common.store import Outcomes, Store
from experiments.figure4.study import Run, Study
from experiments.figure4.training import train_run
from sb3_distral.errors import UsageError

TINY = Study(
    "two-rooms", ("A3C", "KL+ent_2col"), (0.01,), (1e-3, 2e-3), (0, 1), 800, n_envs_per_task=1, n_evaluations=1
)


def outcomes(folder: Path) -> Outcomes[Run]:
    store = Store(folder)
    return store.outcomes(store.read_study(Study))


def contents(folder: Path) -> dict[str, Any]:
    """Return everything in the files of the runs that does not depend on the clock."""
    # A process that was killed while it wrote leaves a part of a file beside them.
    found = {path.name: json.loads(path.read_text()) for path in folder.glob("runs/*.json")}
    for content in found.values():
        del content["checksum"], content["results"]["timing"], content["made_by"]
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
    run_study(TINY, folder, train_run, n_jobs=2)
    return folder


def test_interrupted_study_ends_as_the_uninterrupted(uninterrupted: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run_study, args=(TINY, tmp_path, train_run, 1))
    process.start()
    kill_when(process, tmp_path, 3)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.json")}
    assert 3 <= len(before) < 8
    run_study(TINY, tmp_path, train_run)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(tmp_path) == contents(uninterrupted)
    assert len(contents(tmp_path)) == 8


def test_files_are_small(uninterrupted: Path) -> None:
    assert Store(uninterrupted).run_path(TINY.runs[0]).stat().st_size < 5000


def test_run_with_a_damaged_file_is_repeated(tmp_path: Path, capsys: Any) -> None:
    run_study(TINY, tmp_path, made_up)
    path = Store(tmp_path).run_path(TINY.runs[3])
    results = json.loads(path.read_text())["results"]
    path.write_text(path.read_text()[:100])
    others = {other: other.stat().st_mtime_ns for other in path.parent.iterdir() if other != path}
    run_study(TINY, tmp_path, made_up)
    assert f"{path} is damaged" in capsys.readouterr().out
    assert json.loads(path.read_text())["results"] == results
    assert {other: other.stat().st_mtime_ns for other in others} == others


def fail_for_a3c(run: Run) -> dict[str, Any]:
    if run.algorithm == "A3C" and run.seed == 0:
        raise RuntimeError("no luck")
    return made_up(run)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_failed_run_is_recorded_and_the_rest_goes_on(n_jobs: int, tmp_path: Path, capsys: Any) -> None:
    failures = run_study(TINY, tmp_path, fail_for_a3c, n_jobs)
    assert sorted(failures) == [run.key for run in TINY.runs if run.algorithm == "A3C" and run.seed == 0]
    found = outcomes(tmp_path)
    assert found.progress == "6 of 8 runs, 2 failed"
    assert set(found.failures.values()) == {"RuntimeError: no luck"}
    assert "fail_for_a3c" in json.loads(Store(tmp_path).run_path(TINY.runs[0]).read_text())["failure"]
    assert capsys.readouterr().out.count("no luck") == 2
    run_study(TINY, tmp_path, made_up, n_jobs)
    assert outcomes(tmp_path).progress == "8 of 8 runs"


def die(run: Run) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_killed_worker_is_told_with_advice(tmp_path: Path) -> None:
    first = replace(TINY, algorithms=("KL+ent_2col",))
    run_study(first, tmp_path, made_up)
    with pytest.raises(ChildProcessError, match=r"memory was short.* fewer --n-jobs than 2"):
        run_study(TINY, tmp_path, die, 2)
    assert outcomes(tmp_path).progress == "4 of 8 runs"
    run_study(TINY, tmp_path, made_up)
    assert outcomes(tmp_path).progress == "8 of 8 runs"


def test_runs_on_another_back_end(tmp_path: Path) -> None:
    ran_by: list[str] = []

    def train(run: Run) -> dict[str, Any]:
        # Another process would fill a list of its own.
        ran_by.append(threading.current_thread().name)
        return made_up(run)

    with parallel_config(backend="threading"):
        assert run_study(TINY, tmp_path, train, 2) == {}
    assert len(ran_by) == 8 and "MainThread" not in ran_by
    assert outcomes(tmp_path).progress == "8 of 8 runs"


def test_bar_goes_from_what_is_done_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_study(replace(TINY, algorithms=("A3C",)), tmp_path, made_up)
    shown: list[int] = []

    class Bar(tqdm):  # type: ignore[type-arg]
        def update(self, n: float | None = 1) -> bool | None:
            updated = super().update(n)
            shown.append(int(self.n))
            return updated

    monkeypatch.setattr(runner, "tqdm", Bar)
    run_study(TINY, tmp_path, made_up)
    assert list(dict.fromkeys(shown)) == [5, 6, 7, 8]


def test_every_command_with_something_to_do_is_recorded(tmp_path: Path) -> None:
    for seeds, command in (((0,), "first"), ((0, 1), "second"), ((0,), "nothing to do")):
        run_study(replace(TINY, seeds=seeds), tmp_path, made_up, command=command)
    store = Store(tmp_path)
    assert store.read_study(Study).seeds == (0, 1)
    assert [made_by["command"] for made_by in store.commands] == ["first", "second"]


def test_folder_of_another_study_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    run_study(TINY, tmp_path, made_up)
    with pytest.raises(UsageError, match="another --output"):
        run_study(Study("grid-mazes"), tmp_path, die)


def test_study_grows_by_seeds(tmp_path: Path) -> None:
    run_study(TINY, tmp_path, made_up)
    assert run_study(replace(TINY, seeds=(0, 1, 2), algorithms=("A3C",)), tmp_path, made_up) == {}
    assert Store(tmp_path).read_study(Study).seeds == (0, 1, 2)
    assert outcomes(tmp_path).progress == "10 of 12 runs"
