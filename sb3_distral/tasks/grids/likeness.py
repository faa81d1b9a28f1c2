"""
The suite ``grid-likeness``: one maze with switches, and a dial for how much the wishes of the tasks have in common.

Moves, observations and the best return are the same at every place of the dial: nothing but likeness changes.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.adapters import SingleTaskEnv
from sb3_distral.tasks.batched import Array, BatchedTasks
from sb3_distral.tasks.checks import check_seed
from sb3_distral.tasks.grids.carving import carve_maze
from sb3_distral.tasks.grids.cells import MOVES, free_cells, next_cells
from sb3_distral.tasks.grids.mazes import views
from sb3_distral.tasks.grids.pictures import draw_switches

#: Width and height of the maze in cells, border included.
SIZE = 13
#: Passages with a pair of switches.
N_PASSAGES = 8


class SwitchMaze(NamedTuple):
    """
    The maze that all tasks have.

    :param walls: ``bool``, shape ``(SIZE, SIZE)``
    :param passages: cells with a pair of switches, shape ``(N_PASSAGES,)``, indices into :func:`free_cells`
    :param presses: the two moves against the walls of each, which press its switches, shape ``(N_PASSAGES, 2)``
    """

    walls: Array
    passages: Array
    presses: Array


def make_switch_maze(maze_seed: int = 0) -> SwitchMaze:
    """
    Make the maze.

    :param maze_seed: seed of the suite
    :return: the maze
    """
    generator = np.random.default_rng(maze_seed)
    walls = carve_maze(SIZE, generator)
    cells = free_cells(walls)
    # A passage between two rooms lies on an even row or an even column, with a wall on either side of it.
    between = np.flatnonzero(cells.sum(axis=1) % 2 == 1)
    passages = generator.permutation(between)[:N_PASSAGES]
    joins_up_and_down = cells[passages, 0] % 2 == 0
    return SwitchMaze(walls, passages, np.where(joins_up_and_down[:, None], [2, 3], [0, 1]))


def wishes(task: int, likeness: float, maze_seed: int = 0) -> Array:
    """
    Say which switch of each pair a task wants.

    In the first ``likeness * N_PASSAGES`` passages it is the same for all tasks. In the others it is drawn for every
    two tasks, 0 and 1, 2 and 3, …, which want opposite ones.

    :param task: index of the task
    :param likeness: the dial
    :param maze_seed: seed of the suite
    :return: 0 or 1, the place in ``presses``, shape ``(N_PASSAGES,)``
    :raises ValueError: if ``likeness`` is outside its range
    """
    common = np.random.default_rng([maze_seed, 0]).integers(2, size=N_PASSAGES)
    drawn = np.random.default_rng([maze_seed, 1 + task // 2]).integers(2, size=N_PASSAGES)
    own = drawn if task % 2 == 0 else 1 - drawn
    return np.where(np.arange(N_PASSAGES) < n_common(likeness), common, own)


def n_common(likeness: float) -> int:
    """
    Count the passages in which all tasks want the same switch.

    :param likeness: the dial
    :return: how many of the first ones
    :raises ValueError: if ``likeness`` is outside its range
    """
    number = likeness * N_PASSAGES
    if not 0 <= likeness <= 1 or abs(number - round(number)) > 1e-9:
        raise UsageError(
            f"likeness is {likeness!r}, expected a number from 0 to 1 in steps of {1 / N_PASSAGES:g}, one for each of "
            f"the {N_PASSAGES} pairs of switches; pass for example likeness=0.5."
        )
    return round(number)


class GridLikeness(BatchedTasks):
    """
    One maze for all tasks; in eight of its passages there is a switch on either wall.

    Of each pair a task wants one: moving against its wall gives +1, moving against the other −1. Both move the agent to
    a random free cell; all other rewards are 0. The episode is cut off after 200 steps.
    Actions: up, down, left, right; running into a wall leaves the agent where it is.

    Swapping the switches of a pair changes nothing but their names, so the best return is the same for all tasks and
    all values of the dial. At 0 every two tasks want opposite switches everywhere: whatever a policy does that is not
    told the task, what it gains in one it loses in the other.

    Observation, ``float32``, length ``25 + 2 * SIZE``: walls in the 5x5 view around the agent (row by row, outside the
    maze counts as wall), one-hot row, one-hot column. Switches are not seen. The previous action and reward are left
    out, since together they would tell something about the task.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``; the dial counts on an even number of tasks
    :param likeness: part of the pairs of switches of which all tasks want the same one, from 0 to 1 in eighths
    :param maze_seed: seed of maze and wishes
    :raises ValueError: if an argument is outside its range
    """

    task_name = "likeness"
    max_episode_steps = 200
    state_arrays: ClassVar[tuple[str, ...]] = ("cell",)
    row_attributes: ClassVar[tuple[str, ...]] = (*state_arrays, "tasks", "walls", "position", "payoffs")

    def __init__(self, tasks: Sequence[int], likeness: float = 0.5, maze_seed: int = 0) -> None:
        super().__init__(tasks)
        check_seed("maze_seed", maze_seed)
        self.likeness, self.maze_seed = likeness, maze_seed
        self.maze = make_switch_maze(maze_seed)
        self._positions = free_cells(self.maze.walls)
        self._next_cell = next_cells(self.maze.walls, MOVES)
        #: Reward of every action in every cell, shape ``(n_envs, n_cells, 4)``.
        self.payoffs = np.zeros((self.n_envs, len(self._positions), len(MOVES)))
        for payoff, task in zip(self.payoffs, self.tasks.tolist(), strict=True):
            wanted = np.eye(2)[self._wishes(task)]
            payoff[self.maze.passages[:, None], self.maze.presses] = 2 * wanted - 1
        one_hot = np.eye(SIZE, dtype=np.float32)
        seen = views(self.maze.walls.astype(np.float32), self._positions, outside=1.0)
        self._features = np.concatenate([seen, *one_hot[self._positions.T]], axis=1)
        self.observation_space = spaces.Box(0.0, 1.0, self._features.shape[1:])
        self.action_space = spaces.Discrete(len(MOVES))
        self._rows, self.cell = np.arange(self.n_envs), np.zeros(self.n_envs, dtype=np.int64)
        self._begin_episode(self._rows)

    def _wishes(self, task: int) -> Array:
        return wishes(task, self.likeness, self.maze_seed)

    @property
    def walls(self) -> Array:
        """Walls of each sub-environment, ``bool``, shape ``(n_envs, SIZE, SIZE)``."""
        return np.repeat(self.maze.walls[None], self.n_envs, axis=0)

    @property
    def position(self) -> Array:
        """(row, column) of each agent, shape ``(n_envs, 2)``."""
        positions: Array = self._positions[self.cell]
        return positions

    @property
    @override
    def fingerprint(self) -> str:
        arrays = (self.maze.walls, self.payoffs)
        return sha256(type(self).__name__.encode() + b"".join(array.tobytes() for array in arrays)).hexdigest()

    @override
    def _begin_episode(self, rows: Array) -> None:
        for row in rows:
            self.cell[row] = self.generators[row].integers(len(self._positions))

    @override
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        rewards: Array = self.payoffs[self._rows, self.cell, actions]
        self.cell[:] = self._next_cell[self.cell, actions]
        self._begin_episode(np.flatnonzero(rewards))
        return rewards, np.zeros(self.n_envs, dtype=np.bool_)

    @override
    def _observe(self, rows: Array | slice) -> Array:
        # Indexing with an array makes a new one.
        features: Array = self._features[self.cell[rows]]
        return features

    @override
    def render(self, row: int) -> npt.NDArray[np.uint8]:
        passages = self._positions[self.maze.passages]
        payoffs = self.payoffs[row][self.maze.passages]
        return draw_switches(self.maze.walls, self._positions[self.cell[row]], passages, payoffs)


class GridLikenessEnv(SingleTaskEnv):
    """
    One task as a gymnasium environment, see :class:`GridLikeness`; ids ``sb3_distral/GridLikeness-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param likeness: the dial
    :param maze_seed: seed of maze and wishes
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    def __init__(
        self, task: int = 0, likeness: float = 0.5, maze_seed: int = 0, render_mode: str | None = None
    ) -> None:
        super().__init__(GridLikeness([task], likeness, maze_seed), render_mode)
