"""The results of the study as arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.common.store import Outcomes, Store, read_done
from experiments.figure4.study import NORMALISED_SUITES, Run, Study
from experiments.figure4.training import N_BINS
from sb3_distral import ALGORITHMS

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

    @property
    def area(self) -> Array:
        """Area under the learning curve of each run: its mean over tasks and training, shape (n_settings, n_seeds)."""
        return np.asarray(self.curves.mean(axis=(2, 3)))

    @property
    def early(self) -> Array:
        """Mean return in the first half of training, shape (n_settings, n_seeds)."""
        return np.asarray(self.curves[..., : self.curves.shape[-1] // 2].mean(axis=(2, 3)))

    @property
    def distilled_area(self) -> Array:
        """Area under the learning curve of π0, shape (n_settings, n_seeds)."""
        return np.asarray(self.distilled_curves.mean(axis=(2, 3)))


@dataclass
class StudyResults:
    """
    All that the study has produced so far on one suite.

    :param study: The study
    :param commands: The commands that made the results
    :param outcomes: What has come of its runs
    :param algorithms: Results by algorithm, in the order of Table 1
    :param is_normalised: Whether returns are divided by the final return of the best A3C on each task
    """

    study: Study
    commands: list[dict[str, Any]]
    outcomes: Outcomes[Run]
    algorithms: dict[str, AlgorithmResults]
    is_normalised: bool = False

    @property
    def unit(self) -> str:
        """What a score is."""
        return "return / best A3C" if self.is_normalised else "return of an episode"


def read_results(folder: Path) -> StudyResults:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Its results
    :raises UsageError: If there is no study, or no run that has ended
    """
    study, outcomes = read_done(folder, Study)
    n_tasks = max(len(run["tasks"]) for run in outcomes.results.values())
    algorithms = {
        name: _as_arrays(study, name, outcomes.results, n_tasks) for name in ALGORITHMS if name in study.algorithms
    }
    results = StudyResults(study, Store(folder).commands, outcomes, algorithms)
    _normalise(results)
    return results


def _as_arrays(study: Study, name: str, runs: dict[Run, dict[str, Any]], n_tasks: int) -> AlgorithmResults:
    n_settings, n_seeds = len(study.settings), len(study.seeds)
    places = {study.run(name, study.settings[i], study.seeds[j]): (i, j) for i, j in np.ndindex(n_settings, n_seeds)}

    def collect(read: Callable[[dict[str, Any]], Any], *shape: int) -> Array:
        array = np.full((n_settings, n_seeds, *shape), np.nan)
        for run in places.keys() & runs.keys():
            array[places[run]] = read(runs[run])
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
