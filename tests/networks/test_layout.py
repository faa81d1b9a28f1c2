"""Rows of a batch in order of task, and back."""

import torch as th
from hypothesis import given
from hypothesis import strategies as st

from sb3_distral.networks.layout import TaskLayout


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_padding_and_back_returns_every_row_to_its_place(tasks):
    layout = TaskLayout.of(th.tensor(tasks), 5)
    rows = th.arange(1.0, 2 * len(tasks) + 1).view(-1, 2)
    padded = layout.pad(layout.sort(rows))
    assert padded.shape == (5, max(tasks.count(task) for task in range(5)), 2)
    th.testing.assert_close(layout.unpad(padded), rows)
    for task in range(5):
        own = [row for of, row in zip(tasks, rows.tolist(), strict=True) if of == task]
        assert padded[task, : len(own)].tolist() == own
        assert not padded[task, len(own) :].any()
