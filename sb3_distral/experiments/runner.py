"""Run a study: in parallel, from where it stopped."""

import traceback
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from tqdm import tqdm

from sb3_distral.experiments.provenance import versions
from sb3_distral.experiments.run_files import PACKAGES, joined_study, read_run, run_path, write_run, write_study
from sb3_distral.experiments.study import Run, Study
from sb3_distral.experiments.study_file import STUDY
from sb3_distral.experiments.training import check_timesteps, train_run

Train = Callable[[Run], dict[str, Any]]


def run_study(
    study: Study, folder: Path, n_jobs: int = 2, command: str = "", train: Train = train_run
) -> dict[str, str]:
    """
    Do all runs of a study that are not done yet. Runs that failed before are tried again.

    A file is written for each run when it ends, so that an interruption costs the unfinished runs alone. Under
    ``joblib.parallel_config(backend=…)`` the same code runs on a cluster whose machines share the folder.

    :param study: The study; what the folder holds already may have other algorithms and seeds
    :param folder: Folder of its results
    :param n_jobs: Runs at the same time, each in a process of its own with one thread
    :param command: The command, for the record
    :param train: What does one run
    :return: What went wrong by run, empty if nothing did
    :raises ValueError: If the folder holds another study, or a run has too few steps for an episode
    :raises ChildProcessError: If a process was killed; what has ended is kept
    """
    joined = joined_study(folder, study)
    check_timesteps(study.suite, study.timesteps, study.n_envs_per_task)
    todo = [run for run in study.runs if not is_done(folder, run)]
    if todo or not (folder / STUDY).exists():
        write_study(folder, joined, command)
    with tqdm(
        total=len(study.runs), initial=len(study.runs) - len(todo), desc=study.suite, unit="run", smoothing=0
    ) as bar:
        outcomes = _run_all(todo, folder, n_jobs, train, bar)
    failures = {run.key: outcome for run, outcome in zip(todo, outcomes, strict=True) if outcome is not None}
    for key, failure in failures.items():
        print(f"{key} failed: {failure}")
    return failures


def _run_all(todo: list[Run], folder: Path, n_jobs: int, train: Train, bar: Any) -> list[str | None]:
    parallel = _ParallelWithBar(n_jobs=n_jobs, batch_size=1)
    parallel.bar, parallel.done_before = bar, bar.n
    try:
        return list(parallel(delayed(do_run)(run, folder, train) for run in todo))
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"A process was killed, most often because memory was short. All runs that have ended are in {folder}: "
            f"start the same command again, with fewer --n-jobs than {n_jobs}, and the study goes on where it stopped."
        ) from error


class _ParallelWithBar(Parallel):  # type: ignore[misc]  # joblib has no types
    """All back ends of joblib tell this method how far they are."""

    bar: Any
    done_before: int

    def print_progress(self) -> None:
        self.bar.update(self.done_before + self.n_completed_tasks - self.bar.n)


def is_done(folder: Path, run: Run) -> bool:
    """
    :param folder: Folder of the study
    :param run: A run
    :return: Whether it has ended well; a damaged file is reported
    """
    try:
        content = read_run(folder, run)
    except ValueError:
        print(f"{run_path(folder, run)} is damaged: the run is repeated.")
        return False
    return content is not None and "results" in content


def do_run(run: Run, folder: Path, train: Train) -> str | None:
    """
    Do one run and write its file.

    :param run: The run
    :param folder: Folder of the study
    :param train: What does the run
    :return: What went wrong and where the traceback is, if something did
    """
    try:
        content = {"versions": versions(PACKAGES), "results": train(run)}
    except Exception as error:  # The other runs go on, whatever it was.
        write_run(folder, run, {"versions": versions(PACKAGES), "failure": traceback.format_exc()})
        return f"{error!r}. The traceback is in {run_path(folder, run)}."
    write_run(folder, run, content)
    return None
