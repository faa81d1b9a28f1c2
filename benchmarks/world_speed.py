"""
Steps per second of training on the first-person mazes, against stepping them with random actions.

Training renders, acts and learns with the paper's columns; random actions only render, which bounds the speed of any
training. Ratios are medians over rounds, in each of which one runs after the other. ``make benchmark`` runs this.
"""

from time import perf_counter

import numpy as np
import torch as th
import tyro
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral import ALGORITHMS, RecurrentDistralA2C, tasks

SUITE, N_ENVS_PER_TASK = "mazes", 8
# Algorithms and what their speed is asked to be, as a part of that of random actions.
TARGETS = {"KL+ent_2col": ">= 0.5", "A3C": ""}


def make_model(algorithm: str) -> RecurrentDistralA2C:
    """
    :param algorithm: An algorithm of Table 1
    :return: A model with the paper's columns that has finished its first roll-out
    """
    env = tasks.make(SUITE, N_ENVS_PER_TASK, seed=0)
    model = RecurrentDistralA2C(env, device="cpu", seed=0, **ALGORITHMS[algorithm])
    return model.learn(model.n_steps * model.n_envs)


def training_speed(model: RecurrentDistralA2C, updates: int) -> float:
    """
    :param model: A model, trained on
    :param updates: Roll-outs and updates
    :return: Steps of all environments per second
    """
    steps = updates * model.n_steps * model.n_envs
    start = perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    return steps / (perf_counter() - start)


def random_speed(env: VecEnv, vector_steps: int) -> float:
    """
    :param env: The suite
    :param vector_steps: Steps of all sub-environments at once
    :return: Steps of all sub-environments per second under random actions
    """
    actions = np.random.default_rng(0).integers(env.action_space.n, size=(vector_steps, env.num_envs))  # type: ignore[attr-defined]
    start = perf_counter()
    for action in actions:
        env.step(action)
    return actions.size / (perf_counter() - start)


def measure(rounds: int, updates: int) -> np.ndarray:
    """
    :param rounds: Repetitions
    :param updates: Roll-outs and updates in each, and as many random steps
    :return: Steps per second of random actions, then of each algorithm, shape (rounds, 1 + n_algorithms)
    """
    models = [make_model(algorithm) for algorithm in TARGETS]
    env = tasks.make(SUITE, N_ENVS_PER_TASK, seed=0)
    env.reset()

    def one_round() -> list[float]:
        return [random_speed(env, 20 * updates), *(training_speed(model, updates) for model in models)]

    return np.array([one_round() for _ in range(rounds)])


def main(rounds: int = 5, updates: int = 2) -> None:
    """
    Measure and print the table.

    :param rounds: Repetitions of each measurement
    :param updates: Roll-outs and updates in each
    """
    speeds = measure(rounds, updates)
    table = Table(
        title=f"{SUITE}, 8 × {N_ENVS_PER_TASK} environments, {th.get_num_threads()} PyTorch threads (medians)"
    )
    for heading in ("measured", "steps/s", "of random", "target"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    for index, (name, target) in enumerate([("random actions", ""), *TARGETS.items()]):
        ratio = np.median(speeds[:, index] / speeds[:, 0])
        table.add_row(name, f"{np.median(speeds[:, index]):,.0f}", f"{ratio:.2f}", target)
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main)
