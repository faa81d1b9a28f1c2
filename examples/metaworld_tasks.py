"""The ten tasks of Meta-World's MT10 as Distral takes them: seeded, in handy sizes, a process for each task."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.monitor import Monitor

from sb3_distral import RemoteVecEnv, TaskVecEnv, make_task_vec_env

#: The names of MT10, in Meta-World's order
TASKS = (
    "reach-v3",
    "push-v3",
    "pick-place-v3",
    "door-open-v3",
    "drawer-open-v3",
    "drawer-close-v3",
    "button-press-topdown-v3",
    "peg-insert-side-v3",
    "window-open-v3",
    "window-close-v3",
)
#: Meta-World draws the fifty goals of each task from this seed.
GOAL_SEED = 0
#: Meta-World pays up to 10 a step. α/β is in these units for each nat.
REWARD_SCALE = 0.1
#: Steps of an episode
HORIZON = 500

# Where most hands and objects are, in metres, and the size of their movements, for x, y and z.
CENTRE, SIZE = np.array([0.0, 0.6, 0.15]), 0.1
#: Where positions begin (hand, two objects, the same a step before, the goal) among the 39 numbers
POSITIONS = np.array([0, 4, 11, 18, 22, 29, 36])


class MetaWorldTask(gym.Wrapper[Any, Any, Any, Any]):
    """
    Give a task of Meta-World what learners need: seeds, observations and rewards of a handy size, ``is_success``.

    ``reset(seed=…)`` is ignored by Meta-World; here it seeds the order of the goals. The bounds of its observation
    space say that the goal is always at 0, which it is not; here the space has no bounds. An episode is a success if it
    succeeded in any step, which is how Meta-World counts.

    :param env: One task, with the goals of ``Meta-World/MT1``
    """

    def __init__(self, env: gym.Env[Any, Any]):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (39,), np.float32)
        self.succeeded = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, Any]:
        """
        Begin an episode with one of the fifty goals.

        :param seed: Seed of the order of the goals, ``None``: go on
        :param options: Not used by Meta-World
        :return: The first observation, shape (39,), and infos
        """
        if seed is not None:
            self.env.unwrapped.seed(seed)  # type: ignore[attr-defined]
        self.succeeded = False
        observation, info = self.env.reset()
        return rescale(observation), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """
        Move the hand and the fingers.

        :param action: Movement of the hand and force of the fingers, shape (4,)
        :return: As gymnasium; ``is_success`` says whether the episode has succeeded so far
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.succeeded = self.succeeded or bool(info["success"])
        info["is_success"] = self.succeeded
        return rescale(observation), REWARD_SCALE * float(reward), bool(terminated), truncated, info


def rescale(observation: np.ndarray) -> np.ndarray:
    """
    Turn positions from metres into distances from the middle of the table, in tens of centimetres.

    :param observation: Of Meta-World, shape (39,)
    :return: ``float32``, shape (39,); what is no position stays as it is
    """
    scaled = observation.astype(np.float32)
    places = POSITIONS[:, None] + np.arange(3)
    scaled[places] = (observation[places] - CENTRE) / SIZE
    return scaled


@cache
def benchmark(name: str) -> Any:
    """
    Draw the goals of one task, once in a process: that takes seconds.

    :param name: Its name in Meta-World
    :return: Its class and its fifty goals, Meta-World's ``MT1``
    """
    import metaworld

    return metaworld.MT1(name, seed=GOAL_SEED)


def make_task(name: str) -> gym.Env[Any, Any]:
    """
    Make one task as ``gym.make("Meta-World/MT1", …)`` does, from goals that all its copies share.

    :param name: Its name in Meta-World
    :return: The task; the returns that are logged are in Meta-World's rewards
    """
    from metaworld.wrappers import AutoTerminateOnSuccessWrapper, RandomTaskSelectWrapper

    env = AutoTerminateOnSuccessWrapper(TimeLimit(benchmark(name).train_classes[name](), HORIZON))
    env.toggle_terminate_on_success(False)
    return MetaWorldTask(Monitor(RandomTaskSelectWrapper(env, benchmark(name).train_tasks)))


def make_tasks(names: tuple[str, ...], n_envs_per_task: int, seed: int) -> TaskVecEnv:
    """
    Put tasks side by side, each in a process of its own.

    :param names: Names of the tasks
    :param n_envs_per_task: Copies of each, all in its process
    :param seed: Seed of the order of the goals
    :return: The tasks as one environment
    """
    makers: dict[str, Callable[[], gym.Env[Any, Any]]] = {name: partial(make_task, name) for name in names}
    return make_task_vec_env(makers, n_envs_per_task, seed, RemoteVecEnv)
