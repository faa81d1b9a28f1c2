"""
The ten robot tasks of Meta-World's MT10 learn together; then see which of them succeed, and what π0 alone can do.

Needs the extra ``metaworld``. Writes into ``runs/metaworld``: the model, a checkpoint from which an interrupted run goes
on, ``episodes.csv`` with all training episodes, ``results.json``, a picture and a table.
"""

import csv
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import metaworld  # noqa: F401 - registers Meta-World's environments
import numpy as np
import torch as th
import tyro
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from metaworld.env_dict import MT10_V3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from sb3_distral import (
    ALGORITHMS,
    DistilledPredictor,
    DistralPPO,
    RemoteVecEnv,
    RolloutCheckpointCallback,
    TaskVecEnv,
    make_task_vec_env,
)

TASKS: list[str] = list(MT10_V3)
#: Meta-World draws the fifty goals of each task from this seed.
GOAL_SEED = 0
#: Added to the seed of the training, so that evaluations draw other orders of the goals
EVALUATION_SEED = 10_000
#: Meta-World pays up to 10 a step. α/β is in these units for each nat.
REWARD_SCALE = 0.1
N_STEPS = 500  # an episode

# Where most hands and objects are, in metres, and the size of their movements, for x, y and z.
CENTRE, SIZE = np.array([0.0, 0.6, 0.15]), 0.1
#: Places of the positions (hand, two objects, the same one step before, the goal) among the 39 numbers
POSITIONS = np.array([0, 4, 11, 18, 22, 29, 36])

SETTINGS: dict[str, Any] = {
    "n_steps": N_STEPS,
    "batch_size": 1_000,
    "n_epochs": 10,
    "learning_rate": 5e-4,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "policy_kwargs": {"net_arch": [128, 128]},
}
BETA = 200.0

ORANGE, BLUE = "#D55E00", "#0072B2"


class MetaWorldTask(gym.Wrapper[Any, Any, Any, Any]):
    """
    What learners need of Meta-World: seeds, observations and rewards of a handy size, and ``is_success``.

    ``reset(seed=…)`` is ignored by Meta-World; here it seeds the order of the goals. The bounds of its observation
    space say that the goal is hidden, which it is not; here the space has none. An episode is a success if it succeeded
    in any step.

    :param env: One task, ``Meta-World/MT1``
    """

    def __init__(self, env: gym.Env[Any, Any]):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (39,), np.float32)
        self.succeeded = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, Any]:
        """
        :param seed: Seed of the order of the goals, ``None``: go on
        :param options: Not used
        :return: The first observation and infos
        """
        if seed is not None:
            self.env.unwrapped.seed(seed)  # type: ignore[attr-defined]
        self.succeeded = False
        observation, info = self.env.reset()
        return rescale(observation), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """
        :param action: Movement of the hand and force of the fingers, shape (4,)
        :return: As gymnasium, with ``is_success``: whether it has succeeded in this episode
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.succeeded = self.succeeded or bool(info["success"])
        info["is_success"] = self.succeeded
        return rescale(observation), REWARD_SCALE * float(reward), bool(terminated), truncated, info


def rescale(observation: np.ndarray) -> np.ndarray:
    """
    :param observation: Of Meta-World, shape (39,)
    :return: The same with positions as distances from the middle of the table, in tens of centimetres
    """
    scaled = observation.astype(np.float32)
    places = POSITIONS[:, None] + np.arange(3)
    scaled[places] = (observation[places] - CENTRE) / SIZE
    return scaled


def make_task(name: str) -> gym.Env[Any, Any]:
    """
    :param name: Name of a task of Meta-World
    :return: The task; the returns that are logged are in Meta-World's rewards
    """
    # The checker of gymnasium takes a tenth of the time, and complains of the bounds.
    env: gym.Env[Any, Any] = gym.make(
        "Meta-World/MT1",
        env_name=name,
        seed=GOAL_SEED,
        disable_env_checker=True,
    )
    return MetaWorldTask(Monitor(env))


def make_tasks(names: list[str], n_envs_per_task: int, seed: int) -> TaskVecEnv:
    """
    :param names: Names of the tasks
    :param n_envs_per_task: Copies of each
    :param seed: Seed of the order of the goals
    :return: The tasks, each in a process of its own
    """
    makers: dict[str, Callable[[], gym.Env[Any, Any]]] = {name: partial(make_task, name) for name in names}
    return make_task_vec_env(makers, n_envs_per_task, seed, RemoteVecEnv)


class EpisodeFile(BaseCallback):
    """
    Append every training episode to a CSV file: step, task, success, return.

    :param path: The file
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def _on_training_start(self) -> None:
        # Episodes after the checkpoint from which a training goes on happen again.
        rows = [row for row in read_episodes(self.path) if row[0] <= self.num_timesteps]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([("step", "task", "success", "return"), *rows])

    def _on_step(self) -> bool:
        tasks, names = self.training_env.tasks, self.training_env.task_names  # type: ignore[attr-defined]
        rows = [
            (self.num_timesteps, names[tasks[index]], int(info["is_success"]), round(info["episode"]["r"], 2))
            for index, info in enumerate(self.locals["infos"])
            if "episode" in info
        ]
        if rows:
            with self.path.open("a", newline="") as file:
                csv.writer(file).writerows(rows)
        return True


