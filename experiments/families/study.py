"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from experiments.common import study as common
from experiments.common.curves import check_bins
from experiments.common.store import read_done
from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]


class Arm(NamedTuple):
    """
    A way to learn the tasks of one family or of two.

    :param label: Its name in figure and tables
    :param n_families: Number of families
    :param algorithm: Name of Table 1
    :param n_distilled: Number of distilled policies
    :param is_told: Whether responsibilities are set by the families, which are told to this one alone
    """

    label: str
    n_families: int
    algorithm: str
    n_distilled: int = 1
    is_told: bool = False


SUITE, ALGORITHM = "grid-families", "KL+ent_2col"
ARMS = {
    "one": Arm("one π0", 2, ALGORITHM),
    "two": Arm("two π0", 2, ALGORITHM, 2),
    "told": Arm("two π0, families told", 2, ALGORITHM, 2, True),
    "shared h": Arm("two columns, no KL", 2, "A3C_2col"),
    "one family, one": Arm("one π0", 1, ALGORITHM),
    "one family, two": Arm("two π0", 1, ALGORITHM, 2),
}


@dataclass(frozen=True)
class Run(common.Run):
    """One way with one seed."""

    arm: str
    seed: int
    timesteps: int
    n_tasks: int
    n_envs_per_task: int

    @property
    @override
    def key(self) -> str:
        return f"{self.arm}-seed{self.seed}".replace(",", "")


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All ways with all seeds.

    :param seeds: Seeds of every way
    :param timesteps: Steps of all tasks together
    :param n_tasks: Number of tasks
    :param n_envs_per_task: Sub-environments of each task
    :raises UsageError: If seeds are there twice, or a bin of the learning curve would hold no step
    """

    seeds: tuple[int, ...]
    timesteps: int = 204_800
    n_tasks: int = 64
    n_envs_per_task: int = 2

    kind: ClassVar[str] = "families"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_bins(self.timesteps, self.n_tasks * self.n_envs_per_task)

    @property
    @override
    def runs(self) -> list[Run]:
        sizes = (self.timesteps, self.n_tasks, self.n_envs_per_task)
        # Seed by seed, so that a part of a study holds whole seeds.
        return [Run(arm, seed, *sizes) for seed, arm in product(self.seeds, ARMS)]


@dataclass(frozen=True)
class Results:
    """
    What came out for the seeds of which every run has ended.

    :param study: The study
    :param progress: How many of its runs there are, in words
    :param n_seeds: Seeds that are whole
    :param curves: Mean return over tasks by arm, each of shape (n_seeds, n_bins)
    :param agreement: Share of the tasks whose best component is that of their family by arm, likewise; 0.5 is chance
    """

    study: Study
    progress: str
    n_seeds: int
    curves: dict[str, Array]
    agreement: dict[str, Array]


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
    curves, agreement = (
        {arm: np.array([found[arm, seed][name] for seed in seeds]) for arm in ARMS} for name in ("curve", "agreement")
    )
    return Results(study, outcomes.progress, len(seeds), curves, agreement)
