"""The results of a study as arrays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sb3_distral.experiments.run_files import RUNS, read_run, read_study
from sb3_distral.experiments.study import NORMALISED_SUITES, Study
from sb3_distral.experiments.training import N_BINS

Array = npt.NDArray[np.float64]
#: Bins at the end of training whose mean is the final score.
LAST_BINS = 3


@dataclass
class AlgorithmResults:
    """
    Results of all runs of one algorithm; the axes begin with setting and seed, and missing runs are NaN.

    :param curves: Returns of the task policies, shape (n_settings, n_seeds, n_tasks, n_bins)
    :param distilled_curves: Returns of π0 during training, shape (n_settings, n_seeds, n_tasks, n_evaluations)
    :param distilled: Returns of π0 at the end, shape (n_settings, n_seeds, n_tasks)
    :param unseen: Likewise on unseen tasks, all NaN where the suite has none
    :param speed: Steps per second of a core, shape (n_settings, n_seeds)
    """

    curves: Array
    distilled_curves: Array
    distilled: Array
    unseen: Array
    speed: Array

    @property
    def has_intervals(self) -> bool:
        """Whether no run is missing and the seeds of a setting are more than one."""
        return self.speed.shape[1] > 1 and not np.isnan(self.speed).any()

    @property
    def final(self) -> Array:
        """Final returns of the task policies, shape (n_settings, n_seeds, n_tasks)."""
        return np.asarray(self.curves[..., -LAST_BINS:].mean(axis=-1))


@dataclass
class StudyResults:
    """
    All that a study has produced so far.

    :param study: The study
    :param record: All of ``study.json``
    :param algorithms: Results by algorithm
    :param n_done: Runs that have ended well
    :param failures: Last line of the traceback by run that failed
    :param damaged: Runs whose file cannot be read
    :param is_normalised: Whether returns are divided by the final return of the best A3C on each task
    """

    study: Study
    record: dict[str, Any]
    algorithms: dict[str, AlgorithmResults]
    n_done: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    is_normalised: bool = False

    @property
    def progress(self) -> str:
        """How many of the runs there are, in words."""
        text = f"{self.n_done} of {len(self.study.runs)} runs"
        text += f", {len(self.failures)} failed" if self.failures else ""
        return text + (f", {len(self.damaged)} with a damaged file" if self.damaged else "")

    @property
    def unit(self) -> str:
        """What a score is."""
        return "return / best A3C" if self.is_normalised else "return of an episode"


def read_results(folder: Path) -> StudyResults:
    """
    Read a study, complete or not.

    :param folder: Its folder
    :return: Its results
    :raises ValueError: If there is no study, or no run that has ended
    """
    study, record = read_study(folder)
    results = StudyResults(study, record, {})
    found = {name: _read_algorithm(folder, results, name) for name in study.algorithms}
    if results.n_done == 0:
        advice = f"Read a traceback in {folder / RUNS}." if results.failures else "Wait for the first one."
        raise ValueError(f"No run of the study in {folder} has ended well ({results.progress}). {advice}")
    n_tasks = max(len(run["tasks"]) for runs in found.values() for run in runs.values())
    results.algorithms = {name: _as_arrays(study, runs, n_tasks) for name, runs in found.items()}
    _normalise(results)
    return results


def _read_algorithm(folder: Path, results: StudyResults, name: str) -> dict[tuple[int, int], dict[str, Any]]:
    study, found = results.study, {}
    for place in np.ndindex(len(study.settings), study.n_seeds):
        run = study.run(name, study.settings[place[0]], place[1])
        try:
            content = read_run(folder, run) or {}
        except ValueError:
            results.damaged.append(run.key)
            continue
        if "failure" in content:
            results.failures[run.key] = content["failure"].strip().splitlines()[-1]
        elif "results" in content:
            found[place] = content["results"]
    results.n_done += len(found)
    return found


def _as_arrays(study: Study, runs: dict[tuple[int, int], dict[str, Any]], n_tasks: int) -> AlgorithmResults:
    def collect(read: Callable[[dict[str, Any]], Any], *shape: int) -> Array:
        array = np.full((len(study.settings), study.n_seeds, *shape), np.nan)
        for place, run in runs.items():
            array[place] = read(run)
        return array

    return AlgorithmResults(
        collect(lambda run: run["curves"], n_tasks, N_BINS),
        collect(lambda run: np.transpose(run["distilled_curves"]), n_tasks, study.n_evaluations),
        collect(lambda run: run["distilled"], n_tasks),
        collect(lambda run: run.get("distilled_unseen", np.nan), n_tasks),
        collect(lambda run: run["timing"]["steps_per_core_second"]),
    )


def _normalise(results: StudyResults) -> None:
    """Divide by the best A3C on each task: that of the setting whose mean final return over seeds is highest there."""
    if results.study.suite not in NORMALISED_SUITES or "A3C" not in results.algorithms:
        return
    by_setting = np.ma.masked_invalid(results.algorithms["A3C"].final).mean(axis=1)
    best = by_setting.max(axis=0).filled(np.nan)
    if not (best > 0).all():
        # There is nothing to divide by: A3C is missing, or has learned nothing on some task.
        return
    for own in results.algorithms.values():
        own.curves /= best[:, None]
        own.distilled_curves /= best[:, None]
        own.distilled /= best
        own.unseen /= best
    results.is_normalised = True
