"""What mazes and navigation share: an agent in a maze of blocks, and things that it walks onto."""

from abc import abstractmethod
from collections.abc import Iterable
from math import dist, floor

import numpy as np
from miniworld.entity import Entity
from typing_extensions import override

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.miniworld.blocks import CELL, BlockRoom
from sb3_distral.tasks.miniworld.things import Shape, Thing
from sb3_distral.tasks.miniworld.world import BODY, World

#: How near the agent must come to the middle of a thing, in metres: nearer than the sides of a corridor let it pass.
REACH = 0.8

APPLE = Shape(((0.0, 0.4), (0.35, 0.75), (0.0, 1.1)), (1.0, 0.8, 0.0))
GOAL = Shape(((0.5, 0.0), (0.5, 0.2), (0.2, 0.2), (0.2, 1.0), (0.5, 1.4), (0.0, 1.8)), (0.1, 0.9, 0.2))

#: Rewards as in DeepMind Lab, which the paper uses: for an apple, and for what has to be found or brought.
APPLE_REWARD, GOAL_REWARD = 1.0, 10.0

#: A cell: (row, column).
Cell = tuple[int, int]


class BlockWorld(World):
    """
    A maze of blocks under the open sky, in which the agent walks onto things.

    ``blocked`` holds the cells that stop the agent: the walls, and what a suite adds to them.
    """

    walls: Array
    blocked: Array

    @abstractmethod
    def _draw_walls(self) -> Array:
        """Return the walls of a new episode, ``bool``, shape ``(rows, columns)``, with walls all along the border."""

    @abstractmethod
    def _begin_episode(self) -> None:
        """Place the agent and the things of a new episode."""

    @property
    def _wall_texture(self) -> str:
        """MiniWorld's name of the texture of the walls."""
        return "brick_wall"

    @override
    def _gen_world(self) -> None:
        self.walls = self._draw_walls()
        self.blocked = self.walls.copy()
        self.rooms.append(BlockRoom(self.walls, self._wall_texture, "floor_tiles_bw"))
        self._begin_episode()

    @override
    def _can_stand(self, x: float, z: float) -> bool:
        return not any(self.blocked[cell] for cell in self._cells_under(x, z))

    def _cells_under(self, x: float, z: float) -> list[Cell]:
        """List the cells that the agent's body touches when its middle is at (x, z); a cell may come twice."""
        rows = floor((z - BODY) / CELL), floor((z + BODY) / CELL)
        columns = floor((x - BODY) / CELL), floor((x + BODY) / CELL)
        return [(row, column) for row in rows for column in columns]

    def cell_of(self, entity: Entity) -> Cell:
        """
        Tell in which cell an entity is.

        :param entity: the agent or a thing
        :return: (row, column)
        """
        x, _, z = entity.pos
        return floor(z / CELL), floor(x / CELL)

    def put_in(self, cell: Cell, entity: Entity, direction: float = 0.0) -> None:
        """
        Put the agent or a thing into the middle of a cell.

        :param cell: (row, column)
        :param entity: an entity of MiniWorld
        :param direction: where it looks, in radians
        """
        row, column = cell
        self.put(entity, (column + 0.5) * CELL, (row + 0.5) * CELL, direction)

    def draw_cells(self, n_cells: int, taken: Iterable[Cell] = ()) -> list[Cell]:
        """
        Draw different free cells.

        :param n_cells: how many
        :param taken: cells that are not to be drawn
        :return: (row, column) of each
        """
        occupied = set(taken)
        cells = [(int(row), int(column)) for row, column in np.argwhere(~self.walls)]
        free = [cell for cell in cells if cell not in occupied]
        return [free[index] for index in self.np_random.permutation(len(free))[:n_cells]]

    def start_agent(self, taken: Iterable[Cell] = ()) -> None:
        """
        Put the agent into a random cell, from where it looks anywhere.

        :param taken: cells that are not to be drawn
        """
        self.put_in(self.draw_cells(1, taken)[0], self.agent, self.draw_direction())

    def scatter(self, shape: Shape, n_things: int, taken: Iterable[Cell]) -> list[Thing]:
        """
        Put things of one kind into different random cells.

        :param shape: what they look like
        :param n_things: how many
        :param taken: cells that are not to be drawn
        :return: the things
        """
        things = [Thing(shape) for _ in range(n_things)]
        for cell, thing in zip(self.draw_cells(n_things, taken), things, strict=True):
            self.put_in(cell, thing)
        return things

    def is_at(self, thing: Thing) -> bool:
        """
        Tell whether the agent walks onto a thing.

        :param thing: a thing in the world
        :return: whether it is within :data:`REACH`
        """
        return dist(thing.pos, self.agent.pos) < REACH

    def take(self, things: list[Thing]) -> int:
        """
        Take those of some things that the agent walks onto out of the list and out of the world.

        :param things: things in the world
        :return: how many
        """
        taken = [thing for thing in things if self.is_at(thing)]
        for thing in taken:
            things.remove(thing)
            self.entities.remove(thing)
        return len(taken)

    def seek(self, goal: Thing, taken: Iterable[Cell]) -> float:
        """
        Where the agent walks onto a goal, pay it and put it into a random cell, so that it has to find the goal again.

        :param goal: a thing in the world
        :param taken: cells into which it is not put
        :return: the reward
        """
        if not self.is_at(goal):
            return 0.0
        self.is_success = True
        self.start_agent(taken)
        return GOAL_REWARD
