"""What all grid suites share: cells, moves, one agent per sub-environment, its observation and its picture."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from sb3_distral.errors import UsageError
from sb3_distral.tasks.adapters import SingleTaskEnv
from sb3_distral.tasks.batched import Array, BatchedTasks

#: Change of (row, column) by the moves up, down, left and right.
MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])

#: Width and height of a drawn cell in pixels.
CELL_PIXELS = 24

WALL_COLOUR, FLOOR_COLOUR, GOAL_COLOUR, AGENT_COLOUR = (45, 50, 60), (240, 238, 230), (70, 170, 90), (215, 70, 50)


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


def draw_grid(walls: Array, position: Array, goal: Array) -> npt.NDArray[np.uint8]:
    """
    Draw a grid: dark walls, light floor, a green goal and the agent as a red disc.

    :param walls: ``bool``, shape ``(height, width)``
    :param position: (row, column) of the agent
    :param goal: (row, column) of the goal
    :return: ``uint8``, shape ``(CELL_PIXELS * height, CELL_PIXELS * width, 3)``
    """
    colours = np.where(walls[..., None], WALL_COLOUR, FLOOR_COLOUR).astype(np.uint8)
    colours[tuple(goal)] = GOAL_COLOUR
    picture = colours.repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)
    # Faint lines let a person count the cells of an open room.
    for lines in (picture[::CELL_PIXELS], picture[:, ::CELL_PIXELS]):
        lines[...] = lines * 0.9
    offsets = np.arange(CELL_PIXELS) - (CELL_PIXELS - 1) / 2
    disc = offsets[:, None] ** 2 + offsets**2 <= (0.36 * CELL_PIXELS) ** 2
    top, left = np.asarray(position) * CELL_PIXELS
    picture[top : top + CELL_PIXELS, left : left + CELL_PIXELS][disc] = AGENT_COLOUR
    return picture


class Layout(NamedTuple):
    """
    What distinguishes a task from the others of its suite.

    :param walls: ``bool``, shape ``(height, width)``, with walls all along the border
    :param goal: (row, column) of the goal, a free cell
    :param features: the part of the observation that the cell decides, values from 0 to 1, ``float32``,
        shape ``(n_cells, n_features)``, cells as in :func:`free_cells`
    """

    walls: Array
    goal: Array
    features: Array


class GridTasks(BatchedTasks):
    """
    One agent per sub-environment on a grid with a fixed goal; a task is a layout.

    The observation is a fixed feature vector of the cell, then the previous action (one-hot, zeros at the start of
    an episode) and the previous reward (0 at the start). Every episode starts at a uniformly drawn cell that is not
    the goal.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param make_layout: gives the layout of a task; all have the same shapes and the same number of free cells
    :param moves: change of (row, column) by each action, shape ``(n_actions, 2)``
    :param lowest_reward: the lowest reward of a step; the highest is 1
    """

    state_arrays: ClassVar[tuple[str, ...]] = ("cell", "previous_action", "previous_reward")
    row_attributes: ClassVar[tuple[str, ...]] = (*state_arrays, "tasks", "walls", "position", "goal")

    def __init__(
        self,
        tasks: Sequence[int],
        make_layout: Callable[[int], Layout],
        moves: Array,
        lowest_reward: float,
    ) -> None:
        super().__init__(tasks)
        distinct, self._layout = np.unique(self.tasks, return_inverse=True)
        layouts = [make_layout(int(task)) for task in distinct]
        self._walls = np.stack([layout.walls for layout in layouts])
        self._features = np.stack([layout.features for layout in layouts])
        self._positions = np.stack([free_cells(layout.walls) for layout in layouts])
        self._next_cell = np.stack([next_cells(layout.walls, moves) for layout in layouts])
        at_goal = (self._positions == np.stack([layout.goal for layout in layouts])[:, None]).all(axis=-1)
        self._goal_cell = at_goal.argmax(axis=1)[self._layout]
        # The zeros of an episode without a previous action are the last row, at index -1.
        self._one_hot_action = np.eye(len(moves) + 1, len(moves), dtype=np.float32)

        n_values = self._features.shape[-1] + len(moves) + 1
        low = np.zeros(n_values, dtype=np.float32)
        low[-1] = lowest_reward
        self.observation_space = spaces.Box(low, np.ones(n_values, dtype=np.float32))
        self.action_space = spaces.Discrete(len(moves))
        self.cell, self.previous_action = np.zeros((2, self.n_envs), dtype=np.int64)
        self.previous_reward = np.zeros(self.n_envs, dtype=np.float32)
        self._begin_episode(np.arange(self.n_envs))

    @property
    def walls(self) -> Array:
        """Walls of each sub-environment, ``bool``, shape ``(n_envs, height, width)``."""
        walls: Array = self._walls[self._layout]
        return walls

    @property
    def position(self) -> Array:
        """(row, column) of each agent, shape ``(n_envs, 2)``."""
        positions: Array = self._positions[self._layout, self.cell]
        return positions

    @property
    def goal(self) -> Array:
        """(row, column) of each goal, shape ``(n_envs, 2)``."""
        goals: Array = self._positions[self._layout, self._goal_cell]
        return goals

    @property
    def fingerprint(self) -> str:
        """Digest of walls, goals and the task of each sub-environment."""
        arrays = (self._walls, self._goal_cell, self._layout)
        return sha256(type(self).__name__.encode() + b"".join(array.tobytes() for array in arrays)).hexdigest()

    def _place(self, rows: Array) -> None:
        """Put the agents of ``rows`` at free cells, uniformly drawn but for the goal."""
        n_starts = self._positions.shape[1] - 1
        for row in rows:
            start = self.generators[row].integers(n_starts)
            self.cell[row] = start + (start >= self._goal_cell[row])

    def _begin_episode(self, rows: Array) -> None:
        self._place(rows)
        self.previous_action[rows] = -1
        self.previous_reward[rows] = 0.0

    def _move(self, actions: Array) -> Array:
        """Move all agents and return which of them are now at their goal, ``bool``, shape ``(n_envs,)``."""
        self.cell[:] = self._next_cell[self._layout, self.cell, actions]
        self.previous_action[:] = actions
        reached: Array = self.cell == self._goal_cell
        return reached

    def _observe(self, rows: Array | slice) -> Array:
        parts = (
            self._features[self._layout[rows], self.cell[rows]],
            self._one_hot_action[self.previous_action[rows]],
            self.previous_reward[rows, None],
        )
        return np.concatenate(parts, axis=1)

    def render(self, row: int) -> npt.NDArray[np.uint8]:
        """
        Draw one sub-environment, see :func:`draw_grid`.

        :param row: index of the sub-environment
        :return: RGB picture, ``uint8``, shape ``(height, width, 3)``
        """
        return draw_grid(self._walls[self._layout[row]], self.position[row], self.goal[row])


class GridEnv(SingleTaskEnv):
    """A single grid task as a gymnasium environment; examples may read where everything is."""

    batch: GridTasks

    @property
    def walls(self) -> Array:
        """Walls, ``bool``, shape ``(height, width)``."""
        return np.array(self.batch.walls[0])

    @property
    def position(self) -> tuple[int, int]:
        """(row, column) of the agent."""
        return _as_pair(self.batch.position[0])

    @property
    def goal(self) -> tuple[int, int]:
        """(row, column) of the goal."""
        return _as_pair(self.batch.goal[0])


def _as_pair(cell: Array) -> tuple[int, int]:
    row, column = (int(value) for value in cell)
    return row, column


def check_seed(name: str, seed: Any) -> None:
    """
    Refuse a seed that is no seed.

    :param name: the argument's name
    :param seed: its value
    :raises ValueError: if it is not an integer >= 0
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"{name} is {seed!r}, expected an integer >= 0; pass for example {name}=1.")
