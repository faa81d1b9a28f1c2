"""
Trained column-steps per second with LSTM columns, against sb3-contrib's RecurrentPPO, on one PyTorch thread.

Both have the same column, environments and batch; RecurrentPPO takes one epoch with one minibatch. A step of an
environment trains one column of RecurrentPPO and two of Distral, the task's and π0. Ratios are medians over rounds, in
each of which one runs after the other. ``make benchmark`` runs this.
"""

from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
import tyro
from gymnasium import spaces
from rich.console import Console
from rich.table import Table
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import ALGORITHMS, RecurrentDistralA2C
from sb3_distral.networks.lstm import LstmCnnColumn, LstmColumn

N_TASKS, N_ENVS_PER_TASK, N_STEPS = 8, 8, 20
N_ENVS = N_TASKS * N_ENVS_PER_TASK
SPACES: dict[str, spaces.Box] = {
    "vectors of 16 numbers": spaces.Box(-1.0, 1.0, (16,)),
    "images of 3×84×84": spaces.Box(0, 255, (3, 84, 84), np.uint8),
}


class Noise(gym.Env[np.ndarray, np.int64]):
    """
    Observations drawn once, shown in turn: what an environment costs is left out. Episodes have about 100 steps.

    :param observation_space: Space of the observations
    """

    def __init__(self, observation_space: spaces.Box):
        self.observation_space, self.action_space = observation_space, spaces.Discrete(4)
        self.observations = [observation_space.sample() for _ in range(32)]
        self.n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """
        :param seed: Seed of the lengths of episodes
        :param options: Not used
        :return: An observation and no information
        """
        super().reset(seed=seed)
        return self.observations[0], {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """
        :param action: Not used
        :return: The next observation, a reward of 1, and an end with a probability of 1 %
        """
        self.n_steps += 1
        return self.observations[self.n_steps % 32], 1.0, self.np_random.random() < 0.01, False, {}


def recurrent_ppo(space: spaces.Box) -> RecurrentPPO:
    """
    :param space: Space of the observations
    :return: RecurrentPPO on all environments, with a column of Distral as its network
    """
    column = LstmCnnColumn if len(space.shape) == 3 else LstmColumn
    env = DummyVecEnv([lambda: Noise(space)] * N_ENVS)
    batch = {"n_steps": N_STEPS, "batch_size": N_STEPS * N_ENVS, "n_epochs": 1}
    return RecurrentPPO(column, env, device="cpu", seed=0, **batch)  # type: ignore[arg-type]


def recurrent_distral(space: spaces.Box) -> RecurrentDistralA2C:
    """
    :param space: Space of the observations
    :return: Distral on as many environments
    """
    env = [lambda: Noise(space)] * N_TASKS
    arguments = {"n_envs_per_task": N_ENVS_PER_TASK, "n_steps": N_STEPS, **ALGORITHMS["KL+ent_2col"]}
    return RecurrentDistralA2C(env, device="cpu", seed=0, **arguments)


def column_steps_per_second(model: Any, n_columns: int, updates: int) -> float:
    """
    :param model: An algorithm
    :param n_columns: Columns that a step of an environment trains
    :param updates: Roll-outs and updates
    :return: Column-steps per second
    """
    start = perf_counter()
    model.learn(updates * N_STEPS * N_ENVS)
    return n_columns * updates * N_STEPS * N_ENVS / (perf_counter() - start)


def measure(space: spaces.Box, rounds: int, updates: int) -> np.ndarray:
    """
    :param space: Space of the observations
    :param rounds: Repetitions
    :param updates: Roll-outs and updates of each algorithm in each
    :return: Column-steps per second of Distral and of RecurrentPPO, shape (rounds, 2)
    """

    def one_round(updates: int) -> list[float]:
        models = ((recurrent_distral(space), 2), (recurrent_ppo(space), 1))
        return [column_steps_per_second(model, n_columns, updates) for model, n_columns in models]

    one_round(1)  # PyTorch's first calls are slow.
    return np.array([one_round(updates) for _ in range(rounds)])


def main(rounds: int = 5, updates: int = 4) -> None:
    """
    Measure and print the table.

    :param rounds: Repetitions of each measurement
    :param updates: Roll-outs and updates in each
    """
    th.set_num_threads(1)
    table = Table(title="LSTM columns: trained column-steps per second (medians)")
    for heading in ("observations", "RecurrentDistralA2C", "RecurrentPPO", "ratio", "target"):
        table.add_column(heading, justify="left" if heading == "observations" else "right")
    for name, space in SPACES.items():
        speeds = measure(space, rounds, updates)
        ours, theirs = np.median(speeds, axis=0)
        ratio = np.median(speeds[:, 0] / speeds[:, 1])
        table.add_row(name, f"{ours:,.0f}", f"{theirs:,.0f}", f"{ratio:.2f}", ">= 3")
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main)
