"""One plain network acts and values states as the columns of a task policy do."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import distral, randomize
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, MultiInputActorCriticPolicy

from sb3_distral import RecurrentDistralA2C
from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask, unmasked
from sb3_distral.policies import MlpPolicy
from sb3_distral.policies.folding import fold

VECTOR = spaces.Box(-1.0, 1.0, (4,), np.float32)
IMAGE = spaces.Box(0, 255, (3, 40, 40), np.uint8)
DICT = spaces.Dict({"a": VECTOR, "b": spaces.Discrete(3)})
BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
N_ROWS = 7


class Sampling(gym.Env):
    """Observations are samples of a space, and an action has no effect."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


class OwnColumns(MlpPolicy):
    column_class = type("OwnColumn", (MlpPolicy.column_class,), {})


def model_of(observation_space=VECTOR, action_space=None, env=Sampling, **arguments):
    action_space = action_space or spaces.Discrete(3)
    tasks = {name: lambda: env(observation_space, action_space) for name in ("a", "b")}
    model = distral(tasks, alpha=0.7, beta=5.0, **{"policy_kwargs": {"net_arch": [5, 4]}, **arguments})
    randomize(model.policy, seed=1)
    return model


def observations(space):
    space.seed(0)
    rows = [space.sample() for _ in range(N_ROWS)]
    return {key: np.stack([row[key] for row in rows]) for key in space} if isinstance(rows[0], dict) else np.stack(rows)


def assert_the_same(folded, policy):
    obs = observations(policy.observation_space)
    batch, _ = policy.obs_to_tensor(obs)
    actions = th.as_tensor(np.stack([policy.action_space.sample() for _ in range(N_ROWS)])).float()
    for own, expected in zip(
        folded.evaluate_actions(batch, actions), policy.evaluate_actions(batch, actions), strict=True
    ):
        th.testing.assert_close(own, expected, rtol=1e-5, atol=1e-4)
    assert np.allclose(
        folded.predict(obs, deterministic=True)[0], policy.predict(obs, deterministic=True)[0], atol=1e-5
    )


ACTIONS = {
    "Discrete": spaces.Discrete(3),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(3),
    "Box": BOX,
}


@pytest.mark.parametrize("action_space", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.parametrize("net_arch", [[5, 4], {"pi": [4], "vf": [3, 2]}, []], ids=str)
@pytest.mark.parametrize("architecture", ["shared", "one_column", "two_columns"])
def test_a_plain_policy_equals_that_of_the_task(architecture, net_arch, action_space):
    model = model_of(
        action_space=action_space,
        architecture=architecture,
        policy_kwargs={"net_arch": net_arch, "activation_fn": th.nn.ReLU},
    )
    policy = model.task_policy("b")
    folded = fold(policy)
    assert type(folded) is ActorCriticPolicy
    assert_the_same(folded, policy)


@pytest.mark.parametrize(
    "space", [DICT, spaces.Discrete(4), spaces.MultiDiscrete([2, 3])], ids=["dict", "one", "several"]
)
def test_other_observations_are_taken_as_the_task_policy_takes_them(space):
    policy = model_of(space).task_policy(0)
    folded = fold(policy)
    assert type(folded) is (MultiInputActorCriticPolicy if space is DICT else ActorCriticPolicy)
    assert_the_same(folded, policy)


@pytest.mark.parametrize("net_arch", [[5, 4], []], ids=str)
def test_what_the_distilled_column_may_not_see_stays_hidden(net_arch):
    policy = model_of(distilled_view=[0, 2], policy_kwargs={"net_arch": net_arch}).task_policy(0)
    assert_the_same(fold(policy), policy)


@pytest.mark.parametrize("action_space", [ACTIONS["Discrete"], BOX], ids=["Discrete", "Box"])
def test_several_distilled_columns_stand_beside_each_other_too(action_space):
    policy = model_of(action_space=action_space, n_distilled=3).task_policy(1)
    folded = fold(policy)
    assert folded.net_arch["pi"] == [4 * 5, 4 * 4]
    assert_the_same(folded, policy)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_actions_that_the_task_does_not_have_are_never_taken(architecture):
    model = model_of(architecture=architecture)
    model.policy.set_task_masks([TaskMask([True] * 3, [True, False, True]), unmasked(model.action_space)])
    policy = model.task_policy("a")
    folded = fold(policy)
    batch, _ = policy.obs_to_tensor(observations(VECTOR))
    own, expected = (one.get_distribution(batch) for one in (folded, policy))
    assert isinstance(own, CategoricalDistribution)
    th.testing.assert_close(own.distribution.probs, expected.distribution.probs)
    assert (own.distribution.probs[:, 1] == 0).all()
    assert th.isfinite(own.entropy()).all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"observation_space": IMAGE}, "NatureCNN"),
        ({"action_space": BOX, "policy_kwargs": {"state_dependent_std": True}}, "depend on the state"),
        ({"action_space": spaces.Discrete(3, start=1)}, "first action"),
        ({"policy": OwnColumns}, "OwnColumn"),
        ({"algorithm": RecurrentDistralA2C, "policy_kwargs": {"lstm_hidden_size": 4}}, "LSTM"),
    ],
    ids=["images", "standard deviations", "start", "own class", "memory"],
)
def test_what_no_plain_network_equals_is_refused_with_its_reason(arguments, reason):
    with pytest.raises(UsageError, match=rf"cannot become a plain one.*{reason}.*load_policy"):
        fold(model_of(**arguments).task_policy(0))
