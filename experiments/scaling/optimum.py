"""What can be reached in ``grid-mazes``: exact returns, by dynamic programming over cells."""

import numpy as np

from sb3_distral.tasks.grids.cells import MOVES, free_cells, next_cells
from sb3_distral.tasks.grids.layouts import Layout
from sb3_distral.tasks.grids.mazes import GridMazes, make_maze


def best_return(maze: Layout, n_steps: int = GridMazes.max_episode_steps) -> float:
    """
    Plan in a maze.

    :param maze: A maze of ``grid-mazes``
    :param n_steps: Length of an episode
    :return: Expected return of the best policy
    """
    moved = next_cells(maze.walls, MOVES)
    at_goal = (free_cells(maze.walls) == maze.goal).all(axis=1)
    values = np.zeros(len(moved))
    for _ in range(n_steps):
        values = np.where(at_goal[moved], 1.0 + values[~at_goal].mean(), values[moved]).max(axis=1)
    return float(values[~at_goal].mean())


def best_mean_return(n_tasks: int, maze_seed: int) -> float:
    """
    Plan in all mazes of a training.

    :param n_tasks: Number of mazes
    :param maze_seed: Which mazes
    :return: Mean over mazes of the best expected return
    """
    return float(np.mean([best_return(make_maze(task, maze_seed=maze_seed)) for task in range(n_tasks)]))
