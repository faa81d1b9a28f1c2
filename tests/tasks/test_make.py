"""``tasks.make``: all tasks of a suite as one vec env."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from players import random_actions
from stable_baselines3.common.vec_env import VecMonitor

from sb3_distral import tasks
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.tasks.grids.mazes import make_maze


@pytest.mark.parametrize(
    ("suite", "prefix", "task_name", "n_tasks"),
    [
        ("grid-families", "GridFamily", "family", 8),
        ("grid-likeness", "GridLikeness", "likeness", 8),
        ("grid-mazes", "GridMaze", "maze", 8),
        ("grid-scales", "GridScale", "scale", 8),
        ("grid-navigation", "GridNavigation", "navigation", 4),
        ("grid-tag", "GridTag", "tag", 8),
        ("pendulums", "Pendulum", "pendulum", 8),
        ("two-rooms", "TwoRooms", "two-rooms", 8),
    ],
)
def test_sub_envs_are_the_registered_tasks_in_order(suite: str, prefix: str, task_name: str, n_tasks: int) -> None:
    env = tasks.make(suite, n_envs_per_task=2, seed=100)
    assert isinstance(env, TaskVecEnv)
    assert isinstance(env.venv, VecMonitor)
    assert env.num_envs == 2 * n_tasks
    assert list(env.task_names) == [f"{task_name}-{task}" for task in range(n_tasks)]
    observations: Any = env.reset()
    np.testing.assert_array_equal(observations["task"], np.repeat(np.arange(n_tasks), 2))
    for row in range(2 * n_tasks):
        single = gym.make(f"sb3_distral/{prefix}-{row // 2}-v0")
        np.testing.assert_array_equal(observations["obs"][row], single.reset(seed=100 + row)[0])


@pytest.mark.parametrize("suite", [name for name, suite in tasks.SUITES.items() if suite.is_array_program])
def test_two_copies_with_one_seed_agree_step_by_step(suite: str) -> None:
    first, second = (tasks.make(suite, n_envs_per_task=2, seed=4) for _ in range(2))
    other = tasks.make(suite, n_envs_per_task=2, seed=5)
    start: Any = first.reset()
    np.testing.assert_array_equal(start["obs"], second.reset()["obs"])  # type: ignore[call-overload]
    assert not np.array_equal(start["obs"], other.reset()["obs"])  # type: ignore[call-overload]
    for actions in random_actions(first, 450):
        step: Any = first.step(actions)
        copy: Any = second.step(actions)
        np.testing.assert_array_equal(step[0]["obs"], copy[0]["obs"])
        np.testing.assert_array_equal(step[1], copy[1])
        np.testing.assert_array_equal(step[2], copy[2])


def test_end_of_an_episode_has_statistics_and_the_task() -> None:
    env = tasks.make("grid-mazes", n_tasks=3, seed=0)
    env.reset()
    rewards = np.zeros(3)
    for actions in np.random.default_rng(0).integers(4, size=(200, 3)):
        _, reward, _, infos = env.step(actions)
        rewards += reward
    for task, info in enumerate(infos):
        assert info["episode"]["l"] == 200 and info["episode"]["r"] == rewards[task]
        assert info["terminal_observation"]["task"] == task
        assert info["TimeLimit.truncated"] is True


def test_suite_arguments_reach_the_suite() -> None:
    env = tasks.make("grid-mazes", n_tasks=2, maze_seed=9, size=7, render_mode="rgb_array")
    env.reset()
    np.testing.assert_array_equal(env.get_attr("walls")[1], make_maze(1, size=7, maze_seed=9).walls)
    assert env.render() is not None


def test_unknown_suite_is_refused_with_the_names() -> None:
    with pytest.raises(
        ValueError, match=r"no suite 'maze', expected one of \['grid-families', 'grid-likeness', .*'two-rooms'\]"
    ):
        tasks.make("maze")


@pytest.mark.parametrize("argument", ["n_envs_per_task", "n_tasks"])
def test_numbers_below_one_are_refused(argument: str) -> None:
    arguments: dict[str, Any] = {argument: 0}
    with pytest.raises(ValueError, match=f"{argument} is 0, expected at least 1"):
        tasks.make("two-rooms", **arguments)


def test_more_tasks_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="expected integers less than 4"):
        tasks.make("grid-navigation", n_tasks=5)
