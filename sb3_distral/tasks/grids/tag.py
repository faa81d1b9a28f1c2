"""
The suite ``grid-tag``: tag bots in a maze, in eight tasks that differ in what is drawn anew for each episode.

A small stand-in for the laser-tag tasks of the Distral paper (Table 2), where seconds matter.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from sb3_distral.tasks.adapters import SingleTaskEnv
from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.checks import check_seed
from sb3_distral.tasks.grids import pictures
from sb3_distral.tasks.grids.layered import (
    BARRIER,
    ITEM,
    STEPS,
    WALL,
    LayeredTasks,
    carve,
    choose_passages,
    choose_rooms,
    draw_numbers,
)
from sb3_distral.tasks.grids.tag_bots import CHASES, FLEES, N_DRAWS, PATROLS, in_sight, move_bots

TAG, JUMP = 4, 5  # actions, after the moves
PREY, CHASERS = 4, 5  # layers

N_BOTS, N_OBJECTS, N_OBSTACLES = 3, 6, 12

#: Rewards for tagging a bot, for an object and for being caught by a chasing bot.
TAG_REWARD, OBJECT_REWARD, CAUGHT_REWARD = 1.0, 0.2, -1.0

#: Part of the walls that is opened after the depth-first search.
OPENINGS = 0.5

_KIND_COLOURS = {
    FLEES: pictures.FLEER_COLOUR,
    PATROLS: pictures.PATROL_COLOUR,
    CHASES: pictures.CHASER_COLOUR,
}


class GridTag(LayeredTasks):
    """
    Tag bots, collect objects, avoid chasers. Nothing ends an episode, which is cut off after 200 steps.

    Tasks are the eight combinations of three properties: tasks 2, 3, 6 and 7 have a new maze in every episode (the
    others one maze each), odd tasks draw the kind of each bot for the episode (the others have one bot of each kind),
    tasks 4 to 7 have low obstacles in 12 passages.

    Actions: up, down, left, right (turn there and, if the way is free, move); tag: reaches every bot in the faced
    direction up to 4 cells away, over obstacles but not through walls; jump: over the obstacle ahead, two cells on.

    Bots move in half of the steps. Some flee from an agent they see in their row or column, some chase it, some only
    patrol. Rewards: +1 for each tagged bot, which goes to a random room; +0.2 for reaching an object (after the
    last of six, six new ones appear); -1 when a chaser reaches the agent, which goes to a random room.

    Observation, ``float32``, length 169: 5x5 views of walls, obstacles, objects, footprints (1 under the agent, 5 %
    less with each step), prey (bots that flee or patrol) and chasers; the faced direction (one-hot); whether prey, and
    whether a chaser, is in sight up to 4 cells up, down, left and right; one-hot previous action (zeros at the start);
    previous reward.

    In pictures bots are diamonds (purple chases, light blue flees, green patrols), objects yellow discs, obstacles grey
    bars; the agent is a red disc with a dark notch where it faces.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``, from 0 to 7
    :param map_seed: seed of the fixed mazes; another seed gives unseen ones
    :raises ValueError: if an argument is outside its range
    """

    task_name = "tag"
    n_tasks = 8
    n_layers, n_actions, n_senses = 6, 6, 12
    # Who was caught may come back onto an object, and takes it when it stays there to tag.
    reward_bounds = (CAUGHT_REWARD, N_BOTS * TAG_REWARD + OBJECT_REWARD)
    state_arrays: ClassVar[tuple[str, ...]] = (*LayeredTasks.state_arrays, "facing", "bots", "headings", "kinds")
    row_attributes: ClassVar[tuple[str, ...]] = (
        *(*LayeredTasks.row_attributes, "facing", "bots", "headings", "kinds"),
        *("has_obstacles", "has_new_maze", "has_random_bots"),
    )

    def __init__(self, tasks: Sequence[int], map_seed: int = 0) -> None:
        check_seed("map_seed", map_seed)
        super().__init__(tasks)
        self.map_seed = map_seed
        self.has_obstacles, self.has_new_maze, self.has_random_bots = (self.tasks & bit > 0 for bit in (4, 2, 1))
        self.facing = np.zeros(self.n_envs, dtype=np.int64)
        self.bots, self.headings, self.kinds = np.zeros((3, self.n_envs, N_BOTS), dtype=np.int64)
        self._begin_episode(self._rows)

    @property
    @override
    def fingerprint(self) -> str:
        return f"{type(self).__name__} {self.map_seed} {self.tasks.tolist()}"

    @override
    def _build(self, row: int) -> None:
        generator, layers = self.generators[row], self.layers[row]
        fixed = np.random.default_rng([self.map_seed, int(self.tasks[row])])
        map_generator = generator if self.has_new_maze[row] else fixed
        layers[WALL] = carve(OPENINGS, map_generator)
        if self.has_obstacles[row]:
            layers[BARRIER, choose_passages(layers[WALL], N_OBSTACLES, map_generator)] = 1.0
        self.cell[row], *bots = choose_rooms(1 + N_BOTS, np.array([]), generator)
        self.facing[row] = 0
        self.bots[row] = bots
        self.headings[row] = generator.integers(len(STEPS), size=N_BOTS)
        kinds = generator.integers(3, size=N_BOTS)
        self.kinds[row] = kinds if self.has_random_bots[row] else (FLEES, PATROLS, CHASES)
        self._scatter(row)
        self._show_bots(np.array([row]))

    def _scatter(self, row: int) -> None:
        self.layers[row, ITEM, choose_rooms(N_OBJECTS, self.cell[[row]], self.generators[row])] = 1.0

    def _show_bots(self, rows: Array) -> None:
        self.layers[rows, PREY:] = 0.0
        shown_in = np.where(self.kinds[rows] == CHASES, CHASERS, PREY)
        self.layers[rows[:, None], shown_in, self.bots[rows]] = 1.0

    def _jump(self, actions: Array) -> None:
        ahead = STEPS[self.facing]
        over = (actions == JUMP) & (self.layers[self._rows, BARRIER, self.cell + ahead] > 0.0)
        self.cell[over] += 2 * ahead[over]

    def _tag(self, actions: Array) -> Array:
        """Send the tagged bots to random rooms and return how many there were."""
        seen = in_sight(self.layers, self.cell, self.bots)
        tagged = seen[self._rows, :, self.facing] & (actions == TAG)[:, None]
        for row, bot in np.argwhere(tagged):
            self.bots[row, bot] = choose_rooms(1, self.cell[[row]], self.generators[row])[0]
        n_tagged: Array = tagged.sum(axis=1)
        return n_tagged

    def _move_bots(self) -> Array:
        """Move the bots and return where an agent is caught; it goes to a random room."""
        draws = draw_numbers(self.generators, N_BOTS, N_DRAWS)
        self.bots[:], self.headings[:] = move_bots(self.layers, self.cell, self.kinds, self.bots, self.headings, draws)
        caught: Array = ((self.bots == self.cell[:, None]) & (self.kinds == CHASES)).any(axis=1)
        for row in np.flatnonzero(caught):
            self.cell[row] = choose_rooms(1, self.bots[row], self.generators[row])[0]
        self._show_bots(self._rows)
        return caught

    @override
    def _act(self, actions: Array) -> Array:
        self.facing[:] = np.where(actions < len(STEPS), actions, self.facing)
        self._walk(actions)
        self._jump(actions)
        taken = self._take_item(np.ones(self.n_envs, dtype=np.bool_))
        rewards = TAG_REWARD * self._tag(actions)
        rewards[taken] += OBJECT_REWARD
        for row in taken:
            if not self.layers[row, ITEM].any():
                self._scatter(row)
        return rewards + CAUGHT_REWARD * self._move_bots()

    @override
    def _senses(self, rows: Array | slice) -> Array:
        seen = in_sight(self.layers[rows], self.cell[rows], self.bots[rows])
        chases = self.kinds[rows, :, None] == CHASES
        facing = np.eye(len(STEPS))[self.facing[rows]]
        return np.concatenate([facing, (seen & ~chases).any(axis=1), (seen & chases).any(axis=1)], axis=1)

    @override
    def render(self, row: int) -> npt.NDArray[np.uint8]:
        layers = self.layers[row]
        picture = pictures.draw_floor(layers)
        pictures.draw(picture, np.flatnonzero(layers[BARRIER]), pictures.BARS, pictures.LOW_COLOUR)
        pictures.draw(picture, np.flatnonzero(layers[ITEM]), pictures.SMALL_DISC, pictures.REWARD_COLOUR)
        pictures.draw(picture, self.cell[row], pictures.DISC, pictures.AGENT_COLOUR)
        pictures.draw(picture, self.cell[row], pictures.NOTCHES[self.facing[row]], pictures.NOTCH_COLOUR)
        for bot, kind in zip(self.bots[row], self.kinds[row], strict=True):
            pictures.draw(picture, bot, pictures.DIAMOND, _KIND_COLOURS[int(kind)])
        return pictures.finish(picture)


class GridTagEnv(SingleTaskEnv):
    """
    One task as a gymnasium environment, see :class:`GridTag`; ids ``sb3_distral/GridTag-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param map_seed: seed of the fixed mazes
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    batch: GridTag

    def __init__(self, task: int = 0, map_seed: int = 0, render_mode: str | None = None) -> None:
        super().__init__(GridTag([task], map_seed), render_mode)
