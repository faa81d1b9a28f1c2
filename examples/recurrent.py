"""Memory: poles whose speeds are not seen, so that every column has an LSTM."""

from functools import partial

import gymnasium as gym
import numpy as np
from own_tasks import make_pole

from sb3_distral import RecurrentDistralPPO, evaluate_tasks, make_task_vec_env


class WithoutSpeeds(gym.ObservationWrapper):
    def __init__(self, length: float):
        super().__init__(make_pole(length))
        space = self.env.observation_space
        self.observation_space = gym.spaces.Box(space.low[::2], space.high[::2], dtype=np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return observation[::2]


def main(timesteps: int = 200_000) -> dict[str, float]:
    poles = {f"{length} m": partial(WithoutSpeeds, length) for length in (0.25, 0.5, 1.0, 2.0)}
    model = RecurrentDistralPPO(
        poles,
        "MlpLstmPolicy",
        n_envs_per_task=4,
        n_steps=64,
        batch_size=256,
        learning_rate=1e-3,
        policy_kwargs={"lstm_hidden_size": 32},
        seed=0,
        device="cpu",
    ).learn(timesteps)
    returns = evaluate_tasks(model, make_task_vec_env(poles, seed=1), n_eval_episodes=10)
    return {name: float(np.mean(own)) for name, own in returns.items()}


if __name__ == "__main__":
    print(main())
