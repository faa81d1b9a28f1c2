"""Mazes of blocks as rooms of MiniWorld."""

from typing import Any

import numpy as np
from miniworld.miniworld import TEX_DENSITY, Room
from typing_extensions import override

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.cells import MOVES

#: Width of a cell in metres; columns count along x, rows along z.
CELL = 2.0

#: Height of the walls in metres: the agent sees the sky above them and nothing behind them.
HEIGHT = 2.0

#: Corners of a quad as parts of its width and its height, in OpenGL's order: counter-clockwise from the lower right.
_CORNERS = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])


def wall_sides(walls: Array) -> Array:
    """
    List the sides of walls that can be seen from free cells.

    :param walls: ``bool``, shape ``(rows, columns)``, with walls all along the border
    :return: ends (x, z) of each side in metres, the right one first as seen from the free cell, shape ``(n, 2, 2)``
    """
    sides = []
    for move in MOVES:
        free = np.argwhere(~walls)
        ahead = move[::-1]
        to_the_right = np.array([-ahead[1], ahead[0]])
        cells = free[walls[tuple((free + move).T)]]
        middles = cells[:, ::-1] + 0.5 + ahead / 2
        sides.append(np.stack([middles + to_the_right / 2, middles - to_the_right / 2], axis=1))
    return np.concatenate(sides) * CELL


def raise_walls(sides: Array) -> tuple[Array, Array, Array]:
    """
    Make upright quads.

    :param sides: as :func:`wall_sides` returns
    :return: four corners of each, their normals, both of shape ``(4 * n, 3)``, and how far they are along width and
        height in metres, shape ``(4 * n, 2)``
    """
    ways = sides[:, 1] - sides[:, 0]
    along, up = _CORNERS.T
    corners = np.empty((len(sides), 4, 3))
    corners[..., [0, 2]] = sides[:, :1] + along[:, None] * ways[:, None]
    corners[..., 1] = up * HEIGHT
    # Left of the way from the right end to the left end is the free cell.
    normals = np.stack([ways[:, 1], np.zeros(len(ways)), -ways[:, 0]], axis=1) / CELL
    extents = np.tile(_CORNERS * [CELL, HEIGHT], (len(sides), 1))
    return corners.reshape(-1, 3), normals.repeat(4, axis=0), extents


def cover_walls(walls: Array) -> tuple[Array, Array, Array]:
    """
    Make the tops of the blocks, which are seen from above only.

    :param walls: ``bool``, shape ``(rows, columns)``
    :return: as :func:`raise_walls`
    """
    floor_plan = (np.argwhere(walls)[:, None, ::-1] + _CORNERS[::-1, ::-1]).reshape(-1, 2) * CELL
    corners = np.insert(floor_plan, 1, HEIGHT, axis=1)
    return corners, np.tile([0.0, 1.0, 0.0], (len(corners), 1)), floor_plan


class BlockRoom(Room):  # type: ignore[misc]
    """
    A maze of blocks under the open sky.

    :param walls: ``bool``, shape ``(rows, columns)``, with walls all along the border
    :param wall_tex: MiniWorld's name of the texture of the blocks
    :param floor_tex: that of the floor
    """

    def __init__(self, walls: Array, wall_tex: str, floor_tex: str) -> None:
        rows, columns = walls.shape
        outline = np.array([[columns, rows], [columns, 0], [0, 0], [0, rows]]) * CELL
        super().__init__(outline=outline, wall_height=HEIGHT, wall_tex=wall_tex, floor_tex=floor_tex, no_ceiling=True)
        self.walls = walls

    @override
    def _gen_static_data(self, params: Any, rng: np.random.Generator | None) -> None:
        super()._gen_static_data(params, rng)
        sides = wall_sides(self.walls)
        parts = raise_walls(sides), cover_walls(self.walls)
        self.wall_verts, self.wall_norms, extents = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        self.wall_texcs = extents * [
            TEX_DENSITY / self.wall_tex.width,
            TEX_DENSITY / self.wall_tex.height,
        ]
        # What MiniWorld's own collisions know.
        self.wall_segs = np.insert(sides, 1, 0.0, axis=2)
