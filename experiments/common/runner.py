"""Run a study: in parallel, from where it stopped."""

import traceback
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from tqdm import tqdm

from experiments.common.store import STUDY, Store
from experiments.common.study import RunT, Study

#: Does one run and returns its results for JSON.
Work = Callable[[RunT], dict[str, Any]]


def run_study(study: Study[RunT], folder: Path, work: Work[RunT], n_jobs: int = 1, command: str = "") -> dict[str, str]:
    """
    Do all runs of a study that are not done yet. Runs that failed before are tried again.

    A file is written for each run when it ends, so that an interruption costs the unfinished runs alone. Under
    ``joblib.parallel_config(backend=…)`` the same code runs on a cluster whose machines share the folder.

    :param study: The study; what the folder holds already may have other runs
    :param folder: Folder of its results
    :param work: What does one run
    :param n_jobs: Runs at the same time, each in a process of its own with one thread
    :param command: The command, for the record
    :return: What went wrong by key of the run, empty if nothing did
    :raises UsageError: If the folder holds another study
    :raises ChildProcessError: If a process was killed; what has ended is kept
    """
    store = Store(folder)
    joined = store.joined(study)
    done = store.outcomes(joined)
    for path in done.damaged:
        print(f"{path} is damaged or of no run of this study: a run that it stands for is repeated.")
    todo = [run for run in study.runs if run not in done.results]
    if todo or not (folder / STUDY).exists():
        store.begin(joined, command)
    n_done = len(study.runs) - len(todo)
    with tqdm(total=len(study.runs), initial=n_done, desc=study.kind, unit="run", smoothing=0) as bar:
        outcomes = _do_all(todo, store, work, n_jobs, bar)
    failures = {run.key: outcome for run, outcome in zip(todo, outcomes, strict=True) if outcome is not None}
    for key, failure in failures.items():
        print(f"{key} failed: {failure}")
    return failures


def _do_all(todo: list[RunT], store: Store, work: Work[RunT], n_jobs: int, bar: Any) -> list[str | None]:
    parallel = _ParallelWithBar(n_jobs=n_jobs, batch_size=1)
    parallel.bar, parallel.done_before = bar, bar.n
    try:
        return list(parallel(map(delayed(partial(_do, store=store, work=work)), todo)))
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"A process was killed, most often because memory was short. All runs that have ended are in "
            f"{store.folder}: start the same command again, with fewer --n-jobs than {n_jobs}, and the study goes on "
            "where it stopped."
        ) from error


class _ParallelWithBar(Parallel):  # type: ignore[misc]  # joblib has no types
    """All back ends of joblib tell this method how far they are."""

    bar: Any
    done_before: int

    def print_progress(self) -> None:
        self.bar.update(self.done_before + self.n_completed_tasks - self.bar.n)


def _do(run: RunT, store: Store, work: Work[RunT]) -> str | None:
    """Do one run and write its file; return what went wrong and where the traceback is, if something did."""
    try:
        results = work(run)
    except Exception as error:  # The other runs go on, whatever it was.
        store.write(run, {"failure": traceback.format_exc()})
        return f"{error!r}. The traceback is in {store.run_path(run)}."
    store.write(run, {"results": results})
    return None
