"""Models with known batches of observations."""

import numpy as np
import torch as th
from helpers import N_STATES, distral, table_tasks

N_TASKS = 3


def model_of(architecture="two_columns", **arguments):
    return distral(table_tasks(N_TASKS), architecture=architecture, alpha=0.7, beta=5.0, **arguments)


def batch(n_rows=9, seed=0):
    """Plain observations, and a task for each."""
    generator = np.random.default_rng(seed)
    return generator.random((n_rows, N_STATES), dtype=np.float32), generator.integers(N_TASKS, size=n_rows)


def tensors(plain, tasks):
    return {"obs": th.as_tensor(plain), "task": th.as_tensor(tasks)}
