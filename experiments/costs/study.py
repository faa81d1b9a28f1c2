"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from typing_extensions import override

from experiments.common import study as common
from experiments.common.curves import check_bins
from experiments.common.store import read_done
from experiments.transfer.study import Array
from sb3_distral.errors import UsageError


class Setting(NamedTuple):
    """
    Algorithm and learning rate.

    :param algorithm: Name of Table 1
    :param rate: Learning rate ε
    """

    algorithm: str
    rate: float

    @property
    def label(self) -> str:
        """Its name in figure and tables."""
        return f"{self.algorithm}, ε {self.rate:g}"


@dataclass(frozen=True)
class Run(common.Run):
    """One training on the mazes."""

    algorithm: str
    rate: float
    inverse_beta: float
    is_controlled: bool
    seed: int
    timesteps: int
    n_tasks: int
    n_envs_per_task: int

    @property
    @override
    def key(self) -> str:
        costs = "controlled" if self.is_controlled else "fixed"
        return f"{self.algorithm}-rate{self.rate:g}-{costs}{self.inverse_beta:g}-seed{self.seed}"


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    Every 1/β, fixed and under a controller, with every learning rate and seed.

    :param seeds: Seeds of each
    :param algorithms: Names of Table 1 with a divergence cost
    :param rates: Learning rates ε
    :param inverse_betas: 1/β, fixed or at the start
    :param timesteps: Steps of each run, all mazes together
    :param n_tasks: Mazes
    :param n_envs_per_task: Sub-environments of each maze
    :raises UsageError: If values are there twice, or a bin of the learning curve would hold no step
    """

    seeds: tuple[int, ...]
    algorithms: tuple[str, ...]
    rates: tuple[float, ...]
    inverse_betas: tuple[float, ...]
    timesteps: int = 307_200
    n_tasks: int = 8
    n_envs_per_task: int = 8

    kind: ClassVar[str] = "costs"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds", "algorithms", "rates", "inverse_betas")

    @property
    def settings(self) -> list[Setting]:
        """Algorithms and learning rates."""
        return [Setting(*own) for own in product(self.algorithms, sorted(self.rates))]

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_bins(self.timesteps, self.n_tasks * self.n_envs_per_task)

    @property
    @override
    def runs(self) -> list[Run]:
        sizes = (self.timesteps, self.n_tasks, self.n_envs_per_task)
        # Seed by seed, so that a part of a study holds whole seeds.
        return [
            Run(setting.algorithm, setting.rate, inverse_beta, is_controlled, seed, *sizes)
            for seed, setting, inverse_beta, is_controlled in product(
                self.seeds, self.settings, sorted(self.inverse_betas), (False, True)
            )
        ]


@dataclass(frozen=True)
class Results:
    """
    What came out for the seeds of which every run has ended.

    :param study: The study
    :param progress: How many of its runs there are, in words
    :param n_seeds: Seeds that are whole
    :param inverse_betas: 1/β in order
    :param curves: Mean return over tasks by setting and whether costs were controlled, each of shape
        (n_inverse_betas, n_seeds, n_bins)
    :param costs: c_KL and c_Ent, mean over tasks, likewise, each of shape (n_inverse_betas, n_seeds, 2, n_bins)
    """

    study: Study
    progress: str
    n_seeds: int
    inverse_betas: list[float]
    curves: dict[tuple[Setting, bool], Array]
    costs: dict[tuple[Setting, bool], Array]


def read_results(folder: Path) -> Results:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    found = {
        (Setting(run.algorithm, run.rate), run.is_controlled, run.inverse_beta, run.seed): own
        for run, own in outcomes.results.items()
    }
    parts, inverse_betas = list(product(study.settings, (False, True))), sorted(study.inverse_betas)
    seeds = [
        seed for seed in study.seeds if all((*part, own, seed) in found for part in parts for own in inverse_betas)
    ]
    if not seeds:
        raise UsageError(f"No seed of the study in {folder} is whole ({outcomes.progress}). Wait for the first one.")
    curves, costs = (
        {
            part: np.array([[found[(*part, own, seed)][name] for seed in seeds] for own in inverse_betas])
            for part in parts
        }
        for name in ("curve", "costs")
    )
    return Results(study, outcomes.progress, len(seeds), inverse_betas, curves, costs)
