"""DistralA2C where it must equal A2C, and what it is for."""

import functools

import pytest
import torch as th
from helpers import (
    N_STATES,
    Networks,
    assert_equal_parameters,
    copied_parameters,
    distral,
    table_task,
    table_tasks,
)
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from sb3_distral import DistralA2C, make_task_vec_env

from .updates import CLOSE, size


@functools.cache
def a2cs_parameters():
    """CartPole, two sub-environments, 50 updates."""
    model = A2C("MlpPolicy", make_vec_env("CartPole-v1", 2), seed=3, device="cpu")
    initial = copied_parameters(model.policy)
    th.manual_seed(7)
    model.learn(50 * 5 * 2)
    return initial, copied_parameters(model.policy)


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
def test_one_task_without_costs_is_a2c(vec_env_cls):
    initial, expected = a2cs_parameters()
    env = make_task_vec_env(["CartPole-v1"], 2, vec_env_cls=vec_env_cls)
    model = DistralA2C(env, architecture="one_column", beta=float("inf"), seed=3, device="cpu")
    distilled = copied_parameters(model.distilled_policy)
    assert_equal_parameters(copied_parameters(model.task_policy(0)), initial)
    th.manual_seed(7)
    model.learn(50 * 5 * 2)
    env.close()
    assert size({name: expected[name] - initial[name] for name in initial}) > 1e-2
    assert_equal_parameters(copied_parameters(model.task_policy(0)), expected, rtol=1e-4, atol=1e-5)
    assert_equal_parameters(copied_parameters(model.distilled_policy), distilled)


def test_one_shared_network_without_costs_is_a2c():
    _, expected = a2cs_parameters()
    model = DistralA2C(
        ["CartPole-v1"], n_envs_per_task=2, architecture="shared", beta=float("inf"), seed=3, device="cpu"
    )
    th.manual_seed(7)
    model.learn(50 * 5 * 2)
    assert_equal_parameters(copied_parameters(model.distilled_policy), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"ent_coef": 0.05, "vf_coef": 0.3},
        {"normalize_advantage": True},
        {"gae_lambda": 0.8, "gamma": 0.7},
        {"use_rms_prop": False, "learning_rate": lambda remaining: 0.01 * remaining},
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a2cs_arguments_mean_what_they_mean_to_a2c(arguments):
    common = {"policy_kwargs": {"net_arch": [8]}, "seed": 1, "device": "cpu", "n_steps": 6, **arguments}
    a2c = A2C("MlpPolicy", DummyVecEnv([table_task(0, time_limit=7)] * 3), **common)
    model = DistralA2C(
        [table_task(0, time_limit=7)], n_envs_per_task=3, architecture="one_column", beta=float("inf"), **common
    )
    for each in (a2c, model):
        th.manual_seed(7)
        each.learn(20 * 6 * 3)
    assert_equal_parameters(copied_parameters(model.task_policy(0)), copied_parameters(a2c.policy), **CLOSE)


# Together: the method does what it is for


def test_task_policies_move_towards_the_distilled_one_when_divergence_is_dear():
    # No reward at all: what is left is minus the divergence.
    tasks = table_tasks(2, constant_reward=0.0)
    model = distral(tasks, architecture="one_column", alpha=1.0, beta=1.0, n_envs_per_task=4, learning_rate=0.03)
    observations = th.eye(N_STATES)

    def divergence():
        networks = Networks.of(model)
        prior = networks.distilled_log_policy(observations)
        own = [networks.task_log_policy(task, observations) for task in range(2)]
        return sum((log.exp() * (log - prior)).sum(1).mean().item() for log in own)

    before = divergence()
    model.learn(60 * 8 * model.n_steps)
    assert divergence() < 0.1 * before
