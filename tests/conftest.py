"""Settings of all tests."""

import os
import random

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # on the CPU, unless asked otherwise

import hypothesis
import numpy as np
import pytest
import torch as th

# The same examples each time, on a machine as slow as may be.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")
th.set_num_threads(1)  # before fixtures of modules train


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Small networks are fastest, and sums come out the same, on one thread."""
    th.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test draws the same numbers alone, in any order and on any machine; so do its environments without a seed."""
    th.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    # What NumPy begins generators with that are given no seed, those of gymnasium's environments and spaces among them.
    monkeypatch.setattr(np.random.bit_generator, "randbits", random.Random(0).getrandbits)
