"""The suite ``grid-families``: the mazes of ``grid-mazes``, in half of which every move goes the opposite way."""

import numpy as np
import pytest

from sb3_distral import tasks
from sb3_distral.tasks.grids.families import OPPOSITES, GridFamilies, is_reversed
from sb3_distral.tasks.grids.mazes import GridMazes

N_TASKS = 16


def play(env, actions):
    """Positions, rewards and observations of an episode without the ones that follow a goal, which are drawn anew."""
    env.reset(np.arange(env.n_envs), range(env.n_envs))
    steps = [(env.position, *env.step(own)[:2]) for own in actions]
    return [np.array(column) for column in zip(*steps, strict=True)]


@pytest.mark.parametrize("maze_seed", [0, 1, 5])
def test_a_reversed_task_is_the_maze_with_opposite_moves(maze_seed):
    own = list(range(N_TASKS))
    families, mazes = GridFamilies(own, maze_seed=maze_seed), GridMazes(own, maze_seed=maze_seed)
    reverses = np.array([is_reversed(task, maze_seed) for task in own])
    np.testing.assert_array_equal(families.walls, mazes.walls)
    np.testing.assert_array_equal(families.goal, mazes.goal)
    actions = np.random.default_rng(0).integers(4, size=(100, N_TASKS))
    played = play(families, actions)
    expected = play(mazes, np.where(reverses, OPPOSITES[actions], actions))
    np.testing.assert_array_equal(played[0], expected[0])
    np.testing.assert_array_equal(played[2], expected[2])
    # The previous action is the one that was chosen.
    np.testing.assert_array_equal(played[1][..., -5:-1].argmax(-1), actions)
    np.testing.assert_array_equal(played[1][..., :-5], expected[1][..., :-5])


@pytest.mark.parametrize("maze_seed", range(5))
def test_half_of_the_tasks_are_reversed_and_their_index_does_not_tell(maze_seed):
    reverses = [is_reversed(task, maze_seed) for task in range(64)]
    assert all(sum(reverses[: 2 * pairs]) == pairs for pairs in range(1, 33))
    evens = sum(reverses[::2])
    assert 8 < evens < 24
    assert len({tuple(is_reversed(task, seed) for task in range(64)) for seed in range(5)}) == 5


def test_the_first_observation_does_not_tell_the_family():
    own = list(range(8))
    first, second = (batch(own).reset(np.arange(8), range(8)) for batch in (GridFamilies, GridMazes))
    np.testing.assert_array_equal(first, second)


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
