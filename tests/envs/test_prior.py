"""The distilled policy as the prior of tasks whose spaces differ a little; test_rewards.py holds the rest."""

from functools import partial

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import randomize
from integration.toys import Toy

from sb3_distral import DistilledPriorReward, DistralA2C

from .messages import refuses


@pytest.fixture(scope="module")
def policy():
    model = DistralA2C([partial(Toy, n_actions=4)] * 2, policy_kwargs={"net_arch": [8]})
    randomize(model.policy)
    return model.distilled_policy


def log_policy(policy, observation):
    return policy.get_distribution(policy.obs_to_tensor(observation)[0]).distribution.logits[0]


def test_observations_of_other_bounds_and_precision_are_welcome(policy):
    env = DistilledPriorReward(
        Toy(n_actions=4, observation_space=spaces.Box(-9, 9, (3,), np.float64)), policy, 1.0, 1.0
    )
    observation, _ = env.reset(seed=0)
    expected = 1.0 + float(log_policy(policy, observation)[2].detach())
    assert env.step(2)[1] == pytest.approx(expected, rel=1e-6)


def test_a_task_of_fewer_actions_has_the_prior_among_these(policy):
    env = DistilledPriorReward(Toy(n_actions=3, reward=0.0, length=9), policy, 1.0, 1.0)
    observation, _ = env.reset(seed=0)
    for action in range(3):
        expected = th.log_softmax(log_policy(policy, observation)[:3], dim=0)[action]
        observation, reward, *_ = env.step(action)
        assert reward == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize("space", [spaces.Discrete(5), spaces.Discrete(4, start=1), spaces.MultiDiscrete([4])], ids=str)
def test_actions_that_the_policy_does_not_have_are_refused(policy, space):
    env = Toy()
    env.action_space = space
    with refuses(f"environment's actions are {space}", "Discrete(4)", "Wrap the environment"):
        DistilledPriorReward(env, policy)


def test_several_switches_have_the_sum_of_their_log_probabilities():
    class Switches(Toy):
        def __init__(self):
            super().__init__(reward=1.0)
            self.action_space = spaces.MultiBinary(3)

    model = DistralA2C([Switches] * 2, policy_kwargs={"net_arch": [8]})
    randomize(model.policy)
    env = DistilledPriorReward(Switches(), model.distilled_policy, 1.0, 2.0)
    observation, _ = env.reset(seed=0)
    for action in ([0, 1, 1], [1, 0, 0]):
        on = th.sigmoid(log_policy(model.distilled_policy, observation)).detach().numpy()
        expected = 1.0 + 0.5 * np.log(np.where(action, on, 1 - on)).sum()
        observation, reward, *_ = env.step(np.array(action, dtype=np.int8))
        assert reward == pytest.approx(float(expected), rel=1e-5)
