"""The arenas of ``laser-tag``: walls, low barriers, and what a body and a shot meet. Flat arrays, no pictures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sb3_distral.tasks.batched import Array

#: Width of the square arena, whose middle is the origin, and of one of its 16 cells, in metres.
N_CELLS, CELL = 4, 3.0
SIZE = N_CELLS * CELL

#: Half the thickness of walls and barriers, in metres.
THICKNESS = 0.1

#: Probability that an edge between two cells has a wall along one half.
WALLED = 0.35

#: Centres of the cells, (x, z) in metres, shape ``(N_CELLS ** 2, 2)``: free in every arena.
CENTRES = (np.indices((N_CELLS, N_CELLS)).reshape(2, -1).T + 0.5) * CELL - SIZE / 2


class Boxes(NamedTuple):
    """
    Rectangles along the axes.

    :param centres: (x, z) in metres, shape ``(n, 2)``
    :param halves: half of the widths along x and z in metres, shape ``(n, 2)``
    """

    centres: Array
    halves: Array

    @property
    def corners(self) -> tuple[Array, Array]:
        """Low and high corner (x, z) of each box in metres, both of shape ``(n, 2)``."""
        return self.centres - self.halves, self.centres + self.halves

    def touch(self, points: Array, body: float) -> Array:
        """
        Tell which bodies overlap any of the boxes.

        :param points: middles of the bodies, shape ``(n_points, 2)``
        :param body: half the width of the bodies along x and z in metres
        :return: ``bool``, shape ``(n_points,)``
        """
        overlaps = np.abs(points[:, None] - self.centres) < self.halves + body
        touched: Array = overlaps.all(axis=2).any(axis=1)
        return touched

    def cut(self, starts: Array, ends: Array) -> Array:
        """
        Tell which lines meet any of the boxes.

        A line and a box are apart if their shadows are, along x, along z or across the line.

        :param starts: shape ``(n_lines, 2)`` or one that broadcasts to it
        :param ends: shape ``(n_lines, 2)``
        :return: ``bool``, shape ``(n_lines,)``
        """
        half = ((ends - starts) / 2)[:, None]
        reach = np.abs(half)
        offsets = ((starts + ends) / 2)[:, None] - self.centres
        across = np.abs(half[..., 0] * offsets[..., 1] - half[..., 1] * offsets[..., 0])
        meets = across <= (self.halves * reach[..., ::-1]).sum(axis=2)
        met: Array = (meets & (np.abs(offsets) <= self.halves + reach).all(axis=2)).any(axis=1)
        return met


class Arena(NamedTuple):
    """
    What stands in an arena.

    :param walls: stop steps, sight and shots; the first four are around the arena
    :param barriers: stop the steps of who is on the floor
    :param solid: both
    """

    walls: Boxes
    barriers: Boxes
    solid: Boxes


def make_arena(has_barriers: bool, generator: np.random.Generator) -> Arena:
    """
    Draw an arena of 4x4 cells.

    Each of the 24 edges between cells has a wall along one half or none, so every cell can be reached from every other.
    With barriers, one of the three lines along z and one of those along x are closed. They part the arena into four
    regions; between neighbours there is one gap of half an edge, and in it a barrier.

    :param has_barriers: whether there are barriers
    :param generator: source of all random choices
    :return: the arena
    """
    edges = (2, N_CELLS - 1, N_CELLS)
    has_wall, side = generator.random(edges) < WALLED, generator.integers(2, size=edges)
    closed, gaps = _draw_closed_lines(generator) if has_barriers else ((-1, -1), ((), ()))
    walls, barriers = [_outer_walls()], [np.zeros((0, 2, 2))]
    for axis, line, edge in np.ndindex(*edges):
        halves = [_box_on_line(axis, line + 1, edge + start, edge + start + 0.5) for start in (0.0, 0.5)]
        wall, rest = halves[:: 1 - 2 * side[axis, line, edge]]
        is_closed = line == closed[axis]
        if is_closed or has_wall[axis, line, edge]:
            walls.append(wall)
        if is_closed:
            (barriers if edge in gaps[axis] else walls).append(rest)
    parts = np.concatenate(walls), np.concatenate(barriers)
    return Arena(*(Boxes(boxes[:, 0], boxes[:, 1]) for boxes in (*parts, np.concatenate(parts))))


def _draw_closed_lines(generator: np.random.Generator) -> tuple[Sequence[int], Sequence[Sequence[int]]]:
    """Return the index of the closed line across each axis, and which of its edges have a gap."""
    closed = generator.integers(N_CELLS - 1, size=2).tolist()
    # Each closed line is cut in two by the other.
    gaps = [generator.integers([0, cut], [cut, N_CELLS]).tolist() for cut in (closed[1] + 1, closed[0] + 1)]
    return closed, gaps


def _box_on_line(axis: int, line: float, start: float, end: float) -> Array:
    """Return centre and half widths of a box on a line across ``axis``; lengths in cells, shape ``(1, 2, 2)``."""
    centre, half = [line * CELL, (start + end) / 2 * CELL], [THICKNESS, (end - start) / 2 * CELL + THICKNESS]
    order = slice(None, None, 1 if axis == 0 else -1)
    return np.array([[np.array(centre[order]) - SIZE / 2, half[order]]])


def _outer_walls() -> Array:
    """Return the four walls around the arena, whose inner sides are its border, shape ``(4, 2, 2)``."""
    beyond = THICKNESS / CELL
    sides = [(axis, line) for axis in (0, 1) for line in (-beyond, N_CELLS + beyond)]
    return np.concatenate([_box_on_line(axis, line, 0.0, N_CELLS) for axis, line in sides])


def choose_cells(n_cells: int, taken: Array, generator: np.random.Generator) -> Array:
    """
    Choose centres of cells in which there is nothing yet.

    :param n_cells: how many
    :param taken: (x, z) of what is somewhere, shape ``(n, 2)``
    :param generator: source of all random choices
    :return: different centres, shape ``(n_cells, 2)``
    """
    is_taken = (np.abs(CENTRES[:, None] - taken).max(axis=2) < CELL / 2).any(axis=1)
    cells: Array = generator.permutation(CENTRES[~is_taken])[:n_cells]
    return cells


def ahead(angles: Array) -> Array:
    """
    Turn angles into directions, as MiniWorld does.

    :param angles: in radians, shape ``(n,)`` or none; 0 looks along x, a quarter turn against z
    :return: unit vectors (x, z), shape ``(n, 2)`` or ``(2,)``
    """
    return np.array([np.cos(angles), -np.sin(angles)]).T


def slide(boxes: Boxes, points: Array, steps: Array, body: float) -> Array:
    """
    Move bodies, which slide along what they meet.

    :param boxes: what stops them
    :param points: middles of the bodies, shape ``(n_points, 2)``
    :param steps: how far they want to go in metres, less than their half width, shape ``(n_points, 2)``
    :param body: half the width of the bodies along x and z in metres
    :return: new middles, shape ``(n_points, 2)``
    """
    moved = points + steps
    if not boxes.touch(moved, body).any():
        return moved
    moved = points.copy()
    for axis in (0, 1):
        moved[:, axis] += steps[:, axis]
        stopped = boxes.touch(moved, body)
        moved[stopped, axis] = points[stopped, axis]
    return moved


def hits(walls: Boxes, starts: Array, angles: Array, targets: Array, radius: float) -> Array:
    """
    Tell which shots hit their target; walls stop shots, heights do not count.

    :param walls: what stops shots
    :param starts: where the shots begin, shape ``(n, 2)`` or one that broadcasts to it
    :param angles: directions of the shots in radians, shape ``(n,)`` or one that broadcasts to it
    :param targets: centres of the targets, shape ``(n, 2)`` or one that broadcasts to it
    :param radius: how far beside the centre a shot still hits, in metres
    :return: ``bool``, shape ``(n,)``
    """
    offsets, directions = targets - starts, ahead(angles)
    along = (offsets * directions).sum(axis=1)
    nearest = starts + along[:, None] * directions
    beside = np.square(targets - nearest).sum(axis=1)
    hit: Array = (along > 0.0) & (beside < radius**2) & ~walls.cut(starts, nearest)
    return hit
