"""Your own tasks: poles of four lengths are balanced together, then π0 balances one that it has never seen."""

from functools import partial

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_distral import DistralA2C, evaluate_tasks, make_task_vec_env


def make_pole(length: float) -> gym.Env:
    env = gym.make("CartPole-v1")
    env.unwrapped.length, env.unwrapped.polemass_length = length, env.unwrapped.masspole * length
    return env


def main(timesteps: int = 100_000) -> dict[str, float]:
    poles = {f"{length} m": partial(make_pole, length) for length in (0.25, 0.5, 1.0, 2.0)}
    model = DistralA2C(poles, n_envs_per_task=4, learning_rate=2e-3, seed=0, device="cpu").learn(timesteps)
    returns = evaluate_tasks(model, make_task_vec_env(poles, seed=1), n_eval_episodes=10)
    means = {name: sum(own) / len(own) for name, own in returns.items()}
    mean, _ = evaluate_policy(model, make_pole(1.5), n_eval_episodes=10, warn=False)
    return means | {"1.5 m, never seen": float(mean)}


if __name__ == "__main__":
    print(main())
