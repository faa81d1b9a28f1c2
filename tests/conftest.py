"""Settings of all tests."""

import pytest
import torch as th


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Small networks are fastest, and sums come out the same, on one thread."""
    th.set_num_threads(1)
