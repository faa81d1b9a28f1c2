"""Atari: two games on stacked frames; each takes a part of the eighteen actions, and its policy never leaves it."""

import ale_py
import gymnasium as gym
import numpy as np
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

from sb3_distral import DistralA2C, evaluate_tasks, make_task_vec_env

gym.register_envs(ale_py)
GAMES = ("Pong", "Breakout")


def make_games(n_envs_per_task: int, seed: int) -> VecEnv:
    games = {game: lambda game=game: AtariWrapper(gym.make(f"ALE/{game}-v5", frameskip=1)) for game in GAMES}
    return VecFrameStack(make_task_vec_env(games, n_envs_per_task, seed), n_stack=4)


def main(timesteps: int = 10_000_000, n_envs_per_task: int = 8, n_eval_episodes: int = 5) -> dict[str, float]:
    env = make_games(n_envs_per_task, seed=0)
    model = DistralA2C(env, "CnnPolicy", alpha=0.5, beta=100, learning_rate=7e-4, seed=0).learn(timesteps)
    returns = evaluate_tasks(model, make_games(1, seed=1), n_eval_episodes)
    return {name: float(np.mean(own)) for name, own in returns.items()}


if __name__ == "__main__":
    print(main())
