"""
The suite ``mazes``: fixed mazes in the first person, in each a goal to be found again and again and apples on the way.

It stands for the mazes of the Distral paper (Section 4.2), which are levels of DeepMind Lab.
"""

import numpy as np
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.checks import check_seed
from sb3_distral.tasks.grids.carving import carve_maze
from sb3_distral.tasks.grids.cells import free_cells
from sb3_distral.tasks.miniworld.block_world import APPLE, APPLE_REWARD, GOAL, BlockWorld, Cell
from sb3_distral.tasks.miniworld.things import Thing
from sb3_distral.tasks.miniworld.world import ACTION_REPEAT

#: How many apples lie in a maze when an episode begins.
N_APPLES = 6

#: Textures of the walls; tasks take them in turn.
TEXTURES = ("brick_wall", "wood", "cinder_blocks", "rock", "marble", "stucco", "metal_grill", "cardboard")


class MazeEnv(BlockWorld):
    """
    One fixed maze with a goal in a fixed cell; nothing ends an episode, which is truncated after 300 steps.

    Reaching the goal (green) gives +10 and moves the agent to a random cell; an apple (yellow) gives +1 and is gone.
    Apples and agent are put into random cells when an episode begins. ``info["is_success"]``: the goal has been
    reached. Ids ``sb3_distral/Mazes-0-v0`` to ``-7-v0``. Observations and actions: see :class:`World`.

    :param task: index of the task, >= 0
    :param maze_seed: seed of the mazes; another seed gives unseen mazes
    :param size: width and height of the maze in cells of 2 m, border included; odd, at least 7
    :param render_mode: ``None`` or ``"rgb_array"``
    :param view: ``"agent"`` or ``"top"``
    :param action_repeat: frames that an action lasts
    :raises ValueError: if an argument is outside its range
    """

    task_name = "maze"

    def __init__(
        self,
        task: int = 0,
        maze_seed: int = 0,
        size: int = 9,
        render_mode: str | None = None,
        view: str = "agent",
        action_repeat: int = ACTION_REPEAT,
    ) -> None:
        if size < 7 or size % 2 == 0:
            raise UsageError(f"size is {size!r}, expected an odd number of cells >= 7; pass for example size=9.")
        check_seed("task", task)
        check_seed("maze_seed", maze_seed)
        self._maze, self._goal_cell = draw_maze(task, maze_seed, size)
        super().__init__(task, render_mode, view, action_repeat)

    @property
    @override
    def _wall_texture(self) -> str:
        return TEXTURES[self.task % len(TEXTURES)]

    @override
    def _draw_walls(self) -> Array:
        return self._maze

    @override
    def _begin_episode(self) -> None:
        self.goal = Thing(GOAL)
        self.put_in(self._goal_cell, self.goal)
        self.start_agent([self._goal_cell])
        self.apples = self.scatter(APPLE, N_APPLES, [self._goal_cell, self.cell_of(self.agent)])

    @override
    def _play_frame(self, action: int) -> float:
        return APPLE_REWARD * self.take(self.apples) + self.seek(self.goal, [self._goal_cell])


def draw_maze(task: int, maze_seed: int, size: int) -> tuple[Array, Cell]:
    """
    Draw the maze of one task; it depends on the arguments and on nothing else.

    :param task: index of the task
    :param maze_seed: seed of the whole suite
    :param size: width and height in cells, border included
    :return: walls, ``bool``, shape ``(size, size)``, and the cell of the goal
    """
    generator = np.random.default_rng([maze_seed, task])
    walls = carve_maze(size, generator)
    row, column = generator.choice(free_cells(walls))
    return walls, (int(row), int(column))
