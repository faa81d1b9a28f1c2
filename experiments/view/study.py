"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from experiments.common import study as common
from experiments.common.store import read_done
from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]

#: What π0 sees of an observation of ``grid-mazes``: 25 walls, 25 places of the goal, 26 numbers of row and column, 5 of
#: what was before, see docs/suites.md.
VIEWS: dict[str, tuple[str, list[bool] | None]] = {
    "all": ("everything", None),
    "no place": ("all but row and column", [True] * 50 + [False] * 26 + [True] * 5),
}


@dataclass(frozen=True)
class Run(common.Run):
    """A training in which π0 sees a part, and its π0 on mazes never seen before."""

    view: str
    seed: int
    timesteps: int
    n_tasks: int
    n_envs_per_task: int

    @property
    @override
    def key(self) -> str:
        return f"{self.view}-seed{self.seed}"


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All views with all seeds.

    :param seeds: Seeds of every view
    :param timesteps: Steps of a training, all mazes together
    :param n_tasks: Mazes of a training, and unseen mazes
    :param n_envs_per_task: Sub-environments of each maze
    """

    seeds: tuple[int, ...]
    timesteps: int = 307_200
    n_tasks: int = 8
    n_envs_per_task: int = 8

    kind: ClassVar[str] = "view"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @property
    @override
    def runs(self) -> list[Run]:
        sizes = (self.timesteps, self.n_tasks, self.n_envs_per_task)
        # Seed by seed, so that a part of a study holds whole seeds.
        return [Run(view, seed, *sizes) for seed, view in product(self.seeds, VIEWS)]


#: What is measured of each run: its name in the files, and in tables.
RETURNS = {"unseen": "π0, unseen mazes", "distilled": "π0, training mazes", "tasks": "task policies"}


@dataclass(frozen=True)
class Results:
    """
    What came out for the seeds of which every run has ended.

    :param study: The study
    :param progress: How many of its runs there are, in words
    :param n_seeds: Seeds that are whole
    :param returns: Mean return over mazes by what was measured and view, each of shape (n_seeds,)
    """

    study: Study
    progress: str
    n_seeds: int
    returns: dict[str, dict[str, Array]]


def read_results(folder: Path) -> Results:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    found = {(run.view, run.seed): own for run, own in outcomes.results.items()}
    seeds = [seed for seed in study.seeds if all((view, seed) in found for view in VIEWS)]
    if not seeds:
        raise UsageError(f"No seed of the study in {folder} is whole ({outcomes.progress}). Wait for the first one.")
    returns = {
        name: {view: np.array([np.mean(found[view, seed][name]) for seed in seeds]) for view in VIEWS}
        for name in RETURNS
    }
    return Results(study, outcomes.progress, len(seeds), returns)
