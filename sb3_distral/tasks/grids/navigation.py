"""
The suite ``grid-navigation``: four tasks in mazes that are new in every episode.

A small stand-in for the 3D navigation tasks of the Distral paper (Table 2), where seconds matter.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from sb3_distral.tasks.adapters import SingleTaskEnv
from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids import pictures
from sb3_distral.tasks.grids.layered import (
    BARRIER,
    ITEM,
    WALL,
    LayeredTasks,
    carve,
    choose_passages,
    choose_rooms,
    coordinates,
    draw_numbers,
)

#: The tasks: collect rewards, carry rewards to the start, find one goal again and again, the same behind doors.
COLLECT, CARRY, FIND, DOORS = range(4)

START = 4  # a layer

#: Number of rewards of the first two tasks, and of doors of the last.
N_REWARDS, N_DOORS = 8, 12

#: Probability that a door opens or closes in a step.
TOGGLE = 0.05

#: Part of the walls that is opened after the depth-first search.
OPENINGS = 0.3


class GridNavigation(LayeredTasks):
    """
    A new maze in every episode. Nothing ends an episode, which is cut off after 200 steps.

    Tasks, with +1 for each success and 0 otherwise:

    0. collect: eight rewards lie in random rooms; walking onto one takes it. After the last, eight new ones appear
    1. carry: the same rewards, of which the agent carries one at a time; it pays when brought to the start
    2. find: one goal, which stays where it is for the episode; reaching it moves the agent to a random room
    3. doors: the same behind twelve doors, each open or closed, which change at random; a closed one stops a step,
       and none closes on the agent

    Actions: up, down, left, right; running into a wall or a closed door leaves the agent where it is.

    Observation, ``float32``, length 133: 5x5 views of walls, closed doors, rewards or goal, footprints (1 under the
    agent, 5 % less with each step) and the start; whether the agent carries a reward; the compass; one-hot previous
    action (zeros at the start); previous reward. The compass points as the crow flies: (row, column) towards the goal
    or, with a reward in hand, towards the start, divided by the larger of the two; otherwise zeros.

    In pictures rewards are yellow discs, the goal is a green square, the start a blue frame, doors are brown frames,
    filled while closed; the agent is a red disc, with a yellow core while it carries.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``, from 0 to 3
    :raises ValueError: if there is no such task
    """

    task_name = "navigation"
    n_tasks = 4
    n_layers, n_actions, n_senses, reward_bounds = 5, 4, 3, (0.0, 1.0)
    state_arrays: ClassVar[tuple[str, ...]] = (*LayeredTasks.state_arrays, "destination", "carrying", "doors")
    row_attributes: ClassVar[tuple[str, ...]] = (*LayeredTasks.row_attributes, "destination", "carrying", "doors")

    def __init__(self, tasks: Sequence[int]) -> None:
        super().__init__(tasks)
        self._seeks = self.tasks >= FIND
        self._with_doors = np.flatnonzero(self.tasks == DOORS)
        self.destination = np.zeros(self.n_envs, dtype=np.int64)
        self.carrying = np.zeros(self.n_envs, dtype=np.bool_)
        self.doors = np.zeros((self.n_envs, N_DOORS), dtype=np.int64)
        self._begin_episode(self._rows)

    @property
    @override
    def fingerprint(self) -> str:
        return f"{type(self).__name__} {self.tasks.tolist()}"

    @override
    def _build(self, row: int) -> None:
        generator, layers = self.generators[row], self.layers[row]
        layers[WALL] = carve(OPENINGS, generator)
        self.cell[row], self.destination[row] = choose_rooms(2, np.array([]), generator)
        self.carrying[row] = False
        if self._seeks[row]:
            layers[ITEM, self.destination[row]] = 1.0
        else:
            self.destination[row] = self.cell[row]
            self._scatter(row)
        if self.tasks[row] == CARRY:
            layers[START, self.destination[row]] = 1.0
        if self.tasks[row] == DOORS:
            self.doors[row] = choose_passages(layers[WALL], N_DOORS, generator)
            layers[BARRIER, self.doors[row]] = generator.integers(2, size=N_DOORS)

    def _scatter(self, row: int) -> None:
        taken = np.array([self.cell[row], self.destination[row]])
        self.layers[row, ITEM, choose_rooms(N_REWARDS, taken, self.generators[row])] = 1.0

    def _toggle_doors(self) -> None:
        rows = self._with_doors
        if rows.size == 0:
            return
        draws = draw_numbers([self.generators[row] for row in rows], N_DOORS)
        row, door = np.nonzero((draws < TOGGLE) & (self.doors[rows] != self.cell[rows, None]))
        cells = self.doors[rows[row], door]
        self.layers[rows[row], BARRIER, cells] = 1.0 - self.layers[rows[row], BARRIER, cells]

    @override
    def _act(self, actions: Array) -> Array:
        self._walk(actions)
        rewards = np.zeros(self.n_envs)
        found = np.flatnonzero(self._seeks & (self.cell == self.destination))
        brought = np.flatnonzero(self.carrying & (self.cell == self.destination))
        taken = self._take_item(~self._seeks & ~self.carrying)
        carries = self.tasks[taken] == CARRY
        self.carrying[brought] = False
        self.carrying[taken[carries]] = True
        for rows in (found, brought, taken[~carries]):
            rewards[rows] = 1.0
        for row in found:
            self.cell[row] = choose_rooms(1, self.destination[row], self.generators[row])[0]
        for row in (*brought, *taken[~carries]):
            if not self.layers[row, ITEM].any():
                self._scatter(row)
        self._toggle_doors()
        return rewards

    @override
    def _senses(self, rows: Array | slice) -> Array:
        carrying = self.carrying[rows, None]
        way = coordinates(self.destination[rows]) - coordinates(self.cell[rows])
        compass = way / np.maximum(np.abs(way).max(axis=1, keepdims=True), 1)
        return np.concatenate([carrying, compass * (self._seeks[rows, None] | carrying)], axis=1)

    @override
    def render(self, row: int) -> npt.NDArray[np.uint8]:
        layers = self.layers[row]
        picture = pictures.draw_floor(layers)
        if self.tasks[row] == DOORS:
            pictures.draw(picture, self.doors[row], pictures.FRAME, pictures.DOOR_COLOUR)
        pictures.draw(picture, np.flatnonzero(layers[BARRIER]), pictures.SQUARE, pictures.DOOR_COLOUR)
        pictures.draw(picture, np.flatnonzero(layers[START]), pictures.FRAME, pictures.START_COLOUR)
        shape, colour = (
            (pictures.SQUARE, pictures.GOAL_COLOUR)
            if self._seeks[row]
            else (pictures.SMALL_DISC, pictures.REWARD_COLOUR)
        )
        pictures.draw(picture, np.flatnonzero(layers[ITEM]), shape, colour)
        pictures.draw(picture, self.cell[row], pictures.DISC, pictures.AGENT_COLOUR)
        if self.carrying[row]:
            pictures.draw(picture, self.cell[row], pictures.SMALL_DISC, pictures.REWARD_COLOUR)
        return pictures.finish(picture)


class GridNavigationEnv(SingleTaskEnv):
    """
    One task as a gymnasium environment; ids ``sb3_distral/GridNavigation-0-v0`` to ``-3-v0``.

    See :class:`GridNavigation`.

    :param task: index of the task
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    batch: GridNavigation

    def __init__(self, task: int = 0, render_mode: str | None = None) -> None:
        super().__init__(GridNavigation([task]), render_mode)
