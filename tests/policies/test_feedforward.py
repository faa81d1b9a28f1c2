"""The policies: what π0 may see, whose policy acts, and what policy_kwargs reach."""

from typing import get_args

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import (
    N_ACTIONS,
    N_STATES,
    TableEnv,
    distral,
    gradients_of,
    prepare,
    roll_out,
    table_tasks,
)
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from sb3_distral.envs.task_id import with_task
from sb3_distral.errors import UsageError
from sb3_distral.policies.evaluation import Architecture

from .models import N_TASKS, batch, model_of, tensors

ARCHITECTURES = get_args(Architecture)


class DoubledFeatures(BaseFeaturesExtractor):
    """A features extractor with a parameter of its own."""

    def __init__(self, observation_space, start=2.0):
        super().__init__(observation_space, observation_space.shape[0])
        self.factor = nn.Parameter(th.tensor(start))

    def forward(self, observations):
        return self.factor * observations


class ContinuousEnv(TableEnv):
    """Actions are numbers, and observations may be none."""

    def __init__(self, task, broken=False):
        super().__init__(task)
        self.action_space, self.broken = spaces.Box(-1.0, 1.0, (2,), np.float32), broken

    def step(self, action):
        observation, reward, *rest = super().step(0)
        return np.full_like(observation, np.nan) if self.broken else observation, reward, *rest


