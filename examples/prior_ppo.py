"""
New tasks from a trained model, by Stable-Baselines3's PPO: π0 as its first policy, as a prior, or neither.

Where π0 is of no use, start with ``temperature=4`` (docs/learners.md).
"""

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral import AnnealPriorCallback, DistralA2C, VecDistilledPriorReward, distilled_parameters, tasks


def main(source_timesteps: int = 300_000, timesteps: int = 100_000) -> dict[str, float]:
    suite = tasks.make("grid-mazes", n_envs_per_task=8, seed=0)
    old = DistralA2C(suite, learning_rate=4e-3, seed=0, device="cpu").learn(source_timesteps)

    nothing = make_ppo(make_maze()).learn(timesteps)
    warm = make_ppo(make_maze())
    warm.set_parameters(distilled_parameters(old), exact_match=False)
    warm.learn(timesteps)
    prior = make_ppo(VecDistilledPriorReward(make_maze(), old.distilled_policy))
    prior.learn(timesteps, callback=AnnealPriorCallback(lambda remaining: 0.5 * remaining))

    models = {"from nothing": nothing, "from π0": warm, "π0 as prior": prior}
    return {name: mean_return(model) for name, model in models.items()}


def make_maze() -> VecEnv:
    return make_vec_env("sb3_distral/GridMaze-0-v0", n_envs=8, seed=0, env_kwargs={"maze_seed": 1})


def make_ppo(maze: VecEnv) -> PPO:
    return PPO("MlpPolicy", maze, n_steps=64, ent_coef=0.01, seed=0, device="cpu")


def mean_return(model: PPO) -> float:
    """Give the mean return of the last hundred episodes, as the maze pays it: the monitor is below the prior."""
    returns = [episode["r"] for episode in model.ep_info_buffer]
    return sum(returns) / max(1, len(returns))


if __name__ == "__main__":
    print(main())
