"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from experiments.common import study as common
from experiments.common.store import read_done
from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]
#: Parts that the learning curve on a group has.
N_BINS = 16
#: Mazes that arrive in all.
N_MAZES = 8


class Arm(NamedTuple):
    """
    A way to go on when new mazes arrive and the others leave.

    :param label: Its name in the figure
    :param rehearsal_coef: Weight of the rehearsal
    """

    label: str
    rehearsal_coef: float


ARMS = {
    "no-rehearsal": Arm("no rehearsal", 0.0),
    "rehearsal": Arm("rehearsal_coef=0.02", 0.02),
}


@dataclass(frozen=True)
class Run(common.Run):
    """All groups, one after the other, in one way."""

    arm: str
    seed: int
    timesteps: int
    n_groups: int
    n_envs_per_task: int

    @property
    @override
    def key(self) -> str:
        return f"{self.arm}-seed{self.seed}"


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All ways with all seeds.

    :param seeds: Seeds of every way
    :param timesteps: Steps on each group, of all its mazes together
    :param n_groups: Groups of equal size that the mazes arrive in
    :param n_envs_per_task: Sub-environments of each maze
    :raises UsageError: If seeds are there twice, groups would not be equal or a bin of a curve would hold no step
    """

    seeds: tuple[int, ...]
    timesteps: int = 128_000
    n_groups: int = 2
    n_envs_per_task: int = 16

    kind: ClassVar[str] = "continual"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_groups < 2 or N_MAZES % self.n_groups > 0:
            raise UsageError(f"--n-groups is {self.n_groups}, expected 2, 4 or 8: parts of {N_MAZES} mazes.")
        least = N_BINS * N_MAZES // self.n_groups * self.n_envs_per_task
        if self.timesteps < least:
            raise UsageError(
                f"--timesteps is {self.timesteps}, expected at least {least}: a step of all sub-environments in each "
                f"of the {N_BINS} bins of a learning curve. Pass more steps."
            )

    @property
    @override
    def runs(self) -> list[Run]:
        sizes = (self.timesteps, self.n_groups, self.n_envs_per_task)
        # Seed by seed, so that a part of a study holds whole seeds.
        return [Run(arm, seed, *sizes) for seed, arm in product(self.seeds, ARMS)]


@dataclass(frozen=True)
class Results:
    """
    What came out for the seeds of which every run has ended.

    :param study: The study
    :param progress: How many of its runs there are, in words
    :param n_seeds: Seeds that are whole
    :param curves: Mean return over the mazes of a group by arm, for all groups but the first, each of shape
        (n_seeds, n_groups - 1, n_bins)
    :param distilled: Return of π0 in each maze after each group by arm, each of shape (n_seeds, n_groups, n_mazes)
    """

    study: Study
    progress: str
    n_seeds: int
    curves: dict[str, Array]
    distilled: dict[str, Array]


def read_results(folder: Path) -> Results:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    found = {(run.arm, run.seed): own for run, own in outcomes.results.items()}
    seeds = [seed for seed in study.seeds if all((arm, seed) in found for arm in ARMS)]
    if not seeds:
        raise UsageError(f"No seed of the study in {folder} is whole ({outcomes.progress}). Wait for the first one.")
    curves, distilled = (
        {arm: np.array([found[arm, seed][name] for seed in seeds]) for arm in ARMS} for name in ("curves", "distilled")
    )
    return Results(study, outcomes.progress, len(seeds), curves, distilled)
