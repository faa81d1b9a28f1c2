"""One run: the tasks of a seed as tables, and what both methods learn of them."""

from itertools import count, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.two_rooms.study import METHODS, PHASES, Run
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

N_ACTIONS = len(ACTIONS)
#: Previous actions: none at the start of an episode, then those of ``ACTIONS``.
N_PREVIOUS = N_ACTIONS + 1
#: Bins of the previous reward: not against a wall, against a wall. The goal's reward is never a previous one.
N_BINS = 2
N_STATES = N_CELLS * N_PREVIOUS * N_BINS
#: Cells of the corridor from left to right, shape (CORRIDOR_LENGTH,).
CORRIDOR = np.flatnonzero((CELLS[:, 1] > ROOM_SIZE) & (CELLS[:, 1] < WALLS.shape[1] - 1 - ROOM_SIZE))


def draw_goals(seed: int, n_tasks: int) -> Array:
    """
    Draw the tasks of a seed. A test task has a goal that no training task has.

    :param seed: The seed
    :param n_tasks: Tasks of each phase
    :return: Goal cells of the training tasks and of the test tasks, shape (2, n_tasks)
    """
    training = [goal_cell(task, seed) for task in range(n_tasks)]
    unseen = (goal for task in count(n_tasks) if (goal := goal_cell(task, seed)) not in training)
    return np.array([training, list(islice(unseen, n_tasks))])


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


def learn(run: Run) -> dict[str, Any]:
    """
    Learn the training tasks, then the test tasks anew, with both methods.

    On the test tasks π0 is that of the end of training and stays as it is; separate learning has a uniform π0 always.

    :param run: The run
    :return: For JSON what :class:`~experiments.two_rooms.study.Results` has of one seed
    """
    goals = draw_goals(run.seed, run.n_tasks)
    returns = np.empty((len(METHODS), len(PHASES), run.n_iterations), dtype=np.float32)
    uniform = np.full((1, N_STATES, N_ACTIONS), 1 / N_ACTIONS)
    trained = uniform
    for method, phase in np.ndindex(len(METHODS), len(PHASES)):
        prior = uniform if method else (trained if phase else None)
        generator = np.random.default_rng([run.seed, phase])
        learner = TabularDistral(make_tasks(goals[None, phase]), [generator], distilled_policy=prior)
        for iteration in range(run.n_iterations):
            returns[method, phase, iteration] = learner.iterate(run.n_rollouts, run.length).mean()
        trained = learner.distilled_policy if method == phase == 0 else trained
    by_state = trained.reshape(N_CELLS, N_PREVIOUS, N_BINS, N_ACTIONS)
    # As text a single-precision number has fewer digits, and is the same when read back.
    short = returns.astype(str).astype(float)
    return {"returns": short.tolist(), "corridor": by_state[CORRIDOR, 1:, 0].tolist(), "goals": goals.tolist()}
