"""
The suite ``two-rooms``: the grid world of the Distral paper (Section 4.1 and appendix B.1).

The paper gives neither the sizes nor the number of tasks; here two rooms of 5x5 cells are joined by a horizontal
corridor of 4 cells, one cell wide, and there are 8 tasks. The tables of this module serve tabular learners.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.checks import check_seed
from sb3_distral.tasks.grids.cells import MOVES, free_cells, next_cells
from sb3_distral.tasks.grids.layouts import GridEnv, GridTasks, Layout

ROOM_SIZE, CORRIDOR_LENGTH = 5, 4

#: Rewards; a step earns exactly one of them, the first that applies in the order goal, wall, step.
GOAL_REWARD, WALL_REWARD, STEP_REWARD = 1.0, -0.5, -0.1


def _make_walls() -> npt.NDArray[np.bool_]:
    walls = np.ones((ROOM_SIZE + 2, 2 * ROOM_SIZE + CORRIDOR_LENGTH + 2), dtype=np.bool_)
    walls[1:-1, 1 : 1 + ROOM_SIZE] = walls[1:-1, -1 - ROOM_SIZE : -1] = False
    walls[1 + ROOM_SIZE // 2, 1:-1] = False
    return walls


def _read_only(array: Array) -> Array:
    array.setflags(write=False)
    return array


#: Change of (row, column) by the actions stay, up, down, left and right, shape ``(5, 2)``.
ACTIONS = _read_only(np.concatenate([np.zeros((1, 2), dtype=np.int64), MOVES]))
#: The map with its border, ``bool``, shape ``(7, 16)``.
WALLS = _read_only(_make_walls())
#: (row, column) of each cell on the map, shape ``(N_CELLS, 2)``.
CELLS = _read_only(free_cells(WALLS))
N_CELLS = len(CELLS)
#: Next cell by cell and action, shape ``(N_CELLS, 5)``.
NEXT_CELL = _read_only(next_cells(WALLS, ACTIONS))
#: Whether the action runs into a wall, ``bool``, shape ``(N_CELLS, 5)``; staying never does.
RUNS_INTO_WALL = _read_only((np.arange(N_CELLS)[:, None] == NEXT_CELL) & ACTIONS.any(axis=1))


def goal_cell(task: int, goal_seed: int = 0) -> int:
    """
    Draw the goal of one task, uniformly over all cells.

    Draws are independent, as the paper says no more, so two tasks may share a goal (4 and 6 of the default seed do).

    :param task: index of the task
    :param goal_seed: seed of the whole suite; other seeds give new tasks
    :return: index of the goal's cell, from 0 to ``N_CELLS - 1``
    """
    return int(np.random.default_rng([goal_seed, task]).integers(N_CELLS))


class TwoRooms(GridTasks):
    """
    Two rooms and a corridor; the goal, drawn for each task, ends the episode.

    Actions: stay, up, down, left, right. Rewards: +1 for the step that reaches the goal (the -0.1 is not added),
    -0.5 for a move against a wall (instead of the -0.1; the agent stays where it is), -0.1 for any other step.
    The episode is cut off after 100 steps.

    Observation, ``float32``, length ``N_CELLS + 6``: one-hot cell, one-hot previous action (zeros at the start),
    previous reward.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param goal_seed: seed of the goals; another seed gives new tasks
    :raises ValueError: if an argument is outside its range
    """

    task_name = "two-rooms"
    max_episode_steps = 100

    def __init__(self, tasks: Sequence[int], goal_seed: int = 0) -> None:
        check_seed("goal_seed", goal_seed)
        self.goal_seed = goal_seed
        features = np.eye(N_CELLS, dtype=np.float32)

        def make_layout(task: int) -> Layout:
            return Layout(WALLS, CELLS[goal_cell(task, goal_seed)], features)

        super().__init__(tasks, make_layout, ACTIONS, lowest_reward=WALL_REWARD)

    @override
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        against_wall = RUNS_INTO_WALL[self.cell, actions]
        reached = self._move(actions)
        rewards = np.where(reached, GOAL_REWARD, np.where(against_wall, WALL_REWARD, STEP_REWARD))
        self.previous_reward[:] = rewards
        return rewards, reached


class TwoRoomsEnv(GridEnv):
    """
    One task as a gymnasium environment, see :class:`TwoRooms`; ids ``sb3_distral/TwoRooms-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param goal_seed: seed of the goals
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    def __init__(self, task: int = 0, goal_seed: int = 0, render_mode: str | None = None) -> None:
        super().__init__(TwoRooms([task], goal_seed), render_mode)
