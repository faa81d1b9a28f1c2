"""Suites of tasks; importing this module registers their single tasks as gymnasium ids."""

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecMonitor

from sb3_distral.tasks.adapters import BatchedVecEnv, SingleTaskEnv
from sb3_distral.tasks.batched import BatchedTasks
from sb3_distral.tasks.grid_mazes import GridMazes
from sb3_distral.tasks.grid_navigation import GridNavigation
from sb3_distral.tasks.grid_tag import GridTag
from sb3_distral.tasks.two_rooms import TwoRooms
from sb3_distral.vec_env import TaskVecEnv

__all__ = ["SUITES", "BatchedTasks", "BatchedVecEnv", "SingleTaskEnv", "make"]

#: Classes by suite; each takes the task of every sub-environment, then the suite's own arguments.
SUITES: dict[str, type[BatchedTasks]] = {
    "grid-mazes": GridMazes,
    "grid-navigation": GridNavigation,
    "grid-tag": GridTag,
    "two-rooms": TwoRooms,
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
    Make the vec env of all tasks of a suite, with ``VecMonitor`` inside.

    :param name: a key of ``SUITES``
    :param n_envs_per_task: number of sub-environments of each task; they lie side by side
    :param seed: sub-environment j over all tasks is seeded with ``seed + j``; ``None``: not seeded
    :param render_mode: ``None`` or ``"rgb_array"``
    :param n_tasks: number of tasks; ``None``: as many as the suite has, 4 of ``grid-navigation`` and 8 of the others
    :param suite_arguments: the suite's own arguments, such as ``maze_seed``, ``map_seed`` or ``goal_seed``
    :return: ``n_tasks * n_envs_per_task`` sub-environments
    :raises ValueError: if there is no such suite or an argument is outside its range
    """
    if name not in SUITES:
        raise ValueError(f"There is no suite {name!r}, expected one of {sorted(SUITES)}; pass one of these names.")
    n_tasks = SUITES[name].n_tasks if n_tasks is None else n_tasks
    for argument, value in (("n_envs_per_task", n_envs_per_task), ("n_tasks", n_tasks)):
        if value < 1:
            raise ValueError(f"{argument} is {value!r}, expected at least 1; pass for example {argument}=8.")
    tasks = np.repeat(np.arange(n_tasks), n_envs_per_task).tolist()
    batch = SUITES[name](tasks, **suite_arguments)
    task_names = [f"{batch.task_name}-{task}" for task in range(n_tasks)]
    task_env = TaskVecEnv(VecMonitor(BatchedVecEnv(batch, render_mode)), tasks, task_names)
    if seed is not None:
        task_env.seed(seed)
    return task_env


def _register(prefix: str, entry_point: str, suite: type[BatchedTasks]) -> None:
    for task in range(suite.n_tasks):
        gym.register(
            id=f"sb3_distral/{prefix}-{task}-v0",
            entry_point=entry_point,
            max_episode_steps=suite.max_episode_steps,
            kwargs={"task": task},
        )


_register("GridMaze", "sb3_distral.tasks.grid_mazes:GridMazeEnv", GridMazes)
_register("GridNavigation", "sb3_distral.tasks.grid_navigation:GridNavigationEnv", GridNavigation)
_register("GridTag", "sb3_distral.tasks.grid_tag:GridTagEnv", GridTag)
_register("TwoRooms", "sb3_distral.tasks.two_rooms:TwoRoomsEnv", TwoRooms)
