"""The suite ``grid-families``: one maze with switches, of which two families of tasks want opposite ones."""

import numpy as np
import pytest

from experiments.likeness.optimum import best_return
from sb3_distral import tasks
from sb3_distral.errors import UsageError
from sb3_distral.tasks.grids.families import GridFamilies, family_of
from sb3_distral.tasks.grids.likeness import N_PASSAGES, GridLikeness

N_TASKS = 16


def wanted(batch):
    """Which switch of each pair every task wants, shape (n_tasks, N_PASSAGES)."""
    return (batch.payoffs[:, batch.maze.passages[:, None], batch.maze.presses] == 1).argmax(axis=2)


@pytest.mark.parametrize("maze_seed", [0, 1, 5])
@pytest.mark.parametrize("likeness", [0.25, 0.75, 1.0])
def test_a_family_has_its_part_of_the_wishes_in_common_and_the_other_wants_the_opposite(likeness, maze_seed):
    batch = GridFamilies(range(N_TASKS), likeness=likeness, maze_seed=maze_seed)
    families = np.array([family_of(task, 2, maze_seed) for task in range(N_TASKS)])
    n_common = int(likeness * N_PASSAGES)
    common = wanted(batch)[:, :n_common]
    np.testing.assert_array_equal(common[families == 0], common[families == 0][:1].repeat(N_TASKS // 2, axis=0))
    np.testing.assert_array_equal(common[families == 1], 1 - common[families == 0])


def test_the_other_wishes_are_those_of_likeness():
    batch, same = (own(range(N_TASKS), likeness=0.5) for own in (GridFamilies, GridLikeness))
    np.testing.assert_array_equal(wanted(batch)[:, 4:], wanted(same)[:, 4:])


def test_one_family_is_the_suite_of_likeness():
    batch, same = GridFamilies(range(6), 1, 0.75, 3), GridLikeness(range(6), 0.75, 3)
    np.testing.assert_array_equal(batch.payoffs, same.payoffs)
    assert {family_of(task, 1) for task in range(N_TASKS)} == {0}


@pytest.mark.parametrize("maze_seed", range(5))
def test_half_of_the_tasks_are_of_each_family_and_their_index_does_not_tell(maze_seed):
    families = [family_of(task, 2, maze_seed) for task in range(64)]
    assert all(sum(families[: 2 * pairs]) == pairs for pairs in range(1, 33))
    assert 8 < sum(families[::2]) < 24
    assert len({tuple(family_of(task, 2, seed) for task in range(64)) for seed in range(5)}) == 5


def test_the_best_policy_for_all_tasks_gets_nothing_and_that_of_a_family_all_that_its_tasks_agree_on():
    batch = GridFamilies(range(N_TASKS), likeness=1.0)
    families = np.array([family_of(task) for task in range(N_TASKS)])
    own = best_return(batch, batch.payoffs[0])
    assert best_return(batch, batch.payoffs.mean(axis=0)) == pytest.approx(0.0)
    for family in range(2):
        assert best_return(batch, batch.payoffs[families == family].mean(axis=0)) == pytest.approx(own)
    assert own > 40


def test_observations_do_not_tell_the_family():
    batch = GridFamilies([0, 1])
    batch.reset(np.arange(2), [0, 0])
    for cell in range(batch.payoffs.shape[1]):
        batch.cell[:] = cell
        first, second = batch._observe(slice(None))
        np.testing.assert_array_equal(first, second)


def test_some_of_the_tasks_alone_are_what_they_are_among_all():
    whole, part = GridFamilies(range(8)), GridFamilies([6, 3, 3])
    np.testing.assert_array_equal(part.payoffs, whole.payoffs[[6, 3, 3]])


@pytest.mark.parametrize("n_families", [0, 3])
def test_another_number_of_families_is_refused(n_families):
    with pytest.raises(UsageError, match=f"n_families is {n_families}, expected 1 or 2"):
        GridFamilies([0], n_families)


def test_families_are_told_apart_by_the_fingerprint_of_a_saved_place():
    assert GridFamilies([0, 1]).fingerprint != GridFamilies([0, 1], 1).fingerprint
    env = tasks.make("grid-families", n_tasks=4)
    assert list(env.task_names) == [f"family-{task}" for task in range(4)]
