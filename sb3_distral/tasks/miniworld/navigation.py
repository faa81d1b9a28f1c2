"""
The suite ``navigation``: four tasks in mazes that are new in every episode, in the first person.

It stands for the navigation tasks of the Distral paper (Table 2), which are levels of DeepMind Lab.
"""

from math import sqrt

from typing_extensions import override

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.carving import carve_maze
from sb3_distral.tasks.miniworld.block_world import APPLE, APPLE_REWARD, GOAL, GOAL_REWARD, BlockWorld, Cell
from sb3_distral.tasks.miniworld.blocks import CELL, HEIGHT
from sb3_distral.tasks.miniworld.things import Shape, Thing
from sb3_distral.tasks.miniworld.world import ACTION_REPEAT

#: The tasks: collect apples, bring them to the start, find one goal again and again, the same behind doors.
COLLECT, CARRY, FIND, DOORS = range(4)

#: Width and height of the mazes in cells, and the part of their inner walls that is opened, so that there are detours.
SIZE, OPENINGS = 9, 0.3

N_APPLES, N_DOORS = 8, 6

#: Probability that a door opens or closes in a frame.
TOGGLE = 0.01

START = Shape(((0.8, 0.0), (0.8, 0.1), (0.0, 0.1)), (0.1, 0.3, 1.0))

#: An apple in the agent's hand, seen at the lower end of its view, and how far ahead: nearer than any wall.
HELD, HELD_AHEAD = Shape(((0.0, 1.22), (0.08, 1.3), (0.0, 1.38)), APPLE.colour), 0.35

#: A closed door fills its cell; of an open one a plate is left on the ground.
_CORNER, _ORANGE = CELL / sqrt(2), (0.9, 0.45, 0.1)
CLOSED = Shape(((_CORNER, 0.0), (_CORNER, HEIGHT), (0.0, HEIGHT)), _ORANGE, n_sides=4)
OPEN = Shape(((_CORNER / 2, 0.0), (_CORNER / 2, 0.05), (0.0, 0.05)), _ORANGE, n_sides=4)


class NavigationEnv(BlockWorld):
    """
    A new maze in every episode. Nothing ends an episode, which is truncated after 300 steps.

    Tasks:

    0. collect: eight apples (yellow) lie in random cells; +1 for each. After the last, eight new ones appear
    1. carry: the same apples, of which the agent carries one at a time; +10 for each that it brings to the start (blue)
    2. find: one goal (green), which stays where it is for the episode; +10, and the agent is moved to a random cell
    3. doors: the same with six doors (orange), each open or closed, which change at random. A closed one stops the
       agent and hides what is behind it; of an open one a plate on the ground is left. None closes on the agent

    ``info["is_success"]``: all first eight apples have been collected, one has been brought, the goal has been reached.
    Ids ``sb3_distral/Navigation-0-v0`` to ``-3-v0``. Observations and actions: see :class:`World`.

    :param task: index of the task, from 0 to 3
    :param render_mode: ``None`` or ``"rgb_array"``
    :param view: ``"agent"`` or ``"top"``
    :param action_repeat: frames that an action lasts
    :raises ValueError: if an argument is outside its range
    """

    task_name = "navigation"
    n_tasks = 4

    def __init__(
        self,
        task: int = 0,
        render_mode: str | None = None,
        view: str = "agent",
        action_repeat: int = ACTION_REPEAT,
    ) -> None:
        self.check_task(task)
        self._rules = (self._collect, self._carry, self._find, self._find_behind_doors)[task]
        super().__init__(task, render_mode, view, action_repeat)

    @override
    def _draw_walls(self) -> Array:
        return carve_maze(SIZE, self.np_random, OPENINGS)

    @override
    def _begin_episode(self) -> None:
        self.doors = self._build_doors() if self.task == DOORS else {}
        self.start_agent(self.doors)
        self.start_cell = self.cell_of(self.agent)
        self.held: Thing | None = None
        if self.task in (COLLECT, CARRY):
            self._scatter_apples()
        if self.task == CARRY:
            self.start = Thing(START)
            self.put_in(self.start_cell, self.start)
        if self.task in (FIND, DOORS):
            [self.goal] = self.scatter(GOAL, 1, [self.start_cell, *self.doors])

    def _scatter_apples(self) -> None:
        self.apples = self.scatter(APPLE, N_APPLES, [self.start_cell, self.cell_of(self.agent)])

    def _build_doors(self) -> dict[Cell, Thing]:
        """Put doors into some passages, half of them open; a passage has a wall on two sides."""
        passages = [(row, column) for row, column in self.draw_cells(self.walls.size) if (row + column) % 2 == 1]
        doors = {cell: Thing(OPEN) for cell in passages[:N_DOORS]}
        for cell, door in doors.items():
            self.put_in(cell, door)
            self._set_door(cell, door, bool(self.np_random.integers(2)))
        return doors

    def _set_door(self, cell: Cell, door: Thing, is_closed: bool) -> None:
        self.blocked[cell] = is_closed
        door.shape = CLOSED if is_closed else OPEN

    @override
    def _play_frame(self, action: int) -> float:
        return self._rules()

    def _collect(self) -> float:
        n_taken = self.take(self.apples)
        if not self.apples:
            self.is_success = True
            self._scatter_apples()
        return APPLE_REWARD * n_taken

    def _carry(self) -> float:
        reward = 0.0
        if self.held is None:
            if self.take(self.apples):
                self.held = Thing(HELD)
        elif self.is_at(self.start):
            self.entities.remove(self.held)
            self.held, self.is_success, reward = None, True, GOAL_REWARD
            if not self.apples:
                self._scatter_apples()
        if self.held is not None:
            x, _, z = self.agent.pos + HELD_AHEAD * self.agent.dir_vec
            self.put(self.held, x, z)
        return reward

    def _find(self) -> float:
        return self.seek(self.goal, [self.cell_of(self.goal), *self.doors])

    def _find_behind_doors(self) -> float:
        reward = self._find()
        x, _, z = self.agent.pos
        under_agent = self._cells_under(x, z)
        for (cell, door), draw in zip(self.doors.items(), self.np_random.random(N_DOORS), strict=True):
            if draw < TOGGLE and cell not in under_agent:
                self._set_door(cell, door, not self.blocked[cell])
        return reward
