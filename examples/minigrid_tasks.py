"""Minigrid: two rooms to cross and a door to open, by the same seven actions and a view of 7×7 cells."""

from functools import partial

import gymnasium as gym
import minigrid  # noqa: F401  (registers its environments)
import numpy as np
from minigrid.wrappers import ImgObsWrapper

from sb3_distral import DistralPPO, evaluate_tasks, make_task_vec_env

IDS = ("MiniGrid-Empty-Random-6x6-v0", "MiniGrid-FourRooms-v0", "MiniGrid-DoorKey-5x5-v0")


def make_grid(env_id: str) -> gym.Env:
    env = ImgObsWrapper(gym.make(env_id))  # kinds, colours and states of 7×7 cells: numbers, no picture
    space = gym.spaces.Box(0.0, 1.0, (147,), np.float32)
    return gym.wrappers.TransformObservation(env, lambda cells: cells.ravel().astype(np.float32) / 10, space)


def main(timesteps: int = 200_000) -> dict[str, float]:
    grids = {env_id: partial(make_grid, env_id) for env_id in IDS}
    model = DistralPPO(
        grids, n_envs_per_task=4, n_steps=128, batch_size=384, normalize_returns=True, beta=100, seed=0, device="cpu"
    ).learn(timesteps)
    returns = evaluate_tasks(model, make_task_vec_env(grids, seed=1), n_eval_episodes=10)
    return {name: float(np.mean(own)) for name, own in returns.items()}


if __name__ == "__main__":
    print(main())
