"""DistralA2C where it must equal A2C, and what it is for."""

import functools

import pytest
import torch as th
from helpers import (
    N_STATES,
    Networks,
    a2cs_optimizer,
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
from sb3_distral.algorithms.a2c import bias_corrected_rms_prop

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
    arguments = {"policy_kwargs": a2cs_optimizer(), "seed": 3, "device": "cpu"}
    model = DistralA2C(env, architecture="one_column", beta=float("inf"), **arguments)
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
    arguments = {"policy_kwargs": a2cs_optimizer(), "seed": 3, "device": "cpu"}
    model = DistralA2C(["CartPole-v1"], n_envs_per_task=2, architecture="shared", beta=float("inf"), **arguments)
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
    optimizer = a2cs_optimizer() if arguments.get("use_rms_prop", True) else {}
    common = {"policy_kwargs": {"net_arch": [8], **optimizer}, "seed": 1, "device": "cpu", "n_steps": 6, **arguments}
    a2c = A2C("MlpPolicy", DummyVecEnv([table_task(0, time_limit=7)] * 3), **common)
    model = DistralA2C(
        [table_task(0, time_limit=7)], n_envs_per_task=3, architecture="one_column", beta=float("inf"), **common
    )
    for each in (a2c, model):
        th.manual_seed(7)
        each.learn(20 * 6 * 3)
    assert_equal_parameters(copied_parameters(model.task_policy(0)), copied_parameters(a2c.policy), **CLOSE)


# The optimizer


def first_step(model):
    """
    :return: The longest step of a parameter in the first update, in learning rates
    """
    before = copied_parameters(model.policy)
    model.learn(model.n_steps * model.n_envs)
    after = copied_parameters(model.policy)
    return size({name: after[name] - before[name] for name in before}) / model.learning_rate


def test_the_first_step_is_as_long_as_the_learning_rate_where_that_of_rmsprop_is_ten_times_as_long():
    by_optimizer = {
        name: first_step(distral(table_tasks(2), policy_kwargs=policy_kwargs))
        for name, policy_kwargs in {"default": {}, "a2c's": a2cs_optimizer()}.items()
    }
    assert by_optimizer["default"] == pytest.approx(1.0, rel=0.01)
    assert by_optimizer["a2c's"] == pytest.approx(10.0, rel=0.01)


def test_later_steps_are_those_of_rmsprop():
    """The correction is gone when the mean square has forgotten its start."""
    gradients = th.linspace(-1.0, 2.0, 1200).tolist()
    steps = []
    for policy_kwargs in (bias_corrected_rms_prop(1e-5), a2cs_optimizer()):
        weight = th.nn.Parameter(th.zeros(1))
        optimizer = policy_kwargs["optimizer_class"]([weight], lr=0.01, **policy_kwargs["optimizer_kwargs"])
        for gradient in gradients:
            before = weight.item()
            weight.grad = th.tensor([gradient])
            optimizer.step()
        steps.append(weight.item() - before)
    assert steps[0] == pytest.approx(steps[1], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (th.optim.Adam, {"betas": (0.0, 0.99), "eps": 1e-5})),
        ({"rms_prop_eps": 1e-3}, (th.optim.Adam, {"betas": (0.0, 0.99), "eps": 1e-3})),
        ({"use_rms_prop": False}, (th.optim.Adam, {"betas": (0.9, 0.999), "eps": 1e-5})),
        (
            {"policy_kwargs": {"optimizer_kwargs": {"weight_decay": 0.1}}},
            (th.optim.Adam, {"betas": (0.0, 0.99), "weight_decay": 0.1}),
        ),
        ({"policy_kwargs": {"optimizer_class": th.optim.SGD}}, (th.optim.SGD, {"momentum": 0})),
        ({"policy_kwargs": a2cs_optimizer(1e-4)}, (th.optim.RMSprop, {"alpha": 0.99, "eps": 1e-4})),
    ],
    ids=str,
)
def test_the_optimizer_is_what_was_asked_for(arguments, expected):
    model = distral(table_tasks(2), **arguments)
    expected_class, options = expected
    for optimizer in (model.policy.optimizer, model.distilled_policy.optimizer):
        assert type(optimizer) is expected_class
        assert {name: optimizer.defaults[name] for name in options} == options


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
