"""
What a prior in the reward costs A2C, on one PyTorch thread.

With and without it in turn, so that a slow moment of the machine touches both; seconds of the processor, and the median
of the ratios. ``make benchmark`` runs this in a minute.
"""

from collections.abc import Callable
from time import process_time

import numpy as np
import torch as th
import tyro
from rich.console import Console
from rich.table import Table
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral import DistralA2C, VecDistilledPriorReward, tasks

N_ENVS = 32
#: Environments of a new task by name, and the tasks of which π0 was made; an untrained one costs as much.
NEW_TASKS: dict[str, tuple[Callable[[], VecEnv], list[str]]] = {
    "32 CartPoles": (lambda: make_vec_env("CartPole-v1", N_ENVS), ["CartPole-v1"] * 2),
    "32 × GridMaze": (lambda: tasks.make("grid-mazes", N_ENVS, n_tasks=1).venv, ["sb3_distral/GridMaze-0-v0"] * 2),
}


def seconds(env: VecEnv, steps: int) -> float:
    """
    :param env: Environments of a new task
    :param steps: Steps of A2C
    :return: Seconds of the processor
    """
    model = A2C("MlpPolicy", env, device="cpu", seed=0)
    start = process_time()
    model.learn(steps)
    return process_time() - start


def ratios(make_env: Callable[[], VecEnv], known: list[str], rounds: int, steps: int) -> np.ndarray:
    """
    :param make_env: Makes environments of a new task
    :param known: The tasks of π0
    :param rounds: Repetitions
    :param steps: Steps of each training
    :return: Time with the prior / without it, shape (rounds,)
    """
    prior = DistralA2C(known, device="cpu").distilled_policy

    def one_round() -> float:
        without = seconds(make_env(), steps)
        return seconds(VecDistilledPriorReward(make_env(), prior), steps) / without

    one_round()  # PyTorch's first calls are slow.
    return np.array([one_round() for _ in range(rounds)])


def main(rounds: int = 9, steps: int = 16_000) -> None:
    """
    Measure and print the table.

    :param rounds: Repetitions of each measurement
    :param steps: Training steps in each
    """
    th.set_num_threads(1)
    table = Table(title="A2C with VecDistilledPriorReward / without")
    for heading in ("environments", "median", "all rounds", "target"):
        table.add_column(heading, justify="left" if heading == "environments" else "right")
    for name, (make_env, known) in NEW_TASKS.items():
        found = ratios(make_env, known, rounds, steps)
        table.add_row(name, f"{np.median(found):.2f}", f"{found.min():.2f} to {found.max():.2f}", "<= 1.2")
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main)
