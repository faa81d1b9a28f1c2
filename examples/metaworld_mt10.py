"""
The ten robot tasks of Meta-World's MT10 learn together; then see which of them succeed, and what π0 alone can do.

Needs the extras ``metaworld`` and ``experiments``. Writes into ``runs/metaworld``: the model, checkpoints from which an
interrupted run goes on, ``episodes.csv`` with all training episodes, ``results.json`` and ``metaworld.png``; prints the
table.
"""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
import tyro
from matplotlib import pyplot as plt
from metaworld_report import plot, table
from metaworld_tasks import HORIZON, TASKS, make_tasks
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_distral import ALGORITHMS, DistilledPredictor, DistralPPO, RolloutCheckpointCallback, TaskVecEnv

#: Added to the seed of the training, so that evaluations take the goals in another order
EVALUATION_SEED = 10_000
#: Points of a curve
N_POINTS = 10

SETTINGS: dict[str, Any] = {
    "n_steps": HORIZON,
    "batch_size": 1_000,
    "n_epochs": 10,
    "learning_rate": 5e-4,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "policy_kwargs": {"net_arch": [128, 128]},
}

Episode = tuple[int, str, int, float]


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


def read_episodes(path: Path) -> list[Episode]:
    """
    Read a file of :class:`EpisodeFile`.

    :param path: The file, which need not exist
    :return: Step, task, success and return of each episode
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [(int(step), task, int(success), float(total)) for step, task, success, total in rows]


def curves(episodes: list[Episode], timesteps: int) -> dict[str, dict[str, list[float]]]:
    """
    Average the training episodes of each task over equal parts of the training.

    :param episodes: All of them
    :param timesteps: Steps of the training
    :return: By task: the last step of each part, success rate and mean return in it
    """
    parts: dict[str, dict[int, list[Episode]]] = defaultdict(lambda: defaultdict(list))
    for episode in episodes:
        parts[episode[1]][min(N_POINTS * (episode[0] - 1) // timesteps, N_POINTS - 1)].append(episode)
    return {
        task: {
            "step": [timesteps * (part + 1) / N_POINTS for part in sorted(own)],
            "success": [float(np.mean([episode[2] for episode in own[part]])) for part in sorted(own)],
            "return": [round(float(np.mean([episode[3] for episode in own[part]])), 1) for part in sorted(own)],
        }
        for task, own in parts.items()
    }


def newest_checkpoint(folder: Path) -> Path | None:
    """
    Find where an interrupted training left off.

    :param folder: Folder of checkpoints
    :return: The one with the most steps, ``None`` without any
    """
    found = folder.glob("checkpoint_*_steps.zip")
    return max(found, key=lambda path: int(path.stem.split("_")[1]), default=None)


def algorithm_arguments(algorithm: str, beta: float) -> dict[str, Any]:
    """
    Complete a row of Table 1.

    :param algorithm: Its name
    :param beta: β
    :return: Arguments; A3C's rows pay nothing for entropy, which grows without end where actions are clipped
    """
    arguments = ALGORITHMS[algorithm]
    return {**arguments, **({"ent_coef": 0.0} if "ent_coef" in arguments else {"beta": beta})}


def make_model(env: TaskVecEnv, algorithm: str, beta: float, seed: int, checkpoint: Path | None) -> DistralPPO:
    """
    Make a model, or load the one of an interrupted training.

    :param env: The tasks
    :param algorithm: A row of Table 1
    :param beta: β; α/β is in tenths of Meta-World's reward for each nat
    :param seed: Seed of networks and actions
    :param checkpoint: Where a training left off, ``None``: begin
    :return: The model
    """
    if checkpoint is not None:
        print(f"Going on from {checkpoint}.")
        return DistralPPO.load(checkpoint, env=env, device="cpu")
    return DistralPPO(env, seed=seed, device="cpu", **algorithm_arguments(algorithm, beta), **SETTINGS)


def train(model: DistralPPO, timesteps: int, output: Path) -> None:
    """
    Train up to a number of steps, with a checkpoint every ten roll-outs.

    :param model: New, or loaded from a checkpoint
    :param timesteps: Steps of all tasks together, those before the checkpoint among them
    :param output: Folder of the run
    """
    remaining = timesteps - model.num_timesteps
    if remaining > 0:
        checkpoints = RolloutCheckpointCallback(10 * model.n_steps, str(output / "checkpoints"))
        model.learn(remaining, [EpisodeFile(output / "episodes.csv"), checkpoints], reset_num_timesteps=False)
    model.save(output / "model.zip")


def success_rates(policy: Any, env: TaskVecEnv, n_episodes: int, deterministic: bool) -> dict[str, float]:
    """
    Count the episodes that succeed in any step.

    :param policy: The model, or π0 on observations with a task
    :param env: The tasks, with as many sub-environments each
    :param n_episodes: Episodes of each task, rounded up to a multiple of its sub-environments
    :param deterministic: Whether actions are the means of the policies, else they are drawn
    :return: Success rate by task
    """
    successes: dict[str, list[bool]] = {name: [] for name in env.task_names}

    def keep(variables: dict[str, Any], _: dict[str, Any]) -> None:
        if variables["done"]:
            successes[env.task_names[env.tasks[variables["i"]]]].append(variables["info"]["is_success"])

    rounds = -(-n_episodes * len(successes) // env.num_envs)
    evaluate_policy(policy, env, rounds * env.num_envs, deterministic=deterministic, callback=keep, warn=False)
    return {name: float(np.mean(own)) for name, own in successes.items()}


def evaluate(model: DistralPPO, env: TaskVecEnv, n_episodes: int, seed: int) -> dict[str, dict[str, float]]:
    """
    Evaluate the task policies, and π0 on every task, with the actions that they draw and with their means.

    :param model: A trained model
    :param env: Its tasks; from now on their episodes end where they succeed, as in Meta-World's own evaluation
    :param n_episodes: Episodes of each task
    :param seed: Seed of the order of the goals and of the actions
    :return: Success rates by task, of ``"task"``, ``"distilled"``, ``"task_mean"`` and ``"distilled_mean"``
    """
    env.env_method("toggle_terminate_on_success", True)
    rates = {}
    for suffix in ("", "_mean"):
        for name, policy in (("task", model), ("distilled", DistilledPredictor(model.distilled_policy))):
            env.seed(seed)
            th.manual_seed(seed)
            rates[name + suffix] = success_rates(policy, env, n_episodes, deterministic=bool(suffix))
    return rates


def main(
    timesteps: int = 2_000_000,
    output: Path = Path("runs/metaworld"),
    seed: int = 0,
    algorithm: str = "KL_2col",
    beta: float = 200.0,
    n_envs_per_task: int = 1,
    evaluation_episodes: int = 20,
    tasks: tuple[str, ...] = TASKS,
) -> None:
    """
    Train on Meta-World's MT10, evaluate all policies, and write results.json and a picture.

    An interrupted run goes on where the same command is given again.

    :param timesteps: Steps of all tasks together
    :param output: Where all files go
    :param seed: Seed of networks, actions and the order of the goals
    :param algorithm: A row of Table 1
    :param beta: β; α/β is in tenths of Meta-World's reward for each nat
    :param n_envs_per_task: Copies of each task, all in its process
    :param evaluation_episodes: Episodes of each task at the end
    :param tasks: Names of the tasks
    """
    # The networks are small: more threads would only wait for each other.
    th.set_num_threads(1)
    output.mkdir(parents=True, exist_ok=True)
    env = make_tasks(tasks, n_envs_per_task, seed)
    try:
        model = make_model(env, algorithm, beta, seed, newest_checkpoint(output / "checkpoints"))
        train(model, timesteps, output)
        success = evaluate(model, env, evaluation_episodes, EVALUATION_SEED + seed)
    finally:
        env.close()
    settings = {"algorithm": algorithm, "beta": beta, "seed": seed, "n_envs_per_task": n_envs_per_task, **SETTINGS}
    results = {
        "timesteps": model.num_timesteps,
        "settings": settings,
        "evaluation_episodes": evaluation_episodes,
        "success": success,
        "curves": curves(read_episodes(output / "episodes.csv"), model.num_timesteps),
    }
    (output / "results.json").write_text(json.dumps(results, indent=1))
    plot(results, output / "metaworld.png")
    print(table(results))


if __name__ == "__main__":
    plt.switch_backend("agg")
    tyro.cli(main)
