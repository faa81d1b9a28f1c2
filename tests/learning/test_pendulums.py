"""
Distral on PPO learns eight pendulums faster than separate PPO does, at the same steps for each task.

The pendulums differ in mass and length; each gets 12 500 steps. Every claim is an exact permutation test, see
``permutation``. What is compared is the mean return over the last quarter of the training.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from sb3_distral import DistralPPO, tasks
from sb3_distral.algorithms.table1 import algorithm_arguments

from .permutation import permutation_p

SEEDS = range(4)
TOTAL_TIMESTEPS = 100_000
EPISODE = 200  # steps
DISTRAL, SEPARATE = "KL+ent_2col", "A3C"

pytestmark = pytest.mark.slow


class LastRewards(BaseCallback):
    """Add up the tasks' own rewards over the last quarter of the training."""

    total, n_steps = 0.0, 0

    def _on_step(self) -> bool:
        if self.num_timesteps > 0.75 * TOTAL_TIMESTEPS:
            self.total += float(sum(info["task_reward"] for info in self.locals["infos"]))
            self.n_steps += self.training_env.num_envs
        return True


def train(name: str, seed: int) -> float:
    """
    :param name: A name of Table 1
    :param seed: Seed of the run
    :return: Mean return of an episode over the last quarter of the training
    """
    th.set_num_threads(1)
    env = tasks.make("pendulums", n_envs_per_task=4, seed=seed)
    # The A3C rows have β in the bonus of the loss; separate PPO is the usual one, without.
    arguments = algorithm_arguments(name, beta=100.0) | ({"ent_coef": 0.0} if name == SEPARATE else {})
    model = DistralPPO(
        env,
        n_steps=64,
        batch_size=256,
        n_epochs=5,
        learning_rate=2e-3,
        gamma=0.9,
        max_grad_norm=20.0,
        seed=seed,
        device="cpu",
        **arguments,
    )
    rewards = LastRewards()
    model.learn(TOTAL_TIMESTEPS, callback=rewards)
    return EPISODE * rewards.total / rewards.n_steps


@pytest.fixture(scope="module")
def returns() -> Iterator[dict[str, list[float]]]:
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        futures: dict[str, list[Future[float]]] = {
            name: [pool.submit(train, name, seed) for seed in SEEDS] for name in (DISTRAL, SEPARATE)
        }
        yield {name: [future.result() for future in own] for name, own in futures.items()}


def test_distral_ppo_learns_faster_than_separate_ppo(returns: dict[str, list[float]]) -> None:
    assert permutation_p(returns[DISTRAL], returns[SEPARATE]) <= 0.05, f"returns: {returns}"
