"""The study as data, and its results as arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from experiments.common import study as common
from experiments.common.store import read_done

Array = npt.NDArray[Any]

METHODS = ("Distral", "separate")
PHASES = ("training", "test")


@dataclass(frozen=True)
class Run(common.Run):
    """Both methods on the tasks of one seed."""

    seed: int
    n_iterations: int
    n_tasks: int
    n_rollouts: int
    length: int

    @property
    @override
    def key(self) -> str:
        return f"seed{self.seed}"


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All seeds.

    :param seeds: Seeds of tasks and roll-outs
    :param n_iterations: Iterations of each method in each phase
    :param n_tasks: Tasks that are learned together, in each phase
    :param n_rollouts: Roll-outs of each task in an iteration
    :param length: Steps of a roll-out that does not reach the goal
    """

    seeds: tuple[int, ...]
    n_iterations: int = 1000
    n_tasks: int = 8
    n_rollouts: int = 10
    length: int = 100

    kind: ClassVar[str] = "two-rooms"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @property
    @override
    def runs(self) -> list[Run]:
        return [Run(seed, self.n_iterations, self.n_tasks, self.n_rollouts, self.length) for seed in self.seeds]


class Results(NamedTuple):
    """
    What came out of the study.

    :param seeds: The seeds in ascending order, shape (n_seeds,)
    :param returns: Sum of rewards of a roll-out, mean over the tasks and roll-outs of an iteration,
        shape (n_seeds, methods, phases, n_iterations)
    :param corridor: π0 after training in the corridor by cell, previous action and action, where the previous action
        did not run into a wall, shape (n_seeds, n_cells, n_actions, n_actions)
    :param goals: Goal cells of the tasks, shape (n_seeds, phases, n_tasks)
    """

    seeds: Array
    returns: Array
    corridor: Array
    goals: Array

    def of(self, rows: Array) -> "Results":
        """
        Choose seeds.

        :param rows: Indices of seeds, repeated or not
        :return: Their results
        """
        return Results(*(array[rows] for array in self))


def read_results(folder: Path) -> Results:
    """
    Read the study, complete or not.

    :param folder: Its folder
    :return: Results of the seeds that are done
    :raises UsageError: If there is no study, or no seed is done
    """
    _, outcomes = read_done(folder, Study)
    by_seed = {run.seed: outcomes.results[run] for run in sorted(outcomes.results, key=lambda run: run.seed)}
    returns, corridor, goals = (
        np.array([own[name] for own in by_seed.values()]) for name in ("returns", "corridor", "goals")
    )
    return Results(np.array(list(by_seed)), returns.astype(np.float32), corridor, goals)
