"""What the suites with a new map in every episode share: mazes made of layers, one agent in each, what it sees."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gymnasium import spaces
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.batched import Array, BatchedTasks
from sb3_distral.tasks.grids.carving import join_rooms
from sb3_distral.tasks.grids.cells import MOVES

#: Width and height of a maze in cells, border included; and of its layers, where one more ring of walls lets the agent
#: look beyond the border. A cell is its index in a flat layer.
SIZE = 11
WIDTH = SIZE + 2

#: Change of a cell by up, down, left and right.
STEPS = MOVES @ [WIDTH, 1]

#: Cells of the 5x5 view around a cell, row by row, relative to it.
VIEW_CELLS = (np.arange(-2, 3)[:, None] * WIDTH + np.arange(-2, 3)).ravel()

#: Layers that every suite has; what is in the first two stops a step.
WALL, BARRIER, ITEM, TRAIL = range(4)

#: What remains of a footprint after one step.
FADING = 0.95

_ROWS, _COLUMNS = np.indices((WIDTH, WIDTH)).reshape(2, -1) - 1
_INSIDE = (_ROWS > 0) & (_ROWS < SIZE - 1) & (_COLUMNS > 0) & (_COLUMNS < SIZE - 1)

#: Cells with two odd coordinates: free in every maze, and where things and agents are put.
ROOMS = np.flatnonzero(_INSIDE & (_ROWS % 2 == 1) & (_COLUMNS % 2 == 1))

#: Cells between two neighbouring rooms, walls or passages.
BETWEEN = np.flatnonzero(_INSIDE & ((_ROWS + _COLUMNS) % 2 == 1))

_NEIGHBOURS = {room: [room + step for step in (2 * STEPS).tolist() if room + step in ROOMS] for room in ROOMS.tolist()}


def carve(openings: float, generator: np.random.Generator) -> Array:
    """
    Make a maze by a randomised depth-first search, then open some of the walls that remain between rooms.

    :param openings: part of the remaining walls to open, from 0 to 1
    :param generator: source of all random choices
    :return: a layer, ``float32``, shape ``(WIDTH ** 2,)``: 1 at walls; every free cell can be reached from every other
    """
    walls = np.ones(WIDTH * WIDTH, dtype=np.float32)
    walls[ROOMS] = 0.0
    chances = iter(generator.random(len(ROOMS) - 1).tolist())
    joined = join_rooms(_NEIGHBOURS, int(ROOMS[0]), lambda n_targets: int(next(chances) * n_targets))
    walls[[(room + other) // 2 for room, other in joined]] = 0.0
    closed = generator.permutation(BETWEEN[walls[BETWEEN] == 1.0])
    walls[closed[: round(openings * len(closed))]] = 0.0
    return walls


def choose_passages(walls: Array, n_passages: int, generator: np.random.Generator) -> Array:
    """
    Choose cells between two rooms that are not walls.

    :param walls: as :func:`carve` returns
    :param n_passages: how many
    :param generator: source of all random choices
    :return: different cells, shape ``(n_passages,)``
    """
    passages: Array = generator.permutation(BETWEEN[walls[BETWEEN] == 0.0])[:n_passages]
    return passages


def choose_rooms(n_rooms: int, taken: Array, generator: np.random.Generator) -> Array:
    """
    Choose rooms in which there is nothing yet.

    :param n_rooms: how many
    :param taken: cells that are not to be chosen
    :param generator: source of all random choices
    :return: different rooms, shape ``(n_rooms,)``
    """
    is_taken = (ROOMS[:, None] == taken).any(axis=1)
    rooms: Array = generator.permutation(ROOMS[~is_taken])[:n_rooms]
    return rooms


def draw_numbers(generators: Sequence[np.random.Generator], *shape: int) -> Array:
    """
    Draw random numbers from each generator.

    :param generators: the generators
    :param shape: how many numbers from each
    :return: from 0 to 1, shape ``(len(generators), *shape)``
    """
    numbers = np.empty((len(generators), *shape))
    for generator, own in zip(generators, numbers, strict=True):
        generator.random(out=own)
    return numbers


def coordinates(cells: Array) -> Array:
    """
    Tell where cells are in the maze.

    :param cells: cells, any shape
    :return: (row, column) from 0 to ``SIZE - 1``, shape ``(*cells.shape, 2)``
    """
    return np.stack([_ROWS[cells], _COLUMNS[cells]], axis=-1)


class LayeredTasks(BatchedTasks):
    """
    One agent per sub-environment in a maze of 11x11 cells that consists of layers.

    The first four actions move up, down, left and right; walls and barriers stop them. The agent leaves footprints that
    fade, so a policy without a memory can tell where it has just been.

    The observation is the 5x5 view of each layer, the senses of the suite, the previous action (one-hot, zeros at the
    start of an episode) and the previous reward (0 at the start).

    :param tasks: task of each sub-environment, shape ``(n_envs,)``, less than ``n_tasks``
    :raises ValueError: if a task does not exist
    """

    max_episode_steps = 200
    #: Number of layers, of actions and of senses, and bounds of the reward of a step.
    n_layers: ClassVar[int]
    n_actions: ClassVar[int]
    n_senses: ClassVar[int]
    reward_bounds: ClassVar[tuple[float, float]]
    state_arrays: ClassVar[tuple[str, ...]] = ("layers", "cell", "previous_action", "previous_reward")
    row_attributes: ClassVar[tuple[str, ...]] = (*state_arrays, "tasks", "walls", "position")

    def __init__(self, tasks: Sequence[int]) -> None:
        super().__init__(tasks)
        if self.tasks.max() >= self.n_tasks:
            raise UsageError(
                f"tasks is {tasks!r}, expected integers less than {self.n_tasks}, the number of tasks of this suite; "
                f"pass for example tasks=[0, {self.n_tasks - 1}]."
            )
        self._rows = np.arange(self.n_envs)
        self.layers = np.zeros((self.n_envs, self.n_layers, WIDTH * WIDTH), dtype=np.float32)
        # Where each layer begins in the flat array of all layers.
        self._layer_starts = np.arange(self.layers[..., 0].size).reshape(self.n_envs, -1, 1) * WIDTH * WIDTH
        self.cell, self.previous_action = np.zeros((2, self.n_envs), dtype=np.int64)
        self.previous_reward = np.zeros(self.n_envs, dtype=np.float32)
        # Actions other than the moves stay; the zeros of an episode without a previous action are at index -1.
        self._steps = np.concatenate([STEPS, np.zeros(self.n_actions - len(STEPS), dtype=np.int64)])
        self._one_hot_action = np.eye(self.n_actions + 1, self.n_actions, dtype=np.float32)
        n_values = self.n_layers * len(VIEW_CELLS) + self.n_senses + self.n_actions + 1
        low, high = np.zeros(n_values, dtype=np.float32), np.ones(n_values, dtype=np.float32)
        low[-1], high[-1] = self.reward_bounds
        low[len(VIEW_CELLS) * self.n_layers :][: self.n_senses] = -1.0
        self.observation_space = spaces.Box(low, high)
        self.action_space = spaces.Discrete(self.n_actions)

    @abstractmethod
    def _build(self, row: int) -> None:
        """Draw maze, agent and things of a new episode in one sub-environment; its layers are empty."""

    @abstractmethod
    def _act(self, actions: Array) -> Array:
        """Take one valid action in every sub-environment and return the rewards."""

    @abstractmethod
    def _senses(self, rows: Array | slice) -> Array:
        """Return what the agents of ``rows`` know beyond their view, from -1 to 1, shape ``(k, n_senses)``."""

    @property
    def walls(self) -> Array:
        """Walls of each sub-environment, ``bool``, shape ``(n_envs, SIZE, SIZE)``."""
        walls: Array = self.layers[:, WALL].reshape(-1, WIDTH, WIDTH)[:, 1:-1, 1:-1] > 0.0
        return walls

    @property
    def position(self) -> Array:
        """(row, column) of each agent, shape ``(n_envs, 2)``."""
        return coordinates(self.cell)

    @override
    def _begin_episode(self, rows: Array) -> None:
        self.layers[rows] = 0.0
        for row in rows:
            self._build(row)
        self.layers[rows, TRAIL, self.cell[rows]] = 1.0
        self.previous_action[rows] = -1
        self.previous_reward[rows] = 0.0

    @override
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        rewards = self._act(actions)
        self.layers[:, TRAIL] *= FADING
        self.layers[self._rows, TRAIL, self.cell] = 1.0
        self.previous_action[:] = actions
        self.previous_reward[:] = rewards
        return rewards, np.zeros(self.n_envs, dtype=np.bool_)

    def _walk(self, actions: Array) -> None:
        """Move all agents whose way is free."""
        targets = self.cell + self._steps[actions]
        blocked = self.layers[self._rows, : BARRIER + 1, targets].any(axis=1)
        self.cell[:] = np.where(blocked, self.cell, targets)

    def _take_item(self, allowed: Array) -> Array:
        """Remove the items at the agents' cells where this is ``allowed``, and return where there was one."""
        taken: Array = np.flatnonzero(allowed & (self.layers[self._rows, ITEM, self.cell] > 0.0))
        self.layers[taken, ITEM, self.cell[taken]] = 0.0
        return taken

    @override
    def _observe(self, rows: Array | slice) -> Array:
        seen = self._layer_starts[rows] + (self.cell[rows, None, None] + VIEW_CELLS)
        parts = (
            self.layers.reshape(-1).take(seen.reshape(len(seen), -1)),
            self._senses(rows).astype(np.float32),
            self._one_hot_action[self.previous_action[rows]],
            self.previous_reward[rows, None],
        )
        return np.concatenate(parts, axis=1)
