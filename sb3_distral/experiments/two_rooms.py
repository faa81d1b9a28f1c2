"""
The study ``two-rooms``: Figure 3 of the paper, tabular Distral beside separate soft Q-learning.

``run_study`` learns, seed by seed; ``results.npz`` holds what came out and ``study.json`` how it was made.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable
from itertools import count, islice
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from sb3_distral.experiments.provenance import provenance
from sb3_distral.experiments.study_file import STUDY, check_folder, read_record, write_record
from sb3_distral.files import atomic_write
from sb3_distral.method.tabular import TabularDistral, TabularTasks
from sb3_distral.tasks.grids.two_rooms import (
    ACTIONS,
    CELLS,
    GOAL_REWARD,
    N_CELLS,
    NEXT_CELL,
    ROOM_SIZE,
    RUNS_INTO_WALL,
    STEP_REWARD,
    WALL_REWARD,
    WALLS,
    goal_cell,
)

Array = npt.NDArray[Any]

KIND = "two-rooms"
RESULTS = "results.npz"
METHODS = ("Distral", "separate")
PHASES = ("training", "test")
N_TASKS, N_ROLLOUTS, LENGTH = 8, 10, 100
#: Seeds that learn together, between two writings of the results.
SEEDS_AT_ONCE = 5

N_ACTIONS = len(ACTIONS)
#: Previous actions: none at the start of an episode, then those of ``ACTIONS``.
N_PREVIOUS = N_ACTIONS + 1
#: Bins of the previous reward: not against a wall, against a wall. The goal's reward is never a previous one.
N_BINS = 2
N_STATES = N_CELLS * N_PREVIOUS * N_BINS
#: Cells of the corridor from left to right, shape (CORRIDOR_LENGTH,).
CORRIDOR = np.flatnonzero((CELLS[:, 1] > ROOM_SIZE) & (CELLS[:, 1] < WALLS.shape[1] - 1 - ROOM_SIZE))


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
        :param rows: Indices of seeds, repeated or not
        :return: Their results
        """
        return Results(*(array[rows] for array in self))

    def joined(self, other: "Results") -> "Results":
        """
        :param other: Results of other seeds
        :return: Results of all seeds
        """
        both = Results(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))
        return both.of(np.argsort(both.seeds))


def draw_goals(seed: int) -> Array:
    """
    Draw the tasks of a seed. A test task has a goal that no training task has.

    :param seed: The seed
    :return: Goal cells of the training tasks and of the test tasks, shape (2, N_TASKS)
    """
    training = [goal_cell(task, seed) for task in range(N_TASKS)]
    unseen = (goal for task in count(N_TASKS) if (goal := goal_cell(task, seed)) not in training)
    return np.array([training, list(islice(unseen, N_TASKS))])


def make_tasks(goals: Array) -> TabularTasks:
    """
    Tabulate the tasks over the states (cell, previous action, bin of the previous reward).

    :param goals: Goal cells, shape (n_seeds, n_tasks)
    :return: The tables
    """
    cells = np.arange(N_STATES) // (N_PREVIOUS * N_BINS)
    against_wall = RUNS_INTO_WALL[cells]
    next_state = (NEXT_CELL[cells] * N_PREVIOUS + 1 + np.arange(N_ACTIONS)) * N_BINS + against_wall
    ends = NEXT_CELL[cells] == goals[..., None, None]
    rewards = np.where(ends, GOAL_REWARD, np.where(against_wall, WALL_REWARD, STEP_REWARD))
    places = np.arange(N_CELLS - 1)
    starts = (places + (places >= goals[..., None])) * N_PREVIOUS * N_BINS
    return TabularTasks(next_state, rewards, ends, starts)


