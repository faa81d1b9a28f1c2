"""
New tasks from a trained model, by Distral: eight mazes that π0 has never seen start from it.

It goes through a file that runs no code when it is read, so it may come from somebody else.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sb3_distral import DistralA2C, TaskEvalCallback, load_policy, save_policy, tasks

SETTINGS = {"learning_rate": 4e-3, "seed": 0, "device": "cpu"}


def main(source_timesteps: int = 300_000, timesteps: int = 60_000) -> dict[str, float]:
    old = DistralA2C(tasks.make("grid-mazes", n_envs_per_task=8, seed=0), **SETTINGS).learn(source_timesteps)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pi0.zip"
        save_policy(old.distilled_policy, file)
        distilled_policy = load_policy(file, device="cpu")
    starts = {"from nothing": {}, "from π0": {"distilled_policy": distilled_policy}}
    return {name: learn_new_mazes(timesteps, **start) for name, start in starts.items()}


def learn_new_mazes(timesteps: int, **start: object) -> float:
    """Give the mean return of the task policies over four evaluations in the course of learning."""
    new = tasks.make("grid-mazes", n_envs_per_task=8, seed=0, maze_seed=1)
    evaluation = TaskEvalCallback(
        tasks.make("grid-mazes", n_envs_per_task=4, seed=1, maze_seed=1),
        n_eval_episodes=4,
        eval_freq=timesteps // new.num_envs // 4,
    )
    DistralA2C(new, **SETTINGS, **start).learn(timesteps, callback=evaluation)
    return float(np.mean([list(result["tasks"].values()) for result in evaluation.results]))


if __name__ == "__main__":
    print(main())
