"""The wrapper that adds the previous action and reward to the observation."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from sb3_distral import make_task_vec_env
from sb3_distral.tasks import PreviousActionAndReward


class CountingEnv(gym.Env[Any, Any]):
    """
    Observes the step, pays the action, and lasts two steps.

    :param action_space: The actions
    :param keys: Keys of the observation; none: it is plain
    """

    def __init__(self, action_space: spaces.Space[Any], keys: tuple[str, ...] = ()) -> None:
        box = spaces.Box(0, 9, (2,), np.float32)
        self.observation_space = spaces.Dict(dict.fromkeys(keys, box)) if keys else box
        self.action_space, self.keys = action_space, keys

    def _observe(self) -> Any:
        values = np.full(2, self.n_steps, dtype=np.float32)
        return dict.fromkeys(self.keys, values) if self.keys else values

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.n_steps = 0
        return self._observe(), {"seed": seed}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.n_steps += 1
        return self._observe(), 0.5 * float(action), False, self.n_steps == 2, {"action": action}


def assert_observation(observation: dict[str, Any], step: int, one_hot: list[int], reward: float) -> None:
    np.testing.assert_array_equal(observation["obs"], np.full(2, step, dtype=np.float32), strict=True)
    np.testing.assert_array_equal(observation["previous_action"], np.array(one_hot, dtype=np.float32), strict=True)
    np.testing.assert_array_equal(observation["previous_reward"], np.array([reward], dtype=np.float32), strict=True)


@pytest.mark.parametrize(("start", "keys"), [(0, ()), (-5, ()), (0, ("obs",))])
def test_observations_by_hand(start: int, keys: tuple[str, ...]) -> None:
    env = PreviousActionAndReward(CountingEnv(spaces.Discrete(3, start=start), keys))
    observation, info = env.reset(seed=4)
    assert_observation(observation, 0, [0, 0, 0], 0.0)
    assert info == {"seed": 4}
    first, reward, terminated, truncated, info = env.step(np.int64(start + 2))
    assert_observation(first, 1, [0, 0, 1], 0.5 * (start + 2))
    assert (reward, terminated, truncated, info) == (0.5 * (start + 2), False, False, {"action": start + 2})
    second, _, _, truncated, _ = env.step(np.int64(start + 1))
    assert_observation(second, 2, [0, 1, 0], 0.5 * (start + 1))
    assert truncated
    assert_observation(first, 1, [0, 0, 1], 0.5 * (start + 2))  # what was returned is not written again
    assert_observation(env.reset()[0], 0, [0, 0, 0], 0.0)


@pytest.mark.filterwarnings("ignore:.*(unwrapped version|infinity)")
def test_space_and_checkers() -> None:
    env = PreviousActionAndReward(CountingEnv(spaces.Discrete(3), ("image", "map")))
    assert list(env.observation_space) == ["image", "map", "previous_action", "previous_reward"]
    sb3_check_env(env)
    gymnasium_check_env(PreviousActionAndReward(gym.make("CartPole-v1").unwrapped), skip_render_check=True)


def test_tasks_side_by_side() -> None:
    env = make_task_vec_env([lambda: PreviousActionAndReward(CountingEnv(spaces.Discrete(3)))] * 2)
    env.reset()
    env.step(np.array([1, 2]))
    observations: Any
    observations, _, _, infos = env.step(np.array([2, 0]))
    # The episodes have ended: the values are in the last observations, not in the first of the next episodes.
    assert not observations["previous_action"].any() and not observations["previous_reward"].any()
    for info, one_hot, reward in zip(infos, ([0, 0, 1], [1, 0, 0]), (1.0, 0.0), strict=True):
        assert_observation(info["terminal_observation"], 2, one_hot, reward)


def test_actions_that_are_not_discrete_are_refused() -> None:
    with pytest.raises(ValueError, match=r"action space is .*expected a Discrete space"):
        PreviousActionAndReward(CountingEnv(spaces.Box(-1, 1, (1,))))


@pytest.mark.parametrize("key", ["previous_action", "previous_reward"])
def test_keys_that_are_there_already_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"\['{key}'\] would be added; rename them"):
        PreviousActionAndReward(CountingEnv(spaces.Discrete(3), ("image", key)))
