"""
Distral learns eight mazes faster than its baselines, and its distilled policy knows them.

Every claim is an exact permutation test, see ``permutation``.

If the sign of the regulariser is flipped, the first claims fail; if the distillation is switched off, the last one
does: the area under the curve alone cannot tell, since h also learns by the policy gradient. All algorithms have the
same total cost 1/β = 0.03. At 0.01 runs of KL_2col differ more: one of four learned late and came out level with A3C.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from sb3_distral import DistralA2C, tasks
from sb3_distral.algorithms.evaluation import DistilledPredictor, evaluate_tasks
from sb3_distral.algorithms.table1 import algorithm_arguments

from .permutation import permutation_p

SEEDS = range(4)
TOTAL_TIMESTEPS = 250_000
TOTAL_COST = 0.03  # 1/β, reward per nat
DISTRAL = "KL_2col"
EPISODE = 200  # steps

pytestmark = pytest.mark.slow


class RewardSum(BaseCallback):
    """Add up the tasks' own rewards."""

    total = 0.0

    def _on_step(self) -> bool:
        self.total += float(sum(info["task_reward"] for info in self.locals["infos"]))
        return True


def train(name: str, seed: int) -> tuple[float, float]:
    """
    :param name: A name of Table 1
    :param seed: Seed of the run
    :return: Area under the learning curve (mean return of an episode over the whole training) and the mean return of
        the distilled policy alone, at the end, in the training mazes
    """
    th.set_num_threads(1)
    env = tasks.make("grid-mazes", n_envs_per_task=8, seed=seed)
    arguments = algorithm_arguments(name, beta=1.0 / TOTAL_COST)
    model = DistralA2C(env, learning_rate=2e-3, seed=seed, device="cpu", **arguments)
    rewards = RewardSum()
    model.learn(TOTAL_TIMESTEPS, callback=rewards)
    eval_env = tasks.make("grid-mazes", n_envs_per_task=8, seed=1000 + seed)
    returns = evaluate_tasks(DistilledPredictor(model.distilled_policy), eval_env, n_eval_episodes=8)
    return EPISODE * rewards.total / model.num_timesteps, float(np.mean(list(returns.values())))


class Runs:
    """The runs of all algorithms, each started when it is first asked for and kept."""

    def __init__(self, pool: ProcessPoolExecutor, names: Sequence[str]):
        self.futures: dict[str, list[Future[tuple[float, float]]]] = {
            name: [pool.submit(train, name, seed) for seed in SEEDS] for name in names
        }

    def area(self, name: str) -> list[float]:
        return [future.result()[0] for future in self.futures[name]]

    def distilled(self, name: str) -> list[float]:
        return [future.result()[1] for future in self.futures[name]]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        yield Runs(pool, (DISTRAL, "A3C", "A3C_multitask", "KL_1col"))


@pytest.mark.parametrize("baseline", ["A3C", "A3C_multitask"])
def test_distral_learns_faster_than_baseline(runs: Runs, baseline: str) -> None:
    distral, other = runs.area(DISTRAL), runs.area(baseline)
    assert permutation_p(distral, other) <= 0.05, f"areas under the curve: {DISTRAL} {distral}, {baseline} {other}"


def test_distillation_alone_teaches_the_distilled_policy(runs: Runs) -> None:
    # With one column nothing but the distillation trains π0. A3C has no distilled policy: its π0 stays untrained.
    distilled, untrained = runs.distilled("KL_1col"), runs.distilled("A3C")
    assert permutation_p(distilled, untrained) <= 0.05, f"returns of π0: KL_1col {distilled}, untrained {untrained}"
