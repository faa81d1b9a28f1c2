"""The rules of the suite ``grid-scales``: the mazes of ``grid-mazes``, paid in other units."""

import gymnasium as gym
import numpy as np
import pytest

from sb3_distral import tasks
from sb3_distral.tasks.grids.mazes import GridMazes
from sb3_distral.tasks.grids.scales import GridScales, goal_rewards


def test_rewards_of_a_goal_are_powers_of_ten_in_turn() -> None:
    np.testing.assert_allclose(goal_rewards(range(6), 1000), [0.1, 1.0, 10.0, 100.0, 0.1, 1.0])


@pytest.mark.parametrize("ratio", [1, 8, 1000])
def test_the_ratio_is_that_of_the_largest_to_the_smallest_and_the_second_is_one(ratio: int) -> None:
    rewards = goal_rewards(range(8), ratio)
    assert rewards.max() / rewards.min() == pytest.approx(ratio)
    assert rewards[1] == 1.0


def test_all_but_the_reward_is_as_in_grid_mazes() -> None:
    mazes, scales = GridMazes(list(range(8)) * 4), GridScales(list(range(8)) * 4)
    rows, seeds = np.arange(32), range(32)
    np.testing.assert_array_equal(mazes.reset(rows, seeds), scales.reset(rows, seeds))
    goals = np.zeros(32)
    for actions in np.random.default_rng(0).integers(4, size=(400, 32)):
        observations, rewards, terminated = mazes.step(actions)
        others, scaled, others_terminated = scales.step(actions)
        np.testing.assert_array_equal(observations, others)
        np.testing.assert_array_equal(terminated, others_terminated)
        np.testing.assert_allclose(scaled, rewards * scales.goal_reward)
        goals += rewards
    assert (goals.reshape(4, 8).sum(axis=0) > 0).sum() > 4


def test_returns_can_be_read_as_goals() -> None:
    env = tasks.make("grid-scales", n_tasks=5, n_envs_per_task=2, ratio=27)
    assert env.get_attr("goal_reward") == pytest.approx(np.repeat([1 / 3, 1.0, 3.0, 9.0, 1 / 3], 2))


def test_the_single_task_has_its_reward() -> None:
    env = gym.make("sb3_distral/GridScale-6-v0", ratio=8)
    assert env.unwrapped.batch.goal_reward.tolist() == pytest.approx([2.0])  # type: ignore[attr-defined]


def test_a_state_of_other_rewards_is_refused() -> None:
    with pytest.raises(ValueError, match="one of other tasks than GridScales"):
        GridScales([0], ratio=10).set_state(GridScales([0]).get_state())


@pytest.mark.parametrize("ratio", [0, -5])
def test_a_ratio_below_one_is_refused(ratio: int) -> None:
    with pytest.raises(ValueError, match=f"ratio is {ratio}, expected a number of at least 1"):
        GridScales([0], ratio=ratio)
