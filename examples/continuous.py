"""Continuous control: eight pendulums of other masses and lengths by DistralPPO; docs/metaworld.md has robot arms."""

import numpy as np

from sb3_distral import DistralPPO, evaluate_tasks, tasks

SETTINGS = {"n_steps": 64, "batch_size": 256, "n_epochs": 5, "learning_rate": 2e-3, "gamma": 0.9, "max_grad_norm": 20.0}


def main(timesteps: int = 200_000) -> dict[str, float]:
    env = tasks.make("pendulums", n_envs_per_task=4, seed=0)
    model = DistralPPO(env, alpha=0.5, beta=100, seed=0, device="cpu", **SETTINGS).learn(timesteps)
    new = tasks.make("pendulums", seed=1)
    return {name: float(np.mean(own)) for name, own in evaluate_tasks(model, new, n_eval_episodes=4).items()}


if __name__ == "__main__":
    print(main())
