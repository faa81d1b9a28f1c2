"""Roll-outs in order of task, and minibatches in which every task has its share."""

from collections.abc import Generator
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.type_aliases import DictRolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from typing_extensions import override

from sb3_distral.envs.task_id import keys_in


def deal(order: np.ndarray, tasks: np.ndarray) -> np.ndarray:
    """
    Deal rows out like cards, so that every run of them has rows of each task in proportion.

    With one task the order stays as it is.

    :param order: Indices of rows in random order, shape (n_rows,)
    :param tasks: Task of each of these, shape (n_rows,)
    :return: The indices in the order in which they are dealt, shape (n_rows,)
    """
    turns = np.empty(len(order))
    for task in np.unique(tasks):
        own = np.flatnonzero(tasks == task)
        turns[own] = (np.arange(len(own)) + 0.5) / len(own)
    return order[np.argsort(turns, kind="stable")]


class TaskRolloutBuffer(DictRolloutBuffer):
    """
    A roll-out buffer whose minibatches hold rows of each task in proportion, in order of task.

    The order of the rows within a batch does not matter to the gradient; in order of task they reach the stacked
    columns without being sorted. Numpy's generator moves as it does under Stable-Baselines3's buffer, and with one task
    the minibatches are the same.
    """

    @override
    def get(self, batch_size: int | None = None) -> Generator[DictRolloutBufferSamples, None, None]:  # type: ignore[override]
        indices: Any
        (indices,) = super().get()  # flattens the arrays and draws the order
        if batch_size is None:
            batch_size = len(indices)
        else:
            tasks = self.observations[keys_in(self.observations).task]
            indices = deal(indices, tasks.reshape(-1)[indices])
        for first in range(0, len(indices), batch_size):
            yield super()._get_samples(np.sort(indices[first : first + batch_size]))

    @override
    def _get_samples(  # type: ignore[override]
        self, batch_inds: np.ndarray, env: VecNormalize | None = None
    ) -> np.ndarray:
        return batch_inds
