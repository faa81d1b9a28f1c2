"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import Self, override

from experiments.common import study as common
from experiments.common.curves import check_bins
from experiments.common.store import read_done
from experiments.transfer.suites import SUITES, Suite
from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]


class Arm(NamedTuple):
    """
    A way to learn the new tasks.

    :param label: Its name in figure and tables
    :param algorithm: Name of Table 1, whose arguments are taken
    :param arguments: Arguments of ``DistralA2C`` beside them; where π0 is taken along and nothing is said of it, it is
        frozen at first and then trained on
    :param source: The algorithm whose π0 is taken along; ``None``: learning begins from nothing
    :param keeps_columns: Whether task columns begin as π0 does, and not from nothing
    """

    label: str
    algorithm: str
    arguments: dict[str, Any]
    source: str | None = "KL+ent_2col"
    keeps_columns: bool = True


TWO_COLUMNS = "KL+ent_2col"
FROZEN = {"train_distilled": False}
ARMS = {
    "A3C": Arm("A3C from nothing", "A3C", {}, source=None),
    "KL+ent_2col": Arm("KL+ent_2col from nothing", TWO_COLUMNS, {}, source=None),
    "warm-start": Arm("A3C, columns begin as π0", "A3C", FROZEN),
    "prior-only": Arm("π0 in the reward alone (one column)", "KL+ent_1col", FROZEN, keeps_columns=False),
    "frozen": Arm("two columns, π0 frozen", TWO_COLUMNS, FROZEN),
    "trained-on": Arm("two columns, π0 trained on", TWO_COLUMNS, {"train_distilled": True}),
    "frozen-then-on": Arm("two columns, π0 frozen, then on", TWO_COLUMNS, {}),
    "weight-0.5": Arm("frozen, then on; weight 0.5", TWO_COLUMNS, {"distilled_weight": 0.5}),
    "multitask": Arm("frozen, then on; π0 of A3C_multitask", TWO_COLUMNS, {}, source="A3C_multitask"),
}


@dataclass(frozen=True)
class Run(common.Run):
    """One way to learn the new tasks, after the training on others that it takes π0 from."""

    arm: str
    seed: int
    timesteps: int
    source_timesteps: int
    n_tasks: int
    n_envs_per_task: int
    suite: str = "grid-mazes"

    @property
    @override
    def key(self) -> str:
        return f"{self.arm}-seed{self.seed}"


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All ways with all seeds.

    :param seeds: Seeds of every way
    :param timesteps: Steps on the new tasks, all together
    :param source_timesteps: Steps of the training that π0 comes from, all its tasks together
    :param n_tasks: New tasks
    :param n_envs_per_task: Sub-environments of each task
    :param suite: Suite of tasks
    :raises UsageError: If seeds are there twice, or a bin of the learning curve would hold no step
    """

    seeds: tuple[int, ...]
    timesteps: int = 256_000
    source_timesteps: int = 307_200
    n_tasks: int = 10
    n_envs_per_task: int = 8
    suite: str = "grid-mazes"

    kind: ClassVar[str] = "transfer"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_bins(self.timesteps, self.n_tasks * self.n_envs_per_task)

    @classmethod
    def on(cls, suite: str, seeds: tuple[int, ...], timesteps: int | None, source_timesteps: int | None) -> Self:
        """
        Make the study of a suite.

        :param suite: Name of a suite
        :param seeds: Seeds of every way
        :param timesteps: Steps on the new tasks; ``None``: as many as suit the suite
        :param source_timesteps: Steps of the training that π0 comes from, likewise
        :return: The study
        """
        own = SUITES[suite]
        steps = (timesteps or own.timesteps, source_timesteps or own.source_timesteps)
        return cls(seeds, *steps, own.n_tasks, own.n_envs_per_task, suite)

    @property
    def on_suite(self) -> Suite:
        """What is particular to the suite."""
        return SUITES[self.suite]

    @property
    def arms(self) -> dict[str, Arm]:
        """The ways that are tried, by name."""
        return {name: arm for name, arm in ARMS.items() if name not in self.on_suite.without}

    @property
    @override
    def runs(self) -> list[Run]:
        sizes = (self.timesteps, self.source_timesteps, self.n_tasks, self.n_envs_per_task, self.suite)
        # Seed by seed, so that a part of a study holds whole seeds.
        return [Run(arm, seed, *sizes) for seed, arm in product(self.seeds, self.arms)]


@dataclass(frozen=True)
class Results:
    """
    What came out for the seeds of which every run has ended.

    :param study: The study
    :param progress: How many of its runs there are, in words
    :param n_seeds: Seeds that are whole
    :param curves: Mean return over tasks by arm, each of shape (n_seeds, n_bins)
    :param zero_shot: Return of π0 on the new tasks before learning by arm, each of shape (n_seeds,)
    :param divergence: KL(πi‖π0) before learning by arm, in nats, each of shape (n_seeds,)
    """

    study: Study
    progress: str
    n_seeds: int
    curves: dict[str, Array]
    zero_shot: dict[str, Array]
    divergence: dict[str, Array]


def read_results(folder: Path) -> Results:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    found = {(run.arm, run.seed): own for run, own in outcomes.results.items()}
    seeds = [seed for seed in study.seeds if all((arm, seed) in found for arm in study.arms)]
    if not seeds:
        raise UsageError(f"No seed of the study in {folder} is whole ({outcomes.progress}). Wait for the first one.")
    curves, zero_shot, divergence = (
        {arm: np.array([np.mean(found[arm, seed][name], axis=0) for seed in seeds]) for arm in study.arms}
        for name in ("curves", "zero_shot", "initial_kl")
    )
    return Results(study, outcomes.progress, len(seeds), curves, zero_shot, divergence)
