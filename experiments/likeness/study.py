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

#: Separate learning, one network for all, one column, two columns without KL and with it.
ALGORITHMS = ("A3C", "A3C_multitask", "KL+ent_1col", "A3C_2col", "KL+ent_2col", "KL_2col")


@dataclass(frozen=True)
class Run(common.Run):
    """One training of one algorithm at one value of the dial."""

    likeness: float
    algorithm: str
    seed: int
    timesteps: int
    n_tasks: int
    n_envs_per_task: int

    @property
    @override
    def key(self) -> str:
        return f"{self.algorithm}-likeness{self.likeness:g}-seed{self.seed}"

    @property
    def place(self) -> Place:
        """Where its results belong."""
        return Place(self.likeness, self.algorithm)


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All algorithms at all values of the dial with all seeds.

    :param likeness: Values of the dial
    :param seeds: Seeds of every algorithm at every value
    :param timesteps: Steps of a run, all tasks together
    :param n_tasks: Number of tasks, even
    :param n_envs_per_task: Sub-environments of each task
    :param algorithms: Names of Table 1
    :raises UsageError: If a value is there twice, or a bin of the learning curve would hold no step
    """

    likeness: tuple[float, ...]
    seeds: tuple[int, ...]
    timesteps: int = 204_800
    n_tasks: int = 8
    n_envs_per_task: int = 8
    algorithms: tuple[str, ...] = ALGORITHMS

    kind: ClassVar[str] = "likeness"
    grows_by: ClassVar[tuple[str, ...]] = ("likeness", "algorithms", "seeds")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_bins(self.timesteps, self.n_tasks * self.n_envs_per_task)

    @property
    @override
    def runs(self) -> list[Run]:
        # Seed by seed, so that a part of a study holds whole seeds.
        places = product(self.seeds, self.likeness, self.algorithms)
        sizes = (self.timesteps, self.n_tasks, self.n_envs_per_task)
        return [Run(float(likeness), algorithm, seed, *sizes) for seed, likeness, algorithm in places]


def read_results(folder: Path) -> tuple[Study, Sweep]:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: The study, and results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    places = [Place(likeness, algorithm) for likeness, algorithm in product(sorted(study.likeness), study.algorithms)]
    found = {(run.place, run.seed): own for run, own in outcomes.results.items()}
    return study, gathered(outcomes.progress, places, study.seeds, found)
