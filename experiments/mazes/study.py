"""The study as data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from experiments.common import study as common
from experiments.common.store import read_done

#: Name of the run whose actions are random.
RANDOM = "random actions"


@dataclass(frozen=True)
class Run(common.Run):
    """One training of one algorithm, or random actions, and the evaluation after it."""

    name: str
    total_timesteps: int
    seed: int
    n_episodes: int

    @property
    @override
    def key(self) -> str:
        return self.name


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    A run of each algorithm, and random actions.

    :param algorithms: Names of Table 1
    :param total_timesteps: Steps of each run, all mazes together
    :param seed: Seed of all runs
    :param n_episodes: Episodes of each maze in the evaluation after a training
    """

    algorithms: tuple[str, ...]
    total_timesteps: int = 1_000_000
    seed: int = 0
    n_episodes: int = 16

    kind: ClassVar[str] = "mazes"
    grows_by: ClassVar[tuple[str, ...]] = ("algorithms",)

    @property
    @override
    def runs(self) -> list[Run]:
        return [Run(name, self.total_timesteps, self.seed, self.n_episodes) for name in (*self.algorithms, RANDOM)]


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results by algorithm, and those of :data:`RANDOM`
    :raises UsageError: If there is no study, or no run that has ended
    """
    _, outcomes = read_done(folder, Study)
    return {run.name: results for run, results in outcomes.results.items()}
