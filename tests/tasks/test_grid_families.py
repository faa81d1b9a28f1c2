"""The suite ``grid-families``: goals in few mazes, in half of whose tasks every move goes the opposite way."""

import numpy as np
import pytest

from sb3_distral import tasks
from sb3_distral.errors import UsageError
from sb3_distral.tasks.grids.cells import MOVES
from sb3_distral.tasks.grids.families import OPPOSITES, GridFamilies, is_reversed
from sb3_distral.tasks.grids.mazes import GridMazes

N_TASKS = 16


@pytest.mark.parametrize("maze_seed", [0, 1, 5])
def test_a_reversed_task_is_its_maze_with_opposite_moves(maze_seed):
    own = list(range(N_TASKS))
    families = GridFamilies(own, maze_seed=maze_seed, n_mazes=3)
    reverses = np.array([is_reversed(task, maze_seed) for task in own])
    actions = np.random.default_rng(0).integers(4, size=(100, N_TASKS))
    families.reset(np.arange(N_TASKS), range(N_TASKS))
    for step in actions:
        before, goal = families.position, families.goal
        observations, rewards, _ = families.step(step)
        target = before + MOVES[np.where(reverses, OPPOSITES[step], step)]
        blocked = families.walls[np.arange(N_TASKS), target[:, 0], target[:, 1]]
        expected = np.where(blocked[:, None], before, target)
        reached = (expected == goal).all(axis=1)
        np.testing.assert_array_equal(rewards, reached)
        np.testing.assert_array_equal(families.position[~reached], expected[~reached])
        # The previous action is the one that was chosen.
        np.testing.assert_array_equal(observations[:, -5:-1].argmax(1), step)


@pytest.mark.parametrize("n_mazes", [1, 3])
def test_pairs_of_both_families_share_the_first_mazes_of_grid_mazes(n_mazes):
    own = list(range(N_TASKS))
    families, mazes = GridFamilies(own, n_mazes=n_mazes), GridMazes(own)
    for task in own:
        np.testing.assert_array_equal(families.walls[task], mazes.walls[task // 2 % n_mazes])
        assert not families.walls[(task, *families.goal[task])]
    assert len({tuple(goal) for goal in families.goal}) > N_TASKS // 2


def test_a_suite_without_mazes_is_refused():
    with pytest.raises(UsageError, match="n_mazes is 0, expected at least 1"):
        GridFamilies([0], n_mazes=0)


@pytest.mark.parametrize("maze_seed", range(5))
def test_half_of_the_tasks_are_reversed_and_their_index_does_not_tell(maze_seed):
    reverses = [is_reversed(task, maze_seed) for task in range(64)]
    assert all(sum(reverses[: 2 * pairs]) == pairs for pairs in range(1, 33))
    evens = sum(reverses[::2])
    assert 8 < evens < 24
    assert len({tuple(is_reversed(task, seed) for task in range(64)) for seed in range(5)}) == 5


def test_observations_do_not_tell_the_family():
    """Two tasks of different families see the same in the same cell, but for their goals."""
    env = GridFamilies([0, 1])
    env.reset(np.arange(2), [0, 0])
    env.cell[:] = 5
    first, second = env._observe(slice(None))
    np.testing.assert_array_equal(np.delete(first, range(25, 50)), np.delete(second, range(25, 50)))


def test_some_of_the_tasks_alone_are_what_they_are_among_all():
    """A single environment, and a subset in another order, have the family of their task."""
    whole = GridFamilies(list(range(8)))
    part = GridFamilies([6, 3, 3])
    whole.reset(np.arange(8), range(8))
    part.reset(np.arange(3), [6, 3, 3])
    for step in range(30):
        action = step % 4
        whole.step(np.full(8, action))
        part.step(np.full(3, action))
        if (whole.previous_reward > 0).any():
            break
        np.testing.assert_array_equal(part.position, whole.position[[6, 3, 3]])


def test_families_are_told_apart_by_the_fingerprint_of_a_saved_place():
    assert GridFamilies([0, 1]).fingerprint != GridMazes([0, 1]).fingerprint
    env = tasks.make("grid-families", n_tasks=4)
    assert list(env.task_names) == [f"family-maze-{task}" for task in range(4)]
