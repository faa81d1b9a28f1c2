"""Settings of all tests."""

import numpy as np
import pytest
import torch as th


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Small networks are fastest, and sums come out the same, on one thread."""
    th.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """A test draws the same numbers alone, in any order and on any machine."""
    th.manual_seed(0)
    np.random.seed(0)
