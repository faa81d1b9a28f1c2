"""Cells of a grid and the moves between them."""

import numpy as np

from sb3_distral.tasks.batched import Array

#: Change of (row, column) by the moves up, down, left and right.
MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])


def free_cells(walls: Array) -> Array:
    """
    List the cells that are not walls, row by row; a cell's place in this list is its index.

    :param walls: ``bool``, shape ``(height, width)``
    :return: (row, column) of each free cell, ``int64``, shape ``(n_cells, 2)``
    """
    return np.argwhere(~walls)


def next_cells(walls: Array, moves: Array) -> Array:
    """
    Tabulate the deterministic moves; a move into a wall leaves the agent where it is.

    :param walls: ``bool``, shape ``(height, width)``, with walls all along the border
    :param moves: change of (row, column) by each action, shape ``(n_actions, 2)``
    :return: index of the next free cell by cell and action, ``int64``, shape ``(n_cells, n_actions)``
    """
    cells = free_cells(walls)
    index = np.full(walls.shape, -1)
    index[tuple(cells.T)] = np.arange(len(cells))
    rows, columns = np.moveaxis(cells[:, None] + moves, -1, 0)
    targets = index[rows, columns]
    return np.where(targets < 0, np.arange(len(cells))[:, None], targets)
