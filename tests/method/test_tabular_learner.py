"""The learner against hand-counted roll-outs, a learner in plain loops, and itself one seed at a time."""

from typing import Any

import numpy as np
import pytest

from sb3_distral.method.tabular import TabularTasks, boltzmann_policy, soft_value
from tests.method.small_tasks import N_ACTIONS, N_STATES, make_learner, random_tasks

SURE = 1 - 1e-12


def corridor_tasks() -> TabularTasks:
    """Cells 0 to 3, actions left and right, -1 a step; task 0 ends at the right end, task 1 at the left end."""
    next_state = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
    ends = np.stack([next_state == 3, next_state == 0])[None]
    return TabularTasks(next_state, np.full(ends.shape, -1.0), ends, np.array([[[0], [3]]]))


def always(action: int, n_states: int = 4) -> Any:
    policy = np.full((1, n_states, 2), 1 - SURE)
    policy[..., action] = SURE
    return policy


def test_hand_counted_rollouts() -> None:
    """Going right: task 0 takes 3 steps and ends, task 1 stays at the right end until it is cut after 5."""
    learner = make_learner(corridor_tasks(), distilled_policy=always(1))
    returns = learner.iterate(n_rollouts=2, length=5)
    assert returns.tolist() == [[[-3.0, -3.0], [-5.0, -5.0]]]
    assert learner.counts.tolist() == [[[0, 2], [0, 2], [0, 2], [0, 10]]]
    learner.iterate(n_rollouts=1, length=5)
    assert learner.counts.tolist() == [[[0, 3], [0, 3], [0, 3], [0, 15]]]


def test_prior_follows_the_counts_unless_it_is_fixed() -> None:
    learner = make_learner(corridor_tasks())
    assert (learner.distilled_policy == 0.5).all()
    for _ in range(2):
        learner.iterate(n_rollouts=3, length=4)
    smoothed = learner.counts + 1
    assert (learner.distilled_policy == smoothed / smoothed.sum(axis=-1, keepdims=True)).all()
    fixed = make_learner(corridor_tasks(), distilled_policy=always(1))
    fixed.iterate()
    assert (fixed.distilled_policy == always(1)).all()


def test_ends_stop_the_bootstrap_and_cuts_do_not() -> None:
    """With step size 1 the last step's target is left in the table."""
    arguments = {"distilled_policy": always(1), "step_size": 1.0, "gamma": 0.5}
    learner = make_learner(corridor_tasks(), **arguments)
    learner.iterate(n_rollouts=1, length=5)
    assert learner.q_values[0, 0, 2, 1] == -1.0
    expected = -1.0
    for _ in range(4):
        expected = -1.0 + 0.5 * expected
    assert learner.q_values[0, 1, 3, 1] == pytest.approx(expected, abs=1e-6)


def test_one_rollout_in_plain_loops() -> None:
    tasks, alpha, beta = random_tasks(n_tasks=1), 0.7, 3.0
    learner = make_learner(tasks, alpha=alpha, beta=beta)
    generator, q_values = np.random.default_rng([7, 0]), np.zeros((N_STATES, N_ACTIONS))
    for _ in range(5):
        log_prior = np.log(learner.distilled_policy[0])
        state, chances = int(generator.integers(N_STATES, size=1)[0]), generator.random((20, 1))[:, 0]
        returns = learner.iterate(n_rollouts=1, length=20)
        total = 0.0
        for chance in chances:
            policy = boltzmann_policy(log_prior[state], q_values[state], alpha, beta)
            action = int(np.searchsorted(policy.cumsum()[:-1], chance))
            following, ended = tasks.next_state[state, action], tasks.ends[0, 0, state, action]
            reward = tasks.rewards[0, 0, state, action]
            value = 0.0 if ended else float(soft_value(log_prior[following], q_values[following], alpha, beta))
            q_values[state, action] += 0.1 * (reward + 0.95 * value - q_values[state, action])
            total += reward
            state = following
            if ended:
                break
        assert returns == pytest.approx(total)
        assert learner.q_values[0, 0] == pytest.approx(q_values)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Got 1 generators and a π0 of shape \(1, 3, 2\), expected 1 generators"):
        make_learner(corridor_tasks(), distilled_policy=always(1, n_states=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 2}, "alpha=2 was given for all tasks, but"),
        ({"beta": -1}, "beta=-1 was given for all tasks, but"),
        ({"beta": np.inf}, "beta is inf, but a Boltzmann policy needs a finite β"),
        ({"gamma": 2}, r"gamma is 2, expected a discount in \[0, 1\]"),
        ({"step_size": 5}, "step_size is 5, expected a number above 0, at most 1"),
        ({"step_size": 0}, "step_size is 0, expected a number above 0, at most 1"),
        ({"pseudocount": 0}, "pseudocount is 0, expected a number above 0"),
        ({"distilled_policy": np.full((1, 4, 2), 3.5)}, r"sums over actions from 7\.0 to 7\.0"),
        ({"distilled_policy": np.tile([0.0, 1.0], (1, 4, 1))}, r"entries from 0\.0 to 1\.0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_learner(corridor_tasks(), **arguments)


def test_pseudocount_is_added_to_the_counts() -> None:
    learner = make_learner(corridor_tasks(), pseudocount=3.0)
    learner.iterate(n_rollouts=1, length=4)
    smoothed = learner.counts + 3
    assert (learner.distilled_policy == smoothed / smoothed.sum(axis=-1, keepdims=True)).all()


def test_rollouts_in_the_same_place_add_up() -> None:
    """Ten first steps with one action move Q ten times by a tenth."""
    learner = make_learner(corridor_tasks(), distilled_policy=always(1))
    learner.iterate(n_rollouts=10, length=1)
    assert learner.q_values[0, 0, 0, 1] == pytest.approx(-1.0)


def test_all_seeds_together_equal_each_seed_alone() -> None:
    tasks = random_tasks(n_seeds=3)
    together = make_learner(tasks)
    returns = [together.iterate(4, 30) for _ in range(6)]
    for seed in range(3):
        own = TabularTasks(tasks.next_state, *(table[seed : seed + 1] for table in tasks[1:]))
        alone = make_learner(own)
        alone.generators = [np.random.default_rng([7, seed])]
        for expected in returns:
            assert (alone.iterate(4, 30)[0] == expected[seed]).all()
        assert (alone.q_values[0] == together.q_values[seed]).all()
        assert (alone.counts[0] == together.counts[seed]).all()
