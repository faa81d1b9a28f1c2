"""A host that starts from the weights of π0 acts as π0."""

from functools import partial

import pytest
import torch as th
from envs.messages import refuses
from gymnasium import spaces
from helpers import randomize
from integration.toys import DICT_SPACE, IMAGE_SPACE, Toy
from recurrent_helpers import HIDDEN_SIZE, CueTask, recurrent
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, PPO

from sb3_distral import DistralA2C, DistralPPO, distilled_parameters


class Acting(Toy):
    def __init__(self, action_space, **arguments):
        super().__init__(**arguments)
        self.action_space = action_space


def start(model, host, policy, make, **policy_kwargs):
    new = host(policy, make(), n_steps=8, policy_kwargs=policy_kwargs, seed=1, device="cpu")
    new.set_parameters(distilled_parameters(model), exact_match=False)
    return new


def observations(policy, make, n=5):
    env = make()
    env.reset(seed=0)
    rows = [policy.obs_to_tensor(env.observe())[0] for _ in range(n)]
    if isinstance(rows[0], dict):
        return {key: th.cat([row[key] for row in rows]) for key in rows[0]}
    return th.cat(rows)


def numbers(distribution):
    parts = distribution.distribution if isinstance(distribution.distribution, list) else [distribution.distribution]
    return th.cat([th.cat([part.mean, part.stddev]) if hasattr(part, "loc") else part.logits for part in parts], dim=1)


@pytest.mark.parametrize("host", [PPO, A2C])
@pytest.mark.parametrize("algorithm", [DistralA2C, DistralPPO])
@pytest.mark.parametrize("architecture", ["shared", "one_column", "two_columns"])
def test_the_host_acts_as_the_distilled_policy(host, algorithm, architecture):
    model = algorithm([Toy] * 2, architecture=architecture, device="cpu")
    randomize(model.policy)
    assert_acts_as_distilled(model, start(model, host, "MlpPolicy", Toy), Toy)


@pytest.mark.parametrize(
    "space",
    [spaces.Box(-1.0, 1.0, (2,)), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)],
    ids=str,
)
def test_actions_of_any_kind_and_networks_of_any_size(space):
    make = partial(Acting, space)
    kwargs = {"net_arch": [7, 6], "activation_fn": th.nn.ReLU}
    model = DistralA2C([make] * 2, policy_kwargs=kwargs, device="cpu")
    randomize(model.policy)
    assert_acts_as_distilled(model, start(model, PPO, "MlpPolicy", make, **kwargs), make)


@pytest.mark.parametrize(("space", "policy"), [(IMAGE_SPACE, "CnnPolicy"), (DICT_SPACE, "MultiInputPolicy")])
def test_images_and_dicts(space, policy):
    make = partial(Toy, observation_space=space)
    model = DistralA2C([make] * 2, policy_kwargs={"net_arch": [8]}, device="cpu")
    assert_acts_as_distilled(model, start(model, PPO, policy, make, net_arch=[8]), make)


def assert_acts_as_distilled(model, new, make):
    rows = observations(model.distilled_policy, make)
    with th.no_grad():
        ours, theirs = (numbers(policy.get_distribution(rows)) for policy in (model.distilled_policy, new.policy))
        values = model.distilled_policy.predict_values(rows)
        th.testing.assert_close(new.policy.predict_values(rows), values)
    th.testing.assert_close(theirs, ours)
    before = {name: value.clone() for name, value in model.distilled_policy.state_dict().items()}
    new.learn(16)
    assert all(th.equal(value, before[name]) for name, value in model.distilled_policy.state_dict().items())


@pytest.mark.parametrize(
    "space",
    [spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,)), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)],
    ids=str,
)
def test_the_temperature_is_a_power_of_the_distilled_policy(space):
    make = partial(Acting, space)
    model = DistralA2C([make] * 2, device="cpu")
    randomize(model.policy)
    new = PPO("MlpPolicy", make(), n_steps=8, device="cpu")
    new.set_parameters(distilled_parameters(model, temperature=3.0), exact_match=False)
    rows = observations(model.distilled_policy, make, n=1)
    actions = th.stack([th.as_tensor(space.sample()) for _ in range(6)])
    actions = actions.float() if isinstance(space, spaces.MultiBinary) else actions
    with th.no_grad():
        ours, theirs = (
            policy.get_distribution(rows).log_prob(actions) for policy in (model.distilled_policy, new.policy)
        )
    # Up to what normalises it, the same for all actions.
    th.testing.assert_close(theirs - theirs[0], (ours - ours[0]) / 3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature):
    with refuses(f"temperature={temperature}", "above 0"):
        distilled_parameters(DistralA2C([Toy] * 2, device="cpu"), temperature)


def test_the_recurrent_host_acts_as_the_recurrent_distilled_policy():
    model = recurrent([CueTask] * 2)
    kwargs = {"lstm_hidden_size": HIDDEN_SIZE, "net_arch": [], "shared_lstm": True, "enable_critic_lstm": False}
    new = start(model, RecurrentPPO, "MlpLstmPolicy", CueTask, **kwargs)
    prior = model.distilled_policy
    assert new.policy.state_dict().keys() == prior.state_dict().keys()
    state = (th.randn(1, 1, HIDDEN_SIZE), th.randn(1, 1, HIDDEN_SIZE))
    rows, starts = th.rand(6, 3), th.tensor([1.0, 0, 0, 1, 0, 0])
    with th.no_grad():
        ours, theirs = (policy.get_distribution(rows, state, starts)[0] for policy in (prior, new.policy))
    th.testing.assert_close(numbers(theirs), numbers(ours))


def test_parameters_are_a_copy():
    model = DistralA2C([Toy] * 2, device="cpu")
    distilled_parameters(model)["policy"]["action_net.bias"].add_(1.0)
    assert not model.distilled_policy.action_net.bias.any()


def test_a_host_of_other_networks_is_refused_by_the_host():
    model = DistralA2C([Toy] * 2, policy_kwargs={"net_arch": [8]}, device="cpu")
    with pytest.raises(RuntimeError, match="size mismatch"):
        start(model, PPO, "MlpPolicy", Toy)


@pytest.mark.parametrize(
    ("space", "policy_kwargs"),
    [
        (spaces.Box(-1.0, 1.0, (2,)), {"state_dependent_std": True}),
        (spaces.Discrete(2, start=3), {}),
        (spaces.MultiDiscrete([2, 2], start=[0, 1]), {}),
    ],
    ids=["state-dependent std", "discrete", "multi-discrete"],
)
def test_policies_that_the_host_does_not_have_are_refused(space, policy_kwargs):
    model = DistralA2C([partial(Acting, space)] * 2, policy_kwargs=policy_kwargs, device="cpu")
    with refuses("state_dependent_std", str(space), "VecDistilledPriorReward"):
        distilled_parameters(model)


@pytest.mark.parametrize("host", [PPO, A2C])
def test_the_host_acts_as_a_distilled_policy_that_sees_a_part(host):
    model = DistralA2C([Toy] * 2, distilled_view=[0], device="cpu")
    with th.no_grad():
        model.distilled_policy.action_net.weight.normal_()
    assert_acts_as_distilled(model, start(model, host, "MlpPolicy", Toy), Toy)
