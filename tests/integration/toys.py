"""Small environments whose every number is known, and comparisons of models."""

import csv
import subprocess
import sys
import textwrap
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral import DistralA2C


class Toy(gym.Env):
    """
    Observations drawn from the environment's own generator; a reward per step, drawn likewise where it is ``None``.

    Episodes end after ``length`` steps, by the time limit where ``truncates``.
    """

    def __init__(
        self,
        reward: float | None = 1.0,
        length: int = 4,
        size: int = 3,
        n_actions: int = 2,
        truncates: bool = False,
        observation_space: spaces.Space | None = None,
    ):
        self.observation_space = observation_space or spaces.Box(0.0, 1.0, (size,), np.float32)
        self.action_space = spaces.Discrete(n_actions)
        self.reward, self.length, self.truncates = reward, length, truncates
        self.steps = 0

    def observe(self) -> Any:
        if isinstance(self.observation_space, spaces.Dict):
            return {key: self.draw(space) for key, space in self.observation_space.items()}
        return self.draw(self.observation_space)

    def draw(self, space: spaces.Box) -> np.ndarray:
        return self.np_random.uniform(space.low, space.high).astype(space.dtype)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        reward = float(self.np_random.normal()) if self.reward is None else self.reward
        done = self.steps >= self.length
        return self.observe(), reward, done and not self.truncates, done and self.truncates, {}

    def name(self, greeting: str = "toy") -> str:
        return f"{greeting} of {self.length} steps"


DICT_SPACE = spaces.Dict({"near": spaces.Box(0.0, 1.0, (2,)), "far": spaces.Box(-1.0, 1.0, (3,))})
IMAGE_SPACE = spaces.Box(0, 255, (36, 36, 3), np.uint8)

#: The id of an environment with the registered time limit of 500 steps.
CARTPOLE = "CartPole-v1"


class ScriptedVecEnv(VecEnv):
    """A user's own VecEnv: observations, rewards and ends are functions of the step's number, and it has no state."""

    def __init__(self, n_envs: int = 2, start: int = 0):
        super().__init__(n_envs, spaces.Box(-1.0, 1.0, (3,)), spaces.Discrete(2))
        self.now = start

    def numbers(self) -> np.random.Generator:
        return np.random.default_rng([7, self.now])

    def observe(self) -> np.ndarray:
        return self.numbers().uniform(-1, 1, (self.num_envs, 3)).astype(np.float32)

    def reset(self):
        return self.observe()

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        self.now += 1
        rewards = self.numbers().normal(size=self.num_envs).astype(np.float32) + self.actions
        dones = np.full(self.num_envs, self.now % 7 == 0)
        infos = [{"terminal_observation": row} if done else {} for row, done in zip(self.observe(), dones, strict=True)]
        return self.observe(), rewards.astype(np.float32), dones, infos

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name, value, indices=None):
        setattr(self, attr_name, value)

    def env_method(self, method_name, *args, indices=None, **kwargs):
        return [getattr(self, method_name)(*args, **kwargs) for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False for _ in self._get_indices(indices)]


class Recorder(BaseCallback):
    """Keep what a training yields: rewards as the algorithm sees them, infos, and the log of each roll-out."""

    def __init__(self):
        super().__init__()
        self.rewards, self.infos, self.logs = [], [], []

    def _on_step(self) -> bool:
        self.rewards.append(np.array(self.locals["rewards"]))
        self.infos.append(self.locals["infos"])
        return True

    def _on_rollout_start(self) -> None:
        self.logs.append(dict(self.logger.name_to_value))


def training_state(model: DistralA2C) -> dict[str, Any]:
    """Everything of a model that decides how its training goes on, the environment and the generators apart."""
    return {
        "parameters": model.get_parameters(),
        "num_timesteps": model.num_timesteps,
        "n_updates": model._n_updates,
        "progress": model._current_progress_remaining,
        "costs": list(model.costs),
        "task_names": model.task_names,
    }


def assert_equal(first: Any, second: Any, place: str = "state") -> None:
    """Compare nested containers of tensors, arrays and numbers bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            assert_equal(first[key], second[key], f"{place}[{key!r}]")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_equal(one, other, f"{place}[{index}]")
    elif isinstance(first, th.Tensor):
        assert th.equal(first, second), place
    elif isinstance(first, np.ndarray):
        assert np.array_equal(first, second), place
    else:
        assert first == second, place


def same(first: Any, second: Any) -> bool:
    try:
        assert_equal(first, second)
    except AssertionError:
        return False
    return True


TASKS = {"poor": partial(Toy, reward=1.0, length=3), "rich": partial(Toy, reward=100.0, length=5)}


def start(script, **values):
    command = [sys.executable, "-c", textwrap.dedent(script).format(**values)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def logged(model, steps, tmp_path, **learn_arguments):
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(steps, log_interval=1, **learn_arguments)
    model.logger.close()
    with (tmp_path / "progress.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    return dict(zip(rows[0], rows[-1], strict=True))


class Chooser(gym.Env):
    """The reward is the action: returns tell which policy acted."""

    observation_space = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        return np.ones(3, np.float32), {}

    def step(self, action):
        return np.ones(3, np.float32), float(action), True, False, {}
