"""What can be reached in ``grid-likeness``: exact returns, by dynamic programming over cells."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sb3_distral.tasks.grids.cells import MOVES, next_cells
from sb3_distral.tasks.grids.likeness import GridLikeness

Array = npt.NDArray[np.float64]


class BestReturns(NamedTuple):
    """
    Best expected returns of an episode, mean over tasks.

    :param own: With a policy for each task
    :param one_for_all: With one policy that is not told the task
    """

    own: float
    one_for_all: float


def best_returns(likeness: float, maze_seed: int = 0, n_tasks: int = 8) -> BestReturns:
    """
    Compute what can be reached.

    All tasks have the same moves, so that a policy for all of them plans with the mean of their rewards.

    :param likeness: The dial
    :param maze_seed: Seed of the suite
    :param n_tasks: Number of tasks
    :return: The best returns
    """
    batch = GridLikeness(range(n_tasks), likeness, maze_seed)
    own = [best_return(batch, payoff) for payoff in batch.payoffs]
    return BestReturns(float(np.mean(own)), best_return(batch, batch.payoffs.mean(axis=0)))


def best_return(batch: GridLikeness, payoff: Array) -> float:
    """
    Compute the best expected return of an episode.

    :param batch: Tasks, for their maze
    :param payoff: Reward of every action in every cell, shape (n_cells, 4)
    :return: Return of a planner that knows how many steps remain
    """
    moved = next_cells(batch.maze.walls, MOVES)
    is_switch = batch.payoffs[0] != 0
    values = np.zeros(len(moved))
    for _ in range(batch.max_episode_steps):
        values = np.where(is_switch, payoff + values.mean(), values[moved]).max(axis=1)
    return float(values.mean())
