"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from typing_extensions import override

from experiments.common import study as common
from experiments.common.curves import check_bins
from experiments.common.store import read_done
from experiments.common.sweeps import Place, Sweep, gathered

#: Unseen mazes: two in which π0 finds goals, and two in which it finds none or nearly none.
MAZES = (9, 11, 3, 5)


class Way(NamedTuple):
    """
    A way to learn a new maze.

    :param label: Its name in tables
    :param temperature: Of the start from π0; ``None``: from nothing
    :param has_prior: Whether π0 is in the reward
    """

    label: str
    temperature: float | None = None
    has_prior: bool = False


WAYS = {
    "nothing": Way("PPO from nothing"),
    "start": Way("starts from π0", 1.0),
    "start-tempered": Way("starts from π0, temperature 4", 4.0),
    "prior": Way("π0 in the reward", has_prior=True),
}


@dataclass(frozen=True)
class Run(common.Run):
    """PPO on one unseen maze in one way."""

    maze: int
    way: str
    seed: int
    timesteps: int
    source_timesteps: int
    n_envs: int

    @property
    @override
    def key(self) -> str:
        return f"maze{self.maze}-{self.way}-seed{self.seed}"

    @property
    def place(self) -> Place:
        """Which of the runs that share a seed."""
        return Place(self.maze, self.way)


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All mazes and ways with all seeds.

    :param seeds: Seeds of PPO
    :param mazes: Unseen mazes, as ``maze_seed=1`` numbers them
    :param timesteps: Steps of a run
    :param source_timesteps: Steps of the training that π0 comes from, all its mazes together
    :param n_envs: Sub-environments of a run
    """

    seeds: tuple[int, ...]
    mazes: tuple[int, ...] = MAZES
    timesteps: int = 64_000
    source_timesteps: int = 307_200
    n_envs: int = 64

    kind: ClassVar[str] = "warm-start"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_bins(self.timesteps, self.n_envs)

    @property
    @override
    def runs(self) -> list[Run]:
        # Seed by seed, so that a part of a study holds whole seeds.
        places = product(self.seeds, self.mazes, WAYS)
        return [Run(maze, way, seed, self.timesteps, self.source_timesteps, self.n_envs) for seed, maze, way in places]


class Results(NamedTuple):
    """
    What came out.

    :param study: The study
    :param sweep: Its runs, with mazes as values and ways as algorithms
    :param zero_shot: Return of π0 by maze, before learning
    """

    study: Study
    sweep: Sweep
    zero_shot: dict[int, float]


def read_results(folder: Path) -> Results:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results of the seeds that are whole
    :raises UsageError: If there is no study, or no seed is whole
    """
    study, outcomes = read_done(folder, Study)
    found: dict[tuple[Place, int], Any] = {(run.place, run.seed): own for run, own in outcomes.results.items()}
    places = [Place(maze, way) for maze, way in product(study.mazes, WAYS)]
    sweep = gathered(outcomes.progress, places, study.seeds, found)
    zero_shot = {maze: float(sweep.numbers["zero_shot"][Place(maze, "start")].mean()) for maze in study.mazes}
    return Results(study, sweep, zero_shot)
