"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

from experiments.common import study as common
from experiments.common.curves import check_bins
from experiments.common.store import read_done
from experiments.transfer.study import Array
from sb3_distral.errors import UsageError

ALGORITHMS = ("KL+ent_2col", "A3C_2col", "A3C", "A3C_multitask")
#: An algorithm, and whether returns are normalised.
Way = tuple[str, bool]
WAYS: tuple[Way, ...] = tuple(product(ALGORITHMS, (False, True)))


@dataclass(frozen=True)
class Run(common.Run):
    """One training on mazes of different rewards."""

    algorithm: str
    normalizes: bool
    seed: int
    timesteps: int
    n_tasks: int
    n_envs_per_task: int
    ratio: int

    @property
    @override
    def key(self) -> str:
        return f"{self.algorithm}-{'normalised' if self.normalizes else 'plain'}-seed{self.seed}"


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All ways with all seeds.

    :param seeds: Seeds of every way
    :param timesteps: Steps of each run, all mazes together
    :param n_tasks: Mazes
    :param n_envs_per_task: Sub-environments of each maze
    :param ratio: The largest reward of a goal divided by the smallest
    :raises UsageError: If seeds are there twice, or a bin of the learning curve would hold no step
    """

    seeds: tuple[int, ...]
    timesteps: int = 307_200
    n_tasks: int = 8
    n_envs_per_task: int = 8
    ratio: int = 1000

    kind: ClassVar[str] = "scales"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_bins(self.timesteps, self.n_tasks * self.n_envs_per_task)

    @property
    @override
    def runs(self) -> list[Run]:
        sizes = (self.timesteps, self.n_tasks, self.n_envs_per_task, self.ratio)
        # Seed by seed, so that a part of a study holds whole seeds.
        return [Run(*way, seed, *sizes) for seed, way in product(self.seeds, WAYS)]


@dataclass(frozen=True)
class Results:
    """
    What came out for the seeds of which every run has ended.

    :param study: The study
    :param progress: How many of its runs there are, in words
    :param n_seeds: Seeds that are whole
    :param curves: Goals of an episode by way, each of shape (n_seeds, n_tasks, n_bins)
    """

    study: Study
    progress: str
    n_seeds: int
    curves: dict[Way, Array]


def read_results(folder: Path) -> Results:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    found = {(run.algorithm, run.normalizes, run.seed): own for run, own in outcomes.results.items()}
    seeds = [seed for seed in study.seeds if all((*way, seed) in found for way in WAYS)]
    if not seeds:
        raise UsageError(f"No seed of the study in {folder} is whole ({outcomes.progress}). Wait for the first one.")
    curves = {way: np.array([found[(*way, seed)]["goals"] for seed in seeds]) for way in WAYS}
    return Results(study, outcomes.progress, len(seeds), curves)
