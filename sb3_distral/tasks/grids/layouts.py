"""What the suites with a fixed map for each task share: one agent per sub-environment, its observation, its goal."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from typing_extensions import override

from sb3_distral.tasks.adapters import SingleTaskEnv
from sb3_distral.tasks.batched import Array, BatchedTasks
from sb3_distral.tasks.grids.cells import free_cells, next_cells
from sb3_distral.tasks.grids.pictures import draw_grid


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
    the goal. Pictures: see :func:`draw_grid`.

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
    @override
    def fingerprint(self) -> str:
        arrays = (self._walls, self._goal_cell, self._layout)
        return sha256(type(self).__name__.encode() + b"".join(array.tobytes() for array in arrays)).hexdigest()

    def _place(self, rows: Array) -> None:
        """Put the agents of ``rows`` at free cells, uniformly drawn but for the goal."""
        n_starts = self._positions.shape[1] - 1
        for row in rows:
            start = self.generators[row].integers(n_starts)
            self.cell[row] = start + (start >= self._goal_cell[row])

    @override
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

    @override
    def _observe(self, rows: Array | slice) -> Array:
        parts = (
            self._features[self._layout[rows], self.cell[rows]],
            self._one_hot_action[self.previous_action[rows]],
            self.previous_reward[rows, None],
        )
        return np.concatenate(parts, axis=1)

    @override
    def render(self, row: int) -> npt.NDArray[np.uint8]:
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