def read_episodes(path: Path) -> list[tuple[int, str, int, float]]:
    """
    :param path: A file of :class:`EpisodeFile`
    :return: Step, task, success and return of each episode
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [(int(step), task, int(success), float(total)) for step, task, success, total in list(csv.reader(file))[1:]]


def newest_checkpoint(folder: Path) -> Path | None:
    """
    :param folder: Folder of checkpoints
    :return: The one with the most steps, ``None`` without any
    """
    found = list(folder.glob("checkpoint_*_steps.zip"))
    return max(found, key=lambda path: int(path.stem.split("_")[1]), default=None)


def make_model(env: TaskVecEnv, algorithm: str, beta: float, seed: int, checkpoint: Path | None) -> DistralPPO:
    """
    :param env: The tasks
    :param algorithm: A row of Table 1
    :param beta: β; α/β is in scaled rewards for each nat
    :param seed: Seed of networks and actions
    :param checkpoint: Where an interrupted training left off, ``None``: begin
    :return: The model
    """
    if checkpoint is not None:
        print(f"Going on from {checkpoint}.")
        return DistralPPO.load(checkpoint, env=env, device="cpu")
    return DistralPPO(env, seed=seed, device="cpu", **arguments_of(algorithm, beta), **SETTINGS)


def arguments_of(algorithm: str, beta: float) -> dict[str, Any]:
    """
    :param algorithm: A row of Table 1
    :param beta: β
    :return: Arguments of the algorithm; A3C's rows without a bonus for entropy, which actions outside the limits inflate
    """
    arguments = dict(ALGORITHMS[algorithm])
    return arguments | ({"ent_coef": 0.0} if "ent_coef" in arguments else {"beta": beta})


def train(model: DistralPPO, total_timesteps: int, output: Path) -> None:
    """
    Train up to a number of steps, with a checkpoint every few roll-outs.

    :param model: New, or loaded from a checkpoint
    :param total_timesteps: Steps of all tasks together, those before the checkpoint among them
    :param output: Folder of the run
    """
    checkpoints = RolloutCheckpointCallback(5 * N_STEPS, str(output / "checkpoints"))
    remaining = max(0, total_timesteps - model.num_timesteps)
    if remaining > 0:
        callbacks = [EpisodeFile(output / "episodes.csv"), checkpoints]
        model.learn(remaining, callback=callbacks, reset_num_timesteps=False)
    model.save(output / "model.zip")


def success_rates(policy: Any, env: TaskVecEnv, n_episodes: int) -> dict[str, float]:
    """
    :param policy: The model, or π0 on observations with a task
    :param env: Tasks for evaluation
    :param n_episodes: Episodes of each task
    :return: Share of episodes that succeeded in any step, by task; actions are the means of the policies
    """
    successes: dict[str, list[bool]] = {name: [] for name in env.task_names}

    def keep(variables: dict[str, Any], _: dict[str, Any]) -> None:
        if variables["done"]:
            successes[env.task_names[env.tasks[variables["i"]]]].append(variables["info"]["is_success"])

    evaluate_policy(policy, env, n_episodes * len(successes), deterministic=True, callback=keep, warn=False)
    return {name: float(np.mean(own)) for name, own in successes.items()}


def evaluate(model: DistralPPO, env: TaskVecEnv, n_episodes: int, seed: int) -> dict[str, dict[str, float]]:
    """
    :param model: A trained model
    :param env: Its tasks, whose episodes end from now on where they succeed, as in Meta-World's own evaluation
    :param n_episodes: Episodes of each task
    :param seed: Seed of the order of the goals
    :return: Success rates by task, of the task policies and of π0
    """
    env.env_method("toggle_terminate_on_success", True)
    rates = {}
    for name, policy in (("task", model), ("distilled", DistilledPredictor(model.distilled_policy))):
        env.seed(seed)
        rates[name] = success_rates(policy, env, n_episodes)
    return rates


def main(
    timesteps: int = 2_000_000,
    output: Path = Path("runs/metaworld"),
    seed: int = 0,
    algorithm: str = "KL_2col",
    beta: float = BETA,
    n_envs_per_task: int = 1,
    evaluation_episodes: int = 20,
    tasks: tuple[str, ...] = tuple(TASKS),
) -> None:
    """
    Train on Meta-World's MT10, evaluate all policies, and write results.json, a table and a picture.

    An interrupted run goes on where the same command is given again.

    :param timesteps: Steps of all tasks together
    :param output: Where all files go
    :param seed: Seed of networks, actions and the order of the goals
    :param algorithm: A row of Table 1
    :param beta: β; α/β is in tenths of Meta-World's reward for each nat
    :param n_envs_per_task: Copies of each task, all in one process
    :param evaluation_episodes: Episodes of each task at the end
    :param tasks: Names of the tasks
    """
    th.set_num_threads(1)
    output.mkdir(parents=True, exist_ok=True)
    env = make_tasks(list(tasks), n_envs_per_task, seed)
    try:
        model = make_model(env, algorithm, beta, seed, newest_checkpoint(output / "checkpoints"))
        train(model, timesteps, output)
        rates = evaluate(model, env, evaluation_episodes, EVALUATION_SEED + seed)
    finally:
        env.close()
    settings = {"algorithm": algorithm, "beta": beta, "seed": seed, "n_envs_per_task": n_envs_per_task, **SETTINGS}
    results = {"timesteps": model.num_timesteps, "settings": settings, "success": rates}
    (output / "results.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    plt.switch_backend("agg")
    tyro.cli(main)
