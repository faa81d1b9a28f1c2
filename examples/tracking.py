"""Weights & Biases and MLflow: both get what the logger gets, here without a server."""

from pathlib import Path
from typing import Any

import mlflow
import wandb
from stable_baselines3.common.logger import KVWriter, Logger

from sb3_distral import DistralA2C, tasks


class WandbWriter(KVWriter):
    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        wandb.log(numbers(key_values), step=step)

    def close(self) -> None:
        wandb.finish()


class MlflowWriter(KVWriter):
    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        mlflow.log_metrics(numbers(key_values), step=step)

    def close(self) -> None:
        mlflow.end_run()


def numbers(key_values: dict[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in key_values.items() if isinstance(value, (int, float))}


def main(folder: Path = Path("runs/tracking"), timesteps: int = 100_000) -> None:
    settings = {"alpha": 0.5, "beta": 100.0, "learning_rate": 2e-3}
    folder.mkdir(parents=True, exist_ok=True)
    wandb.init(project="distral", mode="offline", dir=folder, config=settings)  # wandb sync sends it later
    mlflow.set_tracking_uri(f"sqlite:///{folder.resolve() / 'mlflow.db'}")
    mlflow.set_experiment("distral")
    mlflow.start_run()
    mlflow.log_params(settings)

    model = DistralA2C(tasks.make("grid-mazes", n_envs_per_task=8, seed=0), seed=0, device="cpu", **settings)
    model.set_logger(Logger(str(folder), [WandbWriter(), MlflowWriter()]))
    model.learn(timesteps, log_interval=50)
    model.logger.close()


if __name__ == "__main__":
    main()
