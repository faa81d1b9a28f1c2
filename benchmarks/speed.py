"""
Steps per second, against plain A2C and by part, on one PyTorch thread.

Ratios are medians over rounds; the algorithms of a round run one after the other, so that a slow moment of the machine
touches all of them. ``make benchmark`` runs this in a few minutes.
"""

from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any
from unittest import mock

import numpy as np
import torch as th
import tyro
from rich.console import Console
from rich.table import Table
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env

from sb3_distral import ALGORITHMS, DistralA2C, tasks

N_TASKS, N_ENVS_PER_TASK = 8, 4
COLUMNS = {"net_arch": [64, 64]}


def steps_per_second(models: list[Any], steps: int) -> float:
    """
    :param models: Algorithms, trained one after the other
    :param steps: Steps of all of them together
    :return: Steps per second
    """
    start = perf_counter()
    done = sum(model.learn(steps // len(models)).num_timesteps for model in models)
    return float(done) / (perf_counter() - start)


def cartpole_distral() -> DistralA2C:
    """
    :return: Distral on eight CartPoles of four environments
    """
    env = ["CartPole-v1"] * N_TASKS
    return DistralA2C(env, n_envs_per_task=N_ENVS_PER_TASK, policy_kwargs=COLUMNS, device="cpu", seed=0)


def cartpole_a2c(n_envs: int) -> A2C:
    """
    :param n_envs: Number of environments
    :return: A2C on as many CartPoles
    """
    env = make_vec_env("CartPole-v1", n_envs)
    return A2C("MlpPolicy", env, policy_kwargs=COLUMNS, device="cpu", seed=0)


def maze_distral() -> DistralA2C:
    """
    :return: Distral on eight mazes of eight environments
    """
    env = tasks.make("grid-mazes", n_envs_per_task=8, seed=0)
    return DistralA2C(env, policy_kwargs=COLUMNS, device="cpu", seed=0, **ALGORITHMS["KL+ent_2col"])


def measure_cartpole(rounds: int, steps: int) -> np.ndarray:
    """
    :param rounds: Repetitions
    :param steps: Steps of each algorithm in each
    :return: Steps per second of Distral, of one A2C and of eight A2Cs in turn, shape (rounds, 3)
    """

    def one_round() -> list[float]:
        eight = [cartpole_a2c(N_ENVS_PER_TASK) for _ in range(N_TASKS)]
        models: list[list[Any]] = [[cartpole_distral()], [cartpole_a2c(N_TASKS * N_ENVS_PER_TASK)], eight]
        return [steps_per_second(single, steps) for single in models]

    one_round()  # PyTorch's first calls are slow.
    return np.array([one_round() for _ in range(rounds)])


def measure_suite(rounds: int, vector_steps: int = 500) -> float:
    """
    :param rounds: Repetitions
    :param vector_steps: Steps of all environments at once, in each
    :return: Steps per second of the mazes alone, median
    """
    env = tasks.make("grid-mazes", n_envs_per_task=8, seed=0)
    actions = np.random.default_rng(0).integers(env.action_space.n, size=(vector_steps, env.num_envs))  # type: ignore[attr-defined]
    env.reset()

    def one_round() -> float:
        start = perf_counter()
        for action in actions:
            env.step(action)
        return actions.size / (perf_counter() - start)

    return float(np.median([one_round() for _ in range(rounds)]))


class Stopwatch:
    """Add up the time spent in functions."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """
        :param part: Name of the part that the function belongs to
        :param function: Any function
        :return: The same function, timed
        """
        self.seconds.setdefault(part, 0.0)

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += perf_counter() - start

        return wrapper


def measure_shares(model: DistralA2C, steps: int) -> dict[str, float]:
    """
    :param model: A model, not used again
    :param steps: Steps to train
    :return: Share of the time by part, summing to 1
    """
    assert model.env is not None
    watch = Stopwatch()
    parts = (
        ("environments", model.env.venv, "step_wait"),
        ("policies in the roll-out", model.policy, "forward"),
        ("update, with the distillation", model, "train"),
    )
    patches = [mock.patch.object(owner, name, watch.timed(part, getattr(owner, name))) for part, owner, name in parts]
    for patch in patches:
        patch.start()
    start = perf_counter()
    model.learn(steps)
    total = perf_counter() - start
    for patch in patches:
        patch.stop()
    rest = total - sum(watch.seconds.values())
    return {part: seconds / total for part, seconds in (watch.seconds | {"rest": rest}).items()}


def print_speeds(cartpole: np.ndarray, suite: float, maze_training: float) -> None:
    """
    :param cartpole: Steps per second, shape (rounds, 3)
    :param suite: Steps per second of the mazes alone
    :param maze_training: Steps per second of the training on mazes
    """
    distral, one, eight = np.median(cartpole, axis=0)
    to_one, to_eight = (np.median(cartpole[:, 0] / cartpole[:, index]) for index in (1, 2))
    table = Table(title="Speed (medians)")
    for heading in ("measured", "result", "target"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    table.add_row("8 CartPoles × 4: DistralA2C", f"{distral:,.0f} steps/s", "")
    table.add_row("32 CartPoles: one A2C", f"{one:,.0f} steps/s", "")
    table.add_row("8 × 4 CartPoles: eight A2Cs in turn", f"{eight:,.0f} steps/s", "")
    table.add_row("DistralA2C / one A2C", f"{to_one:.2f}", ">= 0.8")
    table.add_row("DistralA2C / eight A2Cs in turn", f"{to_eight:.2f}", ">= 4")
    table.add_row("grid-mazes 8 × 8 alone", f"{suite:,.0f} steps/s", ">= 100,000")
    table.add_row("grid-mazes 8 × 8: training", f"{maze_training:,.0f} steps/s", ">= 15,000")
    Console().print(table)


def print_shares(shares: dict[str, dict[str, float]]) -> None:
    """
    :param shares: Shares of the time by part, by environment
    """
    table = Table(title="Where DistralA2C spends its time")
    table.add_column("part")
    for name in shares:
        table.add_column(name, justify="right")
    for part in next(iter(shares.values())):
        table.add_row(part, *(f"{100 * column[part]:.0f} %" for column in shares.values()))
    Console().print(table)


def main(rounds: int = 5, steps: int = 32_000) -> None:
    """
    Measure and print the two tables.

    :param rounds: Repetitions of each measurement
    :param steps: Training steps in each
    """
    th.set_num_threads(1)
    cartpole = measure_cartpole(rounds, steps)
    suite = measure_suite(rounds)
    maze_training = float(np.median([steps_per_second([maze_distral()], 2 * steps) for _ in range(rounds)]))
    print_speeds(cartpole, suite, maze_training)
    models = {"8 CartPoles × 4": cartpole_distral(), "8 mazes × 8": maze_distral()}
    print_shares({name: measure_shares(model, steps) for name, model in models.items()})


if __name__ == "__main__":
    tyro.cli(main)
