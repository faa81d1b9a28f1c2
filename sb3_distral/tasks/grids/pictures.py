"""Pictures of grids: shapes drawn into cells."""

import numpy as np
import numpy.typing as npt

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.layered import TRAIL, WALL, WIDTH

#: Width and height of a drawn cell in pixels.
CELL_PIXELS = 24

WALL_COLOUR, FLOOR_COLOUR, GOAL_COLOUR, AGENT_COLOUR = (45, 50, 60), (240, 238, 230), (70, 170, 90), (215, 70, 50)

Colour = tuple[int, int, int]

DOOR_COLOUR, START_COLOUR, REWARD_COLOUR, TRAIL_COLOUR = (150, 90, 40), (50, 110, 210), (240, 190, 40), (235, 185, 175)
CHASER_COLOUR, FLEER_COLOUR, PATROL_COLOUR = (120, 40, 150), (50, 160, 220), (60, 140, 80)
LOW_COLOUR, NOTCH_COLOUR = (135, 140, 150), (60, 10, 10)

_OFFSETS = np.abs(np.arange(CELL_PIXELS) - (CELL_PIXELS - 1) / 2) / CELL_PIXELS
_ROUND, _SQUARE = np.hypot(_OFFSETS[:, None], _OFFSETS), np.maximum(_OFFSETS[:, None], _OFFSETS)

#: Shapes, ``bool``, shape ``(CELL_PIXELS, CELL_PIXELS)``.
DISC, SMALL_DISC, SQUARE, DIAMOND = _ROUND <= 0.36, _ROUND <= 0.2, _SQUARE <= 0.42, _OFFSETS[:, None] + _OFFSETS <= 0.42
FRAME = (_SQUARE > 0.32) & (_SQUARE <= 0.44)
BARS = (np.indices(DISC.shape).sum(axis=0) % 8 < 4) & (_SQUARE <= 0.44)
#: A notch at the edge of the cell that an agent faces, by move.
_NOTCH = (_OFFSETS <= 0.12) & (np.arange(CELL_PIXELS)[:, None] < CELL_PIXELS // 3)
NOTCHES = np.stack([np.rot90(_NOTCH, turns) for turns in (0, 2, 1, 3)])
#: Likewise the edge itself, where a switch is.
_EDGE = (_OFFSETS <= 0.42) & (np.arange(CELL_PIXELS)[:, None] < CELL_PIXELS // 4)
EDGES = np.stack([np.rot90(_EDGE, turns) for turns in (0, 2, 1, 3)])


def draw_grid(walls: Array, position: Array, goal: Array) -> npt.NDArray[np.uint8]:
    """
    Draw a grid: dark walls, light floor, a green goal and the agent as a red disc.

    :param walls: ``bool``, shape ``(height, width)``
    :param position: (row, column) of the agent
    :param goal: (row, column) of the goal
    :return: ``uint8``, shape ``(CELL_PIXELS * height, CELL_PIXELS * width, 3)``
    """
    colours = _colours(walls)
    colours[tuple(goal)] = GOAL_COLOUR
    return _enlarged(colours, position)


def draw_switches(walls: Array, position: Array, passages: Array, payoffs: Array) -> npt.NDArray[np.uint8]:
    """
    Draw a grid as :func:`draw_grid` does, with switches for a goal: green those that pay, purple those that cost.

    :param walls: ``bool``, shape ``(height, width)``
    :param position: (row, column) of the agent
    :param passages: (row, column) of the cells with switches, shape ``(n_passages, 2)``
    :param payoffs: reward by passage and move, 0 where there is no switch, shape ``(n_passages, 4)``
    :return: ``uint8``, shape ``(CELL_PIXELS * height, CELL_PIXELS * width, 3)``
    """
    picture = _enlarged(_colours(walls), position)
    for passage, move in np.argwhere(payoffs):
        top, left = passages[passage] * CELL_PIXELS
        colour = GOAL_COLOUR if payoffs[passage, move] > 0 else CHASER_COLOUR
        picture[top : top + CELL_PIXELS, left : left + CELL_PIXELS][EDGES[move]] = colour
    return picture


def _colours(walls: Array) -> npt.NDArray[np.uint8]:
    return np.where(walls[..., None], WALL_COLOUR, FLOOR_COLOUR).astype(np.uint8)


def _enlarged(colours: npt.NDArray[np.uint8], position: Array) -> npt.NDArray[np.uint8]:
    picture = colours.repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)
    # Faint lines let a person count the cells of an open room.
    for lines in (picture[::CELL_PIXELS], picture[:, ::CELL_PIXELS]):
        lines[...] = lines * 0.9
    top, left = np.asarray(position) * CELL_PIXELS
    picture[top : top + CELL_PIXELS, left : left + CELL_PIXELS][DISC] = AGENT_COLOUR
    return picture


def draw_floor(layers: Array) -> npt.NDArray[np.uint8]:
    """
    Draw walls, floor and footprints of a maze made of layers.

    :param layers: layers of one maze, shape ``(n_layers, WIDTH ** 2)``
    :return: picture of the maze and the ring around it, ``uint8``
    """
    trail = layers[TRAIL, :, None]
    floor = (1.0 - trail) * FLOOR_COLOUR + trail * TRAIL_COLOUR
    colours = np.where(layers[WALL, :, None] > 0.0, WALL_COLOUR, floor).astype(np.uint8).reshape(WIDTH, WIDTH, 3)
    return colours.repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)


def draw(picture: npt.NDArray[np.uint8], cells: Array, shape: Array, colour: Colour) -> None:
    """
    Draw a shape into cells.

    :param picture: as :func:`draw_floor` returns; changed in place
    :param cells: the cells
    :param shape: ``bool``, shape ``(CELL_PIXELS, CELL_PIXELS)``
    :param colour: red, green and blue, from 0 to 255
    """
    for cell in np.atleast_1d(cells):
        top, left = (cell // WIDTH) * CELL_PIXELS, (cell % WIDTH) * CELL_PIXELS
        picture[top : top + CELL_PIXELS, left : left + CELL_PIXELS][shape] = colour


def finish(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """
    Cut off the ring around the maze.

    :param picture: as :func:`draw_floor` returns
    :return: shape ``(CELL_PIXELS * SIZE, CELL_PIXELS * SIZE, 3)``
    """
    return picture[CELL_PIXELS:-CELL_PIXELS, CELL_PIXELS:-CELL_PIXELS].copy()
