"""The rules of the suite ``two-rooms``."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from sb3_distral.tasks.adapters import BatchedVecEnv
from sb3_distral.tasks.grids.two_rooms import CELLS, N_CELLS, NEXT_CELL, RUNS_INTO_WALL, WALLS, TwoRooms, goal_cell

STAY, UP, DOWN, LEFT, RIGHT = range(5)


def cell_at(row: int, column: int) -> int:
    return CELLS.tolist().index([row, column])


def with_goal_in_a_room() -> tuple[TwoRooms, int]:
    """Make a task whose goal has a free cell to its left, and return that cell."""
    env = TwoRooms([0])
    row, column = env.goal[0]
    return env, cell_at(row, column - 1)


def test_map_by_hand() -> None:
    assert ["".join(".#"[int(wall)] for wall in row) for row in WALLS] == [
        "################",
        "#.....####.....#",
        "#.....####.....#",
        "#..............#",
        "#.....####.....#",
        "#.....####.....#",
        "################",
    ]
    assert N_CELLS == 25 + 4 + 25


def test_tables_by_hand() -> None:
    corner, mouth, corridor = cell_at(1, 1), cell_at(3, 5), cell_at(3, 7)
    assert NEXT_CELL[corner].tolist() == [corner, corner, cell_at(2, 1), corner, cell_at(1, 2)]
    assert RUNS_INTO_WALL[corner].tolist() == [False, True, False, True, False]
    assert NEXT_CELL[mouth].tolist() == [mouth, cell_at(2, 5), cell_at(4, 5), cell_at(3, 4), cell_at(3, 6)]
    assert not RUNS_INTO_WALL[mouth].any()
    assert NEXT_CELL[corridor].tolist() == [corridor, corridor, corridor, cell_at(3, 6), cell_at(3, 8)]
    assert RUNS_INTO_WALL[corridor].tolist() == [False, True, True, False, False]


def test_rewards_and_observations_by_hand() -> None:
    env, left_of_goal = with_goal_in_a_room()
    env.reset(np.array([0]), [0])
    env.cell[0] = corner = cell_at(1, 1)
    one_hot, actions = np.eye(N_CELLS), np.eye(5)
    for action, reward, cell in [
        (STAY, -0.1, corner),
        (UP, -0.5, corner),
        (RIGHT, -0.1, cell_at(1, 2)),
        (LEFT, -0.1, corner),
    ]:
        observations, rewards, terminated = env.step(np.array([action]))
        assert rewards[0] == reward and not terminated[0]
        expected = np.concatenate([one_hot[cell], actions[action], [reward]]).astype(np.float32)
        np.testing.assert_array_equal(observations[0], expected, strict=True)
    env.cell[0] = left_of_goal
    observations, rewards, terminated = env.step(np.array([RIGHT]))
    assert rewards[0] == 1.0 and terminated[0]
    expected = np.concatenate([one_hot[goal_cell(0)], actions[RIGHT], [1.0]]).astype(np.float32)
    np.testing.assert_array_equal(observations[0], expected, strict=True)


def test_goal_ends_the_episode_even_on_its_last_step() -> None:
    env, left_of_goal = with_goal_in_a_room()
    venv = BatchedVecEnv(env)
    venv.reset()
    for _ in range(99):
        env.cell[0] = left_of_goal
        _, _, dones, _ = venv.step(np.array([STAY]))
        assert not dones[0]
    observations, rewards, dones, infos = venv.step(np.array([RIGHT]))
    assert dones[0] and rewards[0] == 1.0
    assert infos[0]["TimeLimit.truncated"] is False
    assert infos[0]["terminal_observation"][goal_cell(0)] == 1.0
    assert observations[0, goal_cell(0)] == 0.0 and not observations[0, N_CELLS:].any()


def test_goals_are_uniform_and_depend_on_task_and_seed() -> None:
    assert [goal_cell(task) for task in range(8)] == [goal_cell(task) for task in range(8)]
    assert [goal_cell(task) for task in range(8)] != [goal_cell(task, goal_seed=1) for task in range(8)]
    counts = np.bincount([goal_cell(task) for task in range(100 * N_CELLS)], minlength=N_CELLS)
    assert len(counts) == N_CELLS
    # 100 expected for each cell, with a standard deviation of 10.
    assert (np.abs(counts - 100) < 45).all()
    env = TwoRooms([3, 1], goal_seed=2)
    np.testing.assert_array_equal(env.goal, CELLS[[goal_cell(3, 2), goal_cell(1, 2)]])


def test_starts_are_uniform_over_all_cells_but_the_goal() -> None:
    n_starts = 100 * (N_CELLS - 1)
    env = TwoRooms([0] * n_starts)
    env.reset(np.arange(n_starts), range(n_starts))
    counts = np.bincount(env.cell, minlength=N_CELLS)
    assert counts[goal_cell(0)] == 0
    assert (np.abs(np.delete(counts, goal_cell(0)) - 100) < 45).all()


def test_single_env_takes_the_goal_seed() -> None:
    env: Any = gym.make("sb3_distral/TwoRooms-2-v0", goal_seed=7).unwrapped
    assert env.goal == tuple(CELLS[goal_cell(2, goal_seed=7)])
    np.testing.assert_array_equal(env.walls, WALLS)


@pytest.mark.parametrize("goal_seed", [-1, 0.5, None])
def test_invalid_goal_seed_is_refused(goal_seed: Any) -> None:
    with pytest.raises(ValueError, match=r"goal_seed is .*, expected an integer >= 0"):
        TwoRooms([0], goal_seed=goal_seed)
