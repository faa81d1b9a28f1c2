"""Randomised depth-first search: how all mazes are carved."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sb3_distral.tasks.grids.cells import MOVES

#: Part of the walls between two corridors that is opened after the depth-first search, so that there are loops.
EXTRA_OPENINGS = 0.08


def join_rooms(
    neighbours: Mapping[int, Sequence[int]], first: int, choose: Callable[[int], int]
) -> list[tuple[int, int]]:
    """
    Join all rooms by a randomised depth-first search.

    :param neighbours: rooms beside each room
    :param first: room to begin with
    :param choose: draws an index less than the number given
    :return: pairs of rooms to join, one less than rooms: every room can be reached from every other in one way
    """
    path, unvisited, joined = [first], set(neighbours) - {first}, []
    while path:
        targets = [room for room in neighbours[path[-1]] if room in unvisited]
        if not targets:
            path.pop()
            continue
        target = targets[choose(len(targets))]
        unvisited.remove(target)
        joined.append((path[-1], target))
        path.append(target)
    return joined


def carve_maze(size: int, generator: np.random.Generator, openings: float = EXTRA_OPENINGS) -> npt.NDArray[np.bool_]:
    """
    Make a maze by a randomised depth-first search, then open some of the remaining inner walls.

    :param size: width and height in cells, border included, odd
    :param generator: source of all random choices
    :param openings: part of the inner walls between two corridors to open, from 0 to 1
    :return: walls, ``bool``, shape ``(size, size)``; every free cell can be reached from every other
    """
    walls = np.ones((size, size), dtype=np.bool_)
    # Rooms lie on the odd coordinates, two cells apart; the cell between is the wall to open.
    walls[1::2, 1::2] = False
    neighbours: dict[int, list[int]] = {}
    for room in np.argwhere(~walls):
        beside = room + 2 * MOVES
        inside = ((beside > 0) & (beside < size)).all(axis=1)
        neighbours[int(room @ [size, 1])] = (beside[inside] @ [size, 1]).tolist()
    joined = join_rooms(neighbours, min(neighbours), lambda n_targets: int(generator.integers(n_targets)))
    walls.ravel()[[(room + other) // 2 for room, other in joined]] = False
    return _open_extra(walls, generator, openings)


def _open_extra(walls: npt.NDArray[np.bool_], generator: np.random.Generator, openings: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.indices(walls.shape)
    # One odd and one even coordinate: between two corridors. On the border there is nothing behind the wall.
    between = walls & ((rows + columns) % 2 == 1)
    between[[0, -1], :] = between[:, [0, -1]] = False
    candidates = np.argwhere(between)
    chosen = generator.permutation(candidates)[: round(openings * len(candidates))]
    opened = walls.copy()
    opened[tuple(chosen.T)] = False
    return opened
