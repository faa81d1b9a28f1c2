"""Fixtures of these tests."""

import pytest

from sb3_distral import TaskVecEnv, make_task_vec_env

from .toys import TASKS


@pytest.fixture
def task_env() -> TaskVecEnv:
    return make_task_vec_env(TASKS, n_envs_per_task=2)
