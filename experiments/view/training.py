"""One run: train, then evaluate where π0 learned and where it never was."""

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import LinearSchedule, set_random_seed

from experiments.view.study import VIEWS, Run
from sb3_distral import ALGORITHMS, DistilledPredictor, DistralA2C, evaluate_tasks, tasks
from sb3_distral.algorithms.evaluation import EVALUATION_SEED

SUITE = "grid-mazes"
ALGORITHM = "KL+ent_2col"
#: The learning rate, which falls linearly to a sixth.
RATE = 4e-3
#: Seed of the unseen mazes; those of the training have 0.
UNSEEN = 1
#: Sub-environments have the seeds that follow that of their training, and no two trainings shall share one.
SEED_DISTANCE = 100
#: Episodes of each maze in an evaluation.
N_EPISODES = 8


def do_run(run: Run) -> dict[str, Any]:
    """
    Do one run.

    :param run: The run
    :return: For JSON the returns by maze of π0 on unseen mazes (``unseen``), of π0 (``distilled``) and of the task
        policies (``tasks``) on those of the training
    """
    th.set_num_threads(1)
    model = DistralA2C(
        _mazes(run, 0),
        learning_rate=LinearSchedule(RATE, RATE / 6, 1.0),
        seed=SEED_DISTANCE * run.seed,
        device="cpu",
        distilled_view=VIEWS[run.view][1],
        **ALGORITHMS[ALGORITHM],
    )
    model.learn(run.timesteps)
    distilled = DistilledPredictor.of(model)
    return {
        "unseen": _returns(distilled, run, UNSEEN),
        "distilled": _returns(distilled, run, 0),
        "tasks": _returns(model, run, 0),
    }


def _mazes(run: Run, maze_seed: int) -> Any:
    return tasks.make(SUITE, run.n_envs_per_task, n_tasks=run.n_tasks, maze_seed=maze_seed)


def _returns(policy: BasePolicy | DistilledPredictor | DistralA2C, run: Run, maze_seed: int) -> list[float]:
    env, seed = _mazes(run, maze_seed), EVALUATION_SEED + SEED_DISTANCE * run.seed
    set_random_seed(seed)
    env.seed(seed)
    returns = evaluate_tasks(policy, env, N_EPISODES)
    return [round(float(np.mean(own)), 3) for own in returns.values()]