# What π0 sees


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_distilled_policy_cannot_see_the_task(architecture):
    policy = model_of(architecture).policy
    plain, tasks = batch()
    evaluation = policy.evaluate(tensors(plain, tasks), distilled=True, distilled_values=True)
    other = policy.evaluate(tensors(plain, (tasks + 1) % N_TASKS), distilled=True, distilled_values=True)
    rows = th.as_tensor(plain)
    expected = policy.distilled_policy.get_distribution(rows).distribution.logits
    th.testing.assert_close(evaluation.distilled_parameters, other.distilled_parameters, rtol=0, atol=0)
    th.testing.assert_close(evaluation.distilled_parameters, expected)
    if architecture != "shared":
        for both in (evaluation, other):
            th.testing.assert_close(both.distilled_values, policy.distilled_policy.predict_values(rows))
    assert policy.distilled_policy.observation_space == TableEnv().observation_space
    assert (architecture == "shared") == th.equal(evaluation.task_parameters, other.task_parameters)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_the_distilled_policy_hangs_on_its_own_parameters_alone(architecture):
    policy = model_of(architecture).policy
    policy.evaluate(tensors(*batch()), distilled=True).distilled_parameters[:, 0].sum().backward()
    assert not any(gradient.any() for gradient in gradients_of(policy.task_columns).values())
    assert any(gradient.any() for gradient in gradients_of(policy.distilled_policy).values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_plain_observations_are_acted_on_by_the_distilled_policy(architecture):
    model = model_of(architecture)
    plain, _ = batch(50)
    expected, _ = model.distilled_policy.predict(plain, deterministic=True)
    assert model.predict(plain, deterministic=True)[0].tolist() == expected.tolist()
    assert model.predict(plain[0], deterministic=True)[0] == expected[0]
    assert len(set(expected.tolist())) > 1


# Whose policy acts


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_observations_with_a_task_are_acted_on_by_its_policy(architecture):
    model = model_of(architecture)
    plain, tasks = batch(60)
    actions, _ = model.predict(with_task(plain, tasks), deterministic=True)
    for task in range(N_TASKS):
        own = tasks == task
        expected, _ = model.task_policy(task).predict(plain[own], deterministic=True)
        assert actions[own].tolist() == expected.tolist()
    single = with_task(plain[0], tasks[0])
    assert model.predict(single, deterministic=True)[0] == actions[0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_task_policy_equals_the_rows_of_its_task(architecture):
    policy = model_of(architecture).policy
    plain, tasks = batch(30)
    evaluation = policy.evaluate(tensors(plain, tasks))
    log_policies, values = evaluation.task_parameters, evaluation.values
    th.testing.assert_close(policy.predict_values(tensors(plain, tasks)), values, rtol=0, atol=0)
    for task in range(N_TASKS):
        rows, own = th.as_tensor(plain[tasks == task]), policy.task_policy(task)
        logits = own.get_distribution(rows).distribution.logits
        th.testing.assert_close(logits, log_policies[tasks == task], rtol=1e-5, atol=1e-6)
        th.testing.assert_close(own.predict_values(rows), values[tasks == task], rtol=1e-5, atol=1e-6)


def test_two_columns_add_the_weighted_logits():
    model = model_of("two_columns")
    plain, _ = batch()
    rows = th.as_tensor(plain)
    for task in range(N_TASKS):
        own = model.task_policy(task)
        h = model.distilled_policy.get_distribution(rows).distribution.logits
        f = own.task_column.get_distribution(rows).distribution.logits
        expected = (0.7 * h + f).softmax(dim=1)
        th.testing.assert_close(own.get_distribution(rows).distribution.probs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_evaluated_actions_are_those_of_the_forward_pass(architecture):
    policy = model_of(architecture).policy
    observations = tensors(*batch(20))
    actions, values, log_prob = policy(observations)
    again_values, again_log_prob, entropy = policy.evaluate_actions(observations, actions)
    th.testing.assert_close(again_values, values)
    th.testing.assert_close(again_log_prob, log_prob)
    distribution = policy.get_distribution(observations)
    th.testing.assert_close(entropy, distribution.entropy())
    th.testing.assert_close(log_prob, distribution.log_prob(actions))
    assert policy.last_step.actions is actions
    th.testing.assert_close(policy.last_step.task_log_prob, log_prob)
    assert policy(observations, deterministic=True)[0].tolist() == distribution.mode().tolist()


def test_actions_are_drawn_with_the_policys_probabilities():
    policy = model_of().policy
    th.manual_seed(0)
    plain, n_draws = batch(1)[0], 20_000
    observations = tensors(np.repeat(plain, n_draws, axis=0), np.ones(n_draws, dtype=np.int64))
    actions, _, _ = policy(observations)
    shares = th.bincount(actions, minlength=N_ACTIONS) / n_draws
    expected = policy.task_policy(1).get_distribution(th.as_tensor(plain)).distribution.probs[0]
    th.testing.assert_close(shares, expected, rtol=0, atol=0.02)


# The weight of h


def test_the_weight_of_h_follows_alpha_of_each_task():
    model = distral(table_tasks(2), alpha={"table-0": 0.2, "table-1": 1.0}, beta=10.0)
    th.testing.assert_close(model.policy.distilled_weights, th.tensor([0.2, 1.0]))
    assert model.task_policy(0).distilled_weight == pytest.approx(0.2)
    assert model.task_policy(1).distilled_weight == pytest.approx(1.0)


def test_the_weight_of_h_follows_a_schedule_of_alpha():
    model = distral(table_tasks(2), alpha=lambda remaining: remaining, beta=10.0)
    th.testing.assert_close(model.policy.distilled_weights, th.tensor([1.0, 1.0]))
    roll_out(model, prepare(model, remaining=0.25))
    th.testing.assert_close(model.policy.distilled_weights, th.tensor([0.25, 0.25]))


def test_a_given_weight_of_h_stays():
    model = distral(table_tasks(2), alpha=lambda remaining: remaining, beta=10.0, distilled_weight=0.3)
    roll_out(model, prepare(model, remaining=0.5))
    th.testing.assert_close(model.policy.distilled_weights, th.tensor([0.3, 0.3]))
    assert model.costs.alpha.tolist() == [0.5, 0.5]


def test_a_weight_of_zero_is_a_given_weight():
    model = distral(table_tasks(2), alpha=0.5, distilled_weight=0.0)
    rows, own = th.as_tensor(batch()[0]), model.task_policy(0)
    expected = own.task_column.get_distribution(rows).distribution.logits
    th.testing.assert_close(own.get_distribution(rows).distribution.logits, expected)


# What policy_kwargs reach


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_policy_kwargs_hold_for_every_column(architecture):
    policy_kwargs = {
        "net_arch": {"pi": [6], "vf": [5]},
        "activation_fn": nn.ELU,
        "features_extractor_class": DoubledFeatures,
        "features_extractor_kwargs": {"start": 3.0},
        "optimizer_class": th.optim.Adam,
        "optimizer_kwargs": {"weight_decay": 0.1},
    }
    given = dict(policy_kwargs)
    model = model_of(architecture, policy_kwargs=policy_kwargs, randomized=False)
    assert policy_kwargs == given, "the caller's dict was changed"
    columns = [model.distilled_policy]
    for task in range(N_TASKS):
        own = model.task_policy(task)
        columns += [own.distilled_policy, own.task_column] if architecture == "two_columns" else [own]
    for column in columns:
        actor, critic = column.mlp_extractor.policy_net, column.mlp_extractor.value_net
        assert (actor[0].out_features, critic[0].out_features) == (6, 5)
        assert isinstance(actor[1], nn.ELU)
        assert isinstance(critic[1], nn.ELU)
        assert isinstance(column.features_extractor, DoubledFeatures)
        assert column.features_extractor.factor.item() == 3.0
    for optimizer in (model.policy.optimizer, model.distilled_policy.optimizer):
        assert type(optimizer) is th.optim.Adam
        assert optimizer.defaults["weight_decay"] == 0.1


def test_the_optimizer_holds_every_parameter_once():
    for architecture in ARCHITECTURES:
        policy = model_of(architecture).policy
        held = [id(parameter) for group in policy.optimizer.param_groups for parameter in group["params"]]
        assert sorted(held) == sorted(id(parameter) for parameter in policy.parameters())


def test_arguments_of_the_algorithm_are_refused_in_policy_kwargs():
    with pytest.raises(ValueError, match=r"policy_kwargs holds \['architecture'\]"):
        model_of(policy_kwargs={"architecture": "shared"})


def test_an_unknown_architecture_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"architecture='three_columns' is unknown.*two_columns"):
        model_of("three_columns")


def test_columns_start_from_different_weights():
    model = model_of(randomized=False)
    firsts = [model.task_policy(task).task_column.mlp_extractor.policy_net[0].weight for task in range(N_TASKS)]
    firsts.append(model.distilled_policy.mlp_extractor.policy_net[0].weight)
    assert not any(th.equal(firsts[i], firsts[j]) for i in range(4) for j in range(i))


# What is no policy any more


def continuous(broken_task=None, **arguments):
    tasks = [lambda task=task: ContinuousEnv(task, broken=task == broken_task) for task in range(N_TASKS)]
    return distral(tasks, n_envs_per_task=2, **arguments)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_continuous_actions_are_not_drawn_from_parameters_that_are_not_finite(number, deterministic):
    policy = continuous(architecture="one_column").policy
    observations = tensors(np.zeros((4, N_STATES), np.float32), np.array([0, 2, 1, 1]))
    policy(observations, deterministic)
    with th.no_grad():
        policy.task_columns.action_net.bias[1] = number
    with pytest.raises(UsageError, match=r"task 'task-1' is not finite in sub-environment 2.*lower learning rate"):
        policy(observations, deterministic)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("beta", [10.0, float("inf")])
def test_a_training_on_continuous_actions_names_the_task_whose_observations_are_not_finite(architecture, beta):
    """Without costs no reward would tell of it."""
    model = continuous(broken_task=2, architecture=architecture, beta=beta)
    with pytest.raises(
        UsageError,
        match=r"Task 'task-2' gave an observation with the number nan .* sub-environment 4 at step 1 .*Check",
    ):
        model.learn(60)
