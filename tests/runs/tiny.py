"""A training of two mazes that takes a second or two."""

from pathlib import Path
from typing import Any

from sb3_distral.runs import Training

# Roll-outs of 20 steps: a row of the logs each 200 steps, checkpoints at 400, 800, 1200 and 1600.
TINY: dict[str, Any] = {
    "suite": "grid-mazes",
    "suite_arguments": {"n_tasks": 2},
    "n_envs_per_task": 2,
    "beta": 30.0,
    "total_timesteps": 2000,
    "checkpoint_freq": 400,
    "log_freq": 200,
}


def tiny(folder: Path, **options: Any) -> Training:
    return Training(**TINY | options, output=folder)