def run_seeds(seeds: list[int], n_iterations: int, advance: Callable[[int], object]) -> Results:
    """
    Learn the training tasks, then the test tasks anew, with both methods.

    On the test tasks π0 is that of the end of training and stays as it is; separate learning has a uniform π0 always.

    :param seeds: Seeds of tasks and roll-outs
    :param n_iterations: Iterations of each method in each phase
    :param advance: Called with the number of seeds after each iteration
    :return: The results
    """
    goals = np.stack([draw_goals(seed) for seed in seeds])
    returns = np.empty((len(seeds), len(METHODS), len(PHASES), n_iterations), dtype=np.float32)
    uniform = np.full((len(seeds), N_STATES, N_ACTIONS), 1 / N_ACTIONS)
    trained = uniform
    for method, phase in np.ndindex(len(METHODS), len(PHASES)):
        prior = uniform if method else (trained if phase else None)
        generators = [np.random.default_rng([seed, phase]) for seed in seeds]
        learner = TabularDistral(make_tasks(goals[:, phase]), generators, distilled_policy=prior)
        for iteration in range(n_iterations):
            returns[:, method, phase, iteration] = learner.iterate(N_ROLLOUTS, LENGTH).mean(axis=(1, 2))
            advance(len(seeds))
        trained = learner.distilled_policy if method == phase == 0 else trained
    by_state = trained.reshape(-1, N_CELLS, N_PREVIOUS, N_BINS, N_ACTIONS)
    return Results(np.array(seeds), returns, by_state[:, :, 1:, 0][:, CORRIDOR], goals)


def run_study(folder: Path, seeds: Iterable[int], n_iterations: int, command: str = "") -> Results:
    """
    Learn with the seeds that are not done yet and write the results after every ``SEEDS_AT_ONCE`` of them.

    :param folder: Folder of the results
    :param seeds: The seeds
    :param n_iterations: Iterations of each method in each phase
    :param command: The command, for the record
    :return: Results of all seeds in the folder
    :raises ValueError: If the folder holds another study, or results of another number of iterations
    """
    check_folder(folder, KIND)
    results = read_results(folder)
    if results is not None and results.returns.shape[-1] != n_iterations:
        raise ValueError(
            f"--n-iterations is {n_iterations}, but {folder} holds results of {results.returns.shape[-1]} iterations. "
            "Pass that number, or another --output."
        )
    todo = [seed for seed in seeds if results is None or seed not in results.seeds]
    n_steps = len(todo) * n_iterations * len(METHODS) * len(PHASES)
    with tqdm(total=n_steps, desc=KIND, unit="iteration", unit_scale=True, disable=not todo) as bar:
        for first in range(0, len(todo), SEEDS_AT_ONCE):
            chunk = todo[first : first + SEEDS_AT_ONCE]
            start = perf_counter()
            new = run_seeds(chunk, n_iterations, bar.update)
            results = new if results is None else results.joined(new)
            write_results(folder, results, record(command, chunk, perf_counter() - start))
    assert results is not None
    return results


def record(command: str, seeds: list[int], seconds: float) -> dict[str, Any]:
    """
    :param command: The command
    :param seeds: Seeds that were done
    :param seconds: Time it took
    :return: How they were made, for JSON
    """
    made_by = provenance(("sb3-distral", "numpy"))
    return {"command": command, "seeds": seeds, "seconds": round(seconds, 1), **made_by}


def write_results(folder: Path, results: Results, run: dict[str, Any]) -> None:
    """
    :param folder: Folder of the results
    :param results: All results
    :param run: How the new ones were made
    """
    with atomic_write(folder / RESULTS) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **results._asdict())
    runs = read_record(folder, KIND)["runs"] if (folder / STUDY).exists() else []
    settings = {
        "n_tasks": N_TASKS,
        "n_rollouts": N_ROLLOUTS,
        "length": LENGTH,
        "n_iterations": results.returns.shape[-1],
    }
    write_record(folder, {"kind": KIND, "settings": settings, "runs": [*runs, run]})


def read_results(folder: Path) -> Results | None:
    """
    :param folder: Folder of the results
    :return: The results; ``None`` if there are none, or if the file is damaged, which is said
    """
    path = folder / RESULTS
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return Results(**arrays)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, TypeError, ValueError) as error:
        print(f"{path} is damaged ({error!r}): its seeds have to be done again.")
        return None
