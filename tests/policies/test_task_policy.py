"""Copies of one task's policy: apart from the model, saved alone, and fit for A2C."""

import random
from typing import get_args

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import (
    SpaceEnv,
    TableEnv,
    assert_equal_parameters,
    copied_parameters,
    distral,
    randomize,
)
from stable_baselines3 import A2C
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.policies import ActorCriticPolicy

from sb3_distral.networks.heads import Column
from sb3_distral.policies import MlpPolicy, TaskPolicy
from sb3_distral.policies.evaluation import Architecture

from .models import N_TASKS, batch, model_of, tensors

ARCHITECTURES = get_args(Architecture)
IMAGE_FIRST = spaces.Box(0, 255, (3, 36, 36), np.uint8)
DICT = spaces.Dict({"vector": spaces.Box(-1.0, 1.0, (4,), np.float32), "number": spaces.Discrete(3)})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_task_policy_is_a_copy(architecture):
    policy = model_of(architecture).policy
    own = policy.task_policy(1)
    before_copy, before = copied_parameters(own), copied_parameters(policy)
    randomize(policy, seed=5)
    assert_equal_parameters(copied_parameters(own), before_copy)
    policy.load_state_dict({**policy.state_dict(), **before})
    randomize(own, seed=6)
    assert_equal_parameters(copied_parameters(policy), before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_making_a_task_policy_does_not_move_the_random_generators(architecture):
    policy = model_of(architecture).policy
    states = th.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    policy.task_policy(0)
    assert th.equal(th.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_task_policy_is_saved_and_loaded_alone(architecture, tmp_path):
    own = model_of(architecture).task_policy(2)
    own.save(tmp_path / "policy.pt")
    assert type(own) is (TaskPolicy if architecture == "two_columns" else Column)
    loaded = type(own).load(tmp_path / "policy.pt")
    rows = th.as_tensor(batch()[0])
    expected = own.get_distribution(rows).distribution.logits
    th.testing.assert_close(loaded.get_distribution(rows).distribution.logits, expected)
    th.testing.assert_close(loaded.predict_values(rows), own.predict_values(rows))


def test_stable_baselines3s_own_class_loads_the_distilled_policy(tmp_path):
    """Who has the file needs nothing of this package to act with it."""
    own = model_of().distilled_policy
    own.save(tmp_path / "policy.pt")
    loaded, rows = ActorCriticPolicy.load(tmp_path / "policy.pt"), th.as_tensor(batch()[0])
    expected = own.get_distribution(rows).distribution.logits
    th.testing.assert_close(loaded.get_distribution(rows).distribution.logits, expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_whole_policy_is_saved_and_loaded_alone(architecture, tmp_path):
    policy = model_of(architecture).policy
    policy.save(tmp_path / "policy.pt")
    loaded = MlpPolicy.load(tmp_path / "policy.pt")
    observations = tensors(*batch())
    expected = policy.get_distribution(observations).distribution.logits
    th.testing.assert_close(loaded.get_distribution(observations).distribution.logits, expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_evaluate_policy_takes_a_task_policy_the_distilled_policy_and_the_model(architecture):
    model = model_of(architecture)
    env = Monitor(TableEnv(1, time_limit=5, constant_reward=2.0))
    for policy in (model.task_policy("table-1"), model.distilled_policy, model):
        assert evaluate_policy(policy, env, n_eval_episodes=2)[0] == 10.0


@pytest.mark.parametrize("architecture", ["shared", "one_column"])
@pytest.mark.parametrize(
    ("space", "policy", "policy_kwargs"),
    [
        (spaces.Box(-1.0, 1.0, (4,), np.float32), "MlpPolicy", {"net_arch": {"pi": [7], "vf": [5, 4]}}),
        (IMAGE_FIRST, "CnnPolicy", {"features_extractor_kwargs": {"features_dim": 8}}),
        (DICT, "MultiInputPolicy", {"net_arch": [7]}),
        (spaces.Box(-1.0, 1.0, (4,), np.float32), "MlpPolicy", {"share_features_extractor": False}),
    ],
    ids=["vectors", "images", "dicts", "separate features"],
)
def test_with_one_column_the_weights_fit_a2cs_policy(architecture, space, policy, policy_kwargs):
    tasks = [lambda: SpaceEnv(space), lambda: SpaceEnv(space)]
    model = distral(tasks, architecture=architecture, policy_kwargs=policy_kwargs)
    own = model.task_policy(1)
    a2c = A2C(policy, SpaceEnv(space), policy_kwargs=policy_kwargs, device="cpu")
    a2c.policy.load_state_dict(own.state_dict(), strict=True)
    space.seed(3)
    observation = space.sample()
    rows, _ = a2c.policy.obs_to_tensor(observation)
    expected = own.get_distribution(rows).distribution.logits
    th.testing.assert_close(a2c.policy.get_distribution(rows).distribution.logits, expected)


def test_a_task_that_does_not_exist_is_refused_with_those_that_do():
    model = model_of()
    for unknown in (N_TASKS, -1, "table-7"):
        with pytest.raises(ValueError, match=rf"no task {unknown!r}.*below 3.*'table-0', 'table-1', 'table-2'"):
            model.task_policy(unknown)
    by_name, by_index = model.task_policy("table-2"), model.task_policy(2)
    assert_equal_parameters(copied_parameters(by_name), copied_parameters(by_index))
