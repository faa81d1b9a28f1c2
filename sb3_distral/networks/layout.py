"""Where the rows of a batch go so that the networks of all tasks can be evaluated together."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch as th


class TaskLayout(NamedTuple):
    """
    Where the rows of a batch go when they are sorted by task and each task is padded to the same number of rows.

    :param tasks: Task of each row, shape (batch,)
    :param order: Rows in order of task, shape (batch,); ``None`` where they come so, as in a roll-out
    :param counts: Number of rows of each task
    :param n_rows: Rows of each task with padding
    :param slots: Place of each row among the (n_tasks * n_rows) padded ones, shape (batch,); ``None`` where every row
        is in its place
    """

    tasks: th.Tensor
    order: th.Tensor | None
    counts: list[int]
    n_rows: int
    slots: th.Tensor | None

    @classmethod
    def of(cls, tasks: th.Tensor, n_tasks: int) -> "TaskLayout":
        """
        Find the layout of a batch.

        :param tasks: Task of each row, shape (batch,)
        :param n_tasks: Number of tasks
        :return: The layout of this batch
        """
        order = th.argsort(tasks, stable=True)
        counts = th.bincount(tasks, minlength=n_tasks)
        sorted_tasks = tasks[order]
        rows = th.arange(len(tasks), device=tasks.device)
        place_in_task = rows - (counts.cumsum(0) - counts)[sorted_tasks]
        n_rows = int(counts.max())
        slots = th.empty_like(order)
        slots[order] = sorted_tasks * n_rows + place_in_task
        is_sorted, is_even = th.equal(order, rows), len(rows) == n_tasks * n_rows
        return cls(
            tasks, None if is_sorted else order, counts.tolist(), n_rows, None if is_sorted and is_even else slots
        )

    def rows_by_task(self) -> Sequence[slice | th.Tensor]:
        """
        Say where the rows of each task lie.

        :return: Indices of the rows of each task; slices, which need no copy, where they lie side by side
        """
        if self.order is None:
            return [slice(*bounds) for bounds in pairwise(accumulate(self.counts, initial=0))]
        return list(th.split(self.order, self.counts))

    def sort(self, rows: th.Tensor) -> th.Tensor:
        """
        Sort rows by task.

        :param rows: Rows in the order in which they came
        :return: Rows in order of task
        """
        return rows if self.order is None else rows[self.order]

    def unsort(self, sorted_rows: th.Tensor) -> th.Tensor:
        """
        Inverse of :meth:`sort`.

        :param sorted_rows: Rows in order of task
        :return: The rows in the order in which they came
        """
        return sorted_rows if self.order is None else th.empty_like(sorted_rows).index_copy(0, self.order, sorted_rows)

    def pad(self, sorted_rows: th.Tensor) -> th.Tensor:
        """
        Give every task the same number of rows.

        :param sorted_rows: Rows in order of task, shape (batch, features)
        :return: The rows of each task, padded with zeros, shape (n_tasks, n_rows, features)
        """
        n_tasks = len(self.counts)
        if self.slots is not None and len(sorted_rows) < n_tasks * self.n_rows:
            padded = sorted_rows.new_zeros(n_tasks * self.n_rows, sorted_rows.shape[1])
            sorted_rows = padded.index_copy(0, self.sort(self.slots), sorted_rows)
        return sorted_rows.view(n_tasks, self.n_rows, -1)

    def unpad(self, padded: th.Tensor) -> th.Tensor:
        """
        Take the padding away, and put the rows back where they came from.

        :param padded: Rows of each task, shape (n_tasks, n_rows, features)
        :return: The rows in the order in which they came, shape (batch, features)
        """
        rows = padded.flatten(0, 1)
        return rows if self.slots is None else rows[self.slots]
