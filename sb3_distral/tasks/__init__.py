"""Suites of tasks; importing this module registers their single tasks as gymnasium ids."""

import inspect
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecMonitor

from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.tasks import world_hooks
from sb3_distral.tasks.adapters import BatchedVecEnv, SingleTaskEnv
from sb3_distral.tasks.batched import BatchedTasks
from sb3_distral.tasks.grids.grid_mazes import GridMazes
from sb3_distral.tasks.grids.grid_navigation import GridNavigation
from sb3_distral.tasks.grids.grid_tag import GridTag
from sb3_distral.tasks.grids.two_rooms import TwoRooms
from sb3_distral.tasks.previous import PreviousActionAndReward
from sb3_distral.tasks.world_suites import WorldSuite

__all__ = [
    "GRID_SUITES",
    "SUITES",
    "WORLD_SUITES",
    "BatchedTasks",
    "BatchedVecEnv",
    "PreviousActionAndReward",
    "SingleTaskEnv",
    "WorldSuite",
    "default_arguments",
    "make",
]

#: Classes by suite; each takes the task of every sub-environment, then the suite's own arguments.
GRID_SUITES: dict[str, type[BatchedTasks]] = {
    "grid-mazes": GridMazes,
    "grid-navigation": GridNavigation,
    "grid-tag": GridTag,
    "two-rooms": TwoRooms,
}

_WORLDS, _REPEAT = "sb3_distral.tasks.miniworld", {"action_repeat": 4}

#: Suites in the first person, which need the extra ``miniworld``.
WORLD_SUITES: dict[str, WorldSuite] = {
    "mazes": WorldSuite("Mazes", f"{_WORLDS}.mazes:MazeEnv", "maze", 8, {"maze_seed": 0, "size": 9, **_REPEAT}),
    "navigation": WorldSuite("Navigation", f"{_WORLDS}.navigation:NavigationEnv", "navigation", 4, _REPEAT),
    "laser-tag": WorldSuite("LaserTag", f"{_WORLDS}.laser_tag:LaserTagEnv", "laser-tag", 8, {"map_seed": 0, **_REPEAT}),
}

#: All suites by name.
SUITES: dict[str, type[BatchedTasks] | WorldSuite] = {**GRID_SUITES, **WORLD_SUITES}


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

    A grid suite is one array program. A suite of MiniWorld has a process for each task: make it under
    ``if __name__ == "__main__":``, and close it, which ends the processes.

    :param name: a key of ``SUITES``
    :param n_envs_per_task: number of sub-environments of each task; they lie side by side
    :param seed: sub-environment j over all tasks is seeded with ``seed + j``; ``None``: not seeded
    :param render_mode: ``None`` or ``"rgb_array"``
    :param n_tasks: number of tasks; ``None``: as many as the suite has, 4 of ``navigation`` and ``grid-navigation``,
        8 of the others
    :param suite_arguments: the suite's own arguments, such as ``maze_seed``, ``map_seed`` or ``goal_seed``; suites of
        MiniWorld also take ``previous_action_and_reward``, which the observations of the others always hold
    :return: ``n_tasks * n_envs_per_task`` sub-environments
    :raises ValueError: if there is no such suite or an argument is outside its range
    :raises ImportError: if a suite of MiniWorld was asked for, and MiniWorld or OpenGL is missing
    """
    if name not in SUITES:
        raise UsageError(f"There is no suite {name!r}, expected one of {sorted(SUITES)}; pass one of these names.")
    suite = SUITES[name]
    n_tasks = suite.n_tasks if n_tasks is None else n_tasks
    for argument, value in (("n_envs_per_task", n_envs_per_task), ("n_tasks", n_tasks)):
        if value < 1:
            raise UsageError(f"{argument} is {value!r}, expected at least 1; pass for example {argument}=8.")
    if isinstance(suite, WorldSuite):
        return suite.make(n_tasks, n_envs_per_task, seed, render_mode, **suite_arguments)
    tasks = np.repeat(np.arange(n_tasks), n_envs_per_task).tolist()
    batch = suite(tasks, **suite_arguments)
    task_names = [f"{batch.task_name}-{task}" for task in range(n_tasks)]
    task_env = TaskVecEnv(VecMonitor(BatchedVecEnv(batch, render_mode)), tasks, task_names)
    if seed is not None:
        task_env.seed(seed)
    return task_env


def default_arguments(name: str) -> dict[str, int]:
    """
    List a suite's own arguments.

    :param name: a key of ``SUITES``
    :return: defaults by name
    """
    suite = SUITES[name]
    if isinstance(suite, WorldSuite):
        return {**suite.arguments, "previous_action_and_reward": False}
    parameters = inspect.signature(suite).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def _register(prefix: str, entry_point: str, n_tasks: int, max_episode_steps: int | None = None) -> None:
    for task in range(n_tasks):
        gym.register(
            id=f"sb3_distral/{prefix}-{task}-v0",
            entry_point=entry_point,
            max_episode_steps=max_episode_steps,
            kwargs={"task": task},
        )


for _suite, _prefix, _entry_point in (
    (GridMazes, "GridMaze", "grid_mazes:GridMazeEnv"),
    (GridNavigation, "GridNavigation", "grid_navigation:GridNavigationEnv"),
    (GridTag, "GridTag", "grid_tag:GridTagEnv"),
    (TwoRooms, "TwoRooms", "two_rooms:TwoRoomsEnv"),
):
    _register(_prefix, f"sb3_distral.tasks.grids.{_entry_point}", _suite.n_tasks, _suite.max_episode_steps)
for _world_suite in WORLD_SUITES.values():
    _register(_world_suite.prefix, _world_suite.entry_point, _world_suite.n_tasks)
world_hooks.register()
