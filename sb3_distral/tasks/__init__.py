"""Suites of tasks; importing this module registers their single tasks as gymnasium ids."""

from typing import Any

from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.tasks import world_hooks
from sb3_distral.tasks.adapters import BatchedVecEnv, SingleTaskEnv
from sb3_distral.tasks.batched import BatchedTasks
from sb3_distral.tasks.grids.families import GridFamilies
from sb3_distral.tasks.grids.likeness import GridLikeness
from sb3_distral.tasks.grids.mazes import GridMazes
from sb3_distral.tasks.grids.navigation import GridNavigation
from sb3_distral.tasks.grids.scales import GridScales
from sb3_distral.tasks.grids.tag import GridTag
from sb3_distral.tasks.grids.two_rooms import TwoRooms
from sb3_distral.tasks.pendulums import Pendulums
from sb3_distral.tasks.previous import PreviousActionAndReward
from sb3_distral.tasks.suites import ArraySuite, Suite, WorldSuite

__all__ = [
    "SUITES",
    "BatchedTasks",
    "BatchedVecEnv",
    "PreviousActionAndReward",
    "SingleTaskEnv",
    "Suite",
    "default_arguments",
    "make",
]

#: All suites by name.
SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        ArraySuite.of("grid-mazes", "GridMaze", GridMazes),
        ArraySuite.of("grid-families", "GridFamily", GridFamilies),
        ArraySuite.of("grid-scales", "GridScale", GridScales),
        ArraySuite.of("grid-navigation", "GridNavigation", GridNavigation),
        ArraySuite.of("grid-tag", "GridTag", GridTag),
        ArraySuite.of("two-rooms", "TwoRooms", TwoRooms),
        ArraySuite.of("grid-likeness", "GridLikeness", GridLikeness),
        ArraySuite.of("pendulums", "Pendulum", Pendulums),
        WorldSuite.of("mazes", "Mazes", "mazes:MazeEnv", "maze", 8, maze_seed=0, size=9),
        WorldSuite.of("navigation", "Navigation", "navigation:NavigationEnv", "navigation", 4),
        WorldSuite.of("laser-tag", "LaserTag", "laser_tag:LaserTagEnv", "laser-tag", 8, map_seed=0),
    )
}


def make(
    name: str,
    n_envs_per_task: int = 1,
    seed: int | None = None,
    render_mode: str | None = None,
    n_tasks: int | None = None,
    **suite_arguments: Any,
) -> TaskVecEnv:
    """
    Make the vec env of all tasks of a suite, whose episodes are monitored.

    Most suites are one array program. A suite of MiniWorld has a process for each task: make it under
    ``if __name__ == "__main__":``, and close it, which ends the processes.

    :param name: a key of ``SUITES``
    :param n_envs_per_task: number of sub-environments of each task; they lie side by side
    :param seed: sub-environment j over all tasks is seeded with ``seed + j``; ``None``: not seeded
    :param render_mode: ``None`` or ``"rgb_array"``
    :param n_tasks: number of tasks; ``None``: as many as the suite has, 4 of ``navigation`` and ``grid-navigation``,
        8 of the others
    :param suite_arguments: the suite's own arguments, such as ``maze_seed`` or ``likeness``; suites of
        MiniWorld also take ``previous_action_and_reward``, which the observations of the grid suites always hold
    :return: ``n_tasks * n_envs_per_task`` sub-environments
    :raises ValueError: if there is no such suite or an argument is outside its range
    :raises ImportError: if a suite of MiniWorld was asked for, and MiniWorld or OpenGL is missing

    >>> env = make("grid-mazes", n_envs_per_task=2, n_tasks=4, seed=0)
    >>> env.num_envs, env.task_names
    (8, ['maze-0', 'maze-1', 'maze-2', 'maze-3'])
    """
    if name not in SUITES:
        raise UsageError(f"There is no suite {name!r}, expected one of {sorted(SUITES)}; pass one of these names.")
    suite = SUITES[name]
    n_tasks = suite.n_tasks if n_tasks is None else n_tasks
    for argument, value in (("n_envs_per_task", n_envs_per_task), ("n_tasks", n_tasks)):
        if value < 1:
            raise UsageError(f"{argument} is {value!r}, expected at least 1; pass for example {argument}=8.")
    return suite.make(n_tasks, n_envs_per_task, seed, render_mode, **suite_arguments)


def default_arguments(name: str) -> dict[str, float]:
    """
    List a suite's own arguments.

    :param name: a key of ``SUITES``
    :return: defaults by name; one that is an integer takes integers alone

    >>> default_arguments("grid-likeness")["likeness"]
    0.5
    """
    return dict(SUITES[name].arguments)


for _suite in SUITES.values():
    _suite.register()
world_hooks.register()
