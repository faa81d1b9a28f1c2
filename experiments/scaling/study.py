"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from experiments.common import study as common
from experiments.common.curves import check_bins
from experiments.common.store import read_done
from experiments.common.sweeps import Place, Sweep, gathered
from sb3_distral import ALGORITHMS
from sb3_distral.errors import UsageError

#: Two of the twelve episodes of every sub-environment, all of which begin together.
LAST_BINS = 4


@dataclass(frozen=True)
class Run(common.Run):
    """One training of one algorithm on so many mazes."""

    n_tasks: int
    algorithm: str
    seed: int
    timesteps: int
    n_envs: int

    @property
    @override
    def key(self) -> str:
        return f"{self.algorithm}-mazes{self.n_tasks}-seed{self.seed}"

    @property
    def place(self) -> Place:
        """Where its results belong."""
        return Place(self.n_tasks, self.algorithm)


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All algorithms on all numbers of mazes with all seeds.

    :param n_tasks: Numbers of mazes
    :param seeds: Seeds of every algorithm on every number of mazes
    :param timesteps: Steps of a run, all mazes together
    :param n_envs: Sub-environments, all mazes together
    :param algorithms: Names of Table 1
    :raises UsageError: If a value is there twice, the sub-environments cannot be shared out evenly, or a bin of the
        learning curve would hold no step
    """

    n_tasks: tuple[int, ...]
    seeds: tuple[int, ...]
    timesteps: int = 614_400
    n_envs: int = 256
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)

    kind: ClassVar[str] = "scaling"
    grows_by: ClassVar[tuple[str, ...]] = ("n_tasks", "seeds")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        uneven = [n for n in self.n_tasks if n < 1 or self.n_envs % n != 0]
        if uneven:
            raise UsageError(
                f"--n-tasks holds {uneven}, expected divisors of {self.n_envs}, so that all mazes have as many "
                f"sub-environments. Pass for example --n-tasks 4 16 64 and --n-envs 256."
            )
        check_bins(self.timesteps, self.n_envs)

    @property
    @override
    def runs(self) -> list[Run]:
        # Seed by seed, so that a part of a study holds whole seeds.
        places = product(self.seeds, self.n_tasks, self.algorithms)
        return [Run(n_tasks, algorithm, seed, self.timesteps, self.n_envs) for seed, n_tasks, algorithm in places]


def read_results(folder: Path) -> tuple[Study, Sweep]:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: The study, and results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    places = [Place(n_tasks, algorithm) for n_tasks, algorithm in product(sorted(study.n_tasks), study.algorithms)]
    found = {(run.place, run.seed): own for run, own in outcomes.results.items()}
    return study, gathered(outcomes.progress, places, study.seeds, found, LAST_BINS)
