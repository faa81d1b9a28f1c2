"""The policies: what π0 may see, whose policy acts, copies of one task's policy, and what policy_kwargs reach."""

import random
from typing import get_args

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import (
    N_ACTIONS,
    N_STATES,
    SpaceEnv,
    TableEnv,
    assert_equal_parameters,
    copied_parameters,
    distral,
    gradients_of,
    prepare,
    randomize,
    roll_out,
    table_task,
    table_tasks,
)
from stable_baselines3 import A2C
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from sb3_distral.algorithms.arguments import choose_policy_class
from sb3_distral.envs.task_id import with_task, with_task_space
from sb3_distral.policies.feedforward import (
    POLICY_ALIASES,
    Architecture,
    CnnPolicy,
    DistralPolicy,
    MlpPolicy,
    MultiInputPolicy,
    TaskPolicy,
    log_policy,
)

ARCHITECTURES = get_args(Architecture)
N_TASKS = 3
IMAGE_LAST = spaces.Box(0, 255, (36, 36, 3), np.uint8)
IMAGE_FIRST = spaces.Box(0, 255, (3, 36, 36), np.uint8)
DICT = spaces.Dict({"vector": spaces.Box(-1.0, 1.0, (4,), np.float32), "number": spaces.Discrete(3)})


class DoubledFeatures(BaseFeaturesExtractor):
    """A features extractor with a parameter of its own."""

    def __init__(self, observation_space, start=2.0):
        super().__init__(observation_space, observation_space.shape[0])
        self.factor = nn.Parameter(th.tensor(start))

    def forward(self, observations):
        return self.factor * observations


def model_of(architecture="two_columns", **arguments):
    return distral(table_tasks(N_TASKS), architecture=architecture, alpha=0.7, beta=5.0, **arguments)


def batch(n_rows=9, seed=0):
    """Plain observations, and a task for each."""
    generator = np.random.default_rng(seed)
    return generator.random((n_rows, N_STATES), dtype=np.float32), generator.integers(N_TASKS, size=n_rows)


def tensors(plain, tasks):
    return {"obs": th.as_tensor(plain), "task": th.as_tensor(tasks)}


# What π0 sees


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_distilled_policy_cannot_see_the_task(architecture):
    policy = model_of(architecture).policy
    plain, tasks = batch()
    own, distilled, _ = policy.evaluate_policies(tensors(plain, tasks), with_distilled=True)
    other_own, other_distilled, _ = policy.evaluate_policies(tensors(plain, (tasks + 1) % N_TASKS), with_distilled=True)
    th.testing.assert_close(distilled, other_distilled, rtol=0, atol=0)
    th.testing.assert_close(distilled, log_policy(policy.distilled_policy, th.as_tensor(plain)), rtol=0, atol=0)
    assert policy.distilled_policy.observation_space == TableEnv().observation_space
    assert (architecture == "shared") == th.equal(own, other_own)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_the_distilled_policy_hangs_on_its_own_parameters_alone(architecture):
    policy = model_of(architecture).policy
    _, distilled, _ = policy.evaluate_policies(tensors(*batch()), with_distilled=True)
    distilled[:, 0].sum().backward()
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
    log_policies, _, values = policy.evaluate_policies(tensors(plain, tasks), with_distilled=False)
    all_values = policy.predict_values(tensors(plain, tasks))
    th.testing.assert_close(all_values, values, rtol=0, atol=0)
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


# Copies of one task's policy


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
    policy_class = TaskPolicy if architecture == "two_columns" else ActorCriticPolicy
    assert type(own) is policy_class
    loaded = policy_class.load(tmp_path / "policy.pt")
    rows = th.as_tensor(batch()[0])
    expected = own.get_distribution(rows).distribution.logits
    th.testing.assert_close(loaded.get_distribution(rows).distribution.logits, expected)
    th.testing.assert_close(loaded.predict_values(rows), own.predict_values(rows))


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


def test_without_an_optimizer_it_is_a2cs_rmsprop():
    model = model_of(rms_prop_eps=1e-3, learning_rate=0.02)
    a2c = A2C("MlpPolicy", TableEnv(), rms_prop_eps=1e-3, learning_rate=0.02, device="cpu")
    for optimizer in (model.policy.optimizer, model.distilled_policy.optimizer):
        assert type(optimizer) is type(a2c.policy.optimizer) is th.optim.RMSprop
        assert {k: v for k, v in optimizer.defaults.items() if k != "foreach"} == {
            k: v for k, v in a2c.policy.optimizer.defaults.items() if k != "foreach"
        }


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


# Which policy "auto" is


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (spaces.Box(-1.0, 1.0, (4,), np.float32), MlpPolicy),
        (spaces.Discrete(5), MlpPolicy),
        (IMAGE_LAST, CnnPolicy),
        (IMAGE_FIRST, CnnPolicy),
        (DICT, MultiInputPolicy),
    ],
    ids=["vectors", "numbers", "images, channels last", "images, channels first", "dicts"],
)
def test_auto_fits_the_observations_and_trains(space, expected):
    tasks = [lambda: SpaceEnv(space), lambda: SpaceEnv(space)]
    policy_kwargs = {"features_extractor_kwargs": {"features_dim": 8}} if expected is CnnPolicy else {}
    model = distral(tasks, policy_kwargs=policy_kwargs)
    assert type(model.policy) is expected
    model.learn(2 * model.n_steps)
    space.seed(0)
    observation = space.sample()
    assert int(model.predict(observation)[0]) in range(N_ACTIONS)
    assert int(model.predict(with_task(observation, np.array(1)), deterministic=True)[0]) == int(
        model.task_policy(1).predict(observation, deterministic=True)[0]
    )


def test_aliases_and_classes_are_taken_in_either_order_of_arguments():
    tasks = [table_task(0), table_task(1)]
    for first, second in ((tasks, "MlpPolicy"), ("MlpPolicy", tasks), (tasks, MlpPolicy), (MlpPolicy, tasks)):
        assert type(distral(first, policy=second).policy) is DistralPolicy


def test_a_policy_that_does_not_fit_is_refused():
    dicts = with_task_space(DICT, 2)
    with pytest.raises(ValueError, match="Use 'MultiInputPolicy'"):
        choose_policy_class("MlpPolicy", dicts, POLICY_ALIASES)
    with pytest.raises(ValueError, match=r"'MlpLstmPolicy' is unknown.*RecurrentDistralA2C"):
        choose_policy_class("MlpLstmPolicy", dicts, POLICY_ALIASES)
    with pytest.raises(ValueError, match="policy='LinearPolicy' is unknown"):
        choose_policy_class("LinearPolicy", dicts, POLICY_ALIASES)
    with pytest.raises(ValueError, match="is unknown"):
        choose_policy_class(ActorCriticPolicy, dicts, POLICY_ALIASES)
