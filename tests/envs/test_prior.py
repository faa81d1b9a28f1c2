"""The distilled policy as the prior of tasks whose spaces differ a little; test_rewards.py holds the rest."""

from functools import partial

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from gymnasium.wrappers import TransformAction
from helpers import randomize
from integration.toys import Toy
from stable_baselines3 import A2C
from stable_baselines3.common.monitor import Monitor

from sb3_distral import DistilledPriorReward, DistralA2C, RecurrentDistralA2C

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


class Masked(Toy):
    """In step k of an episode action k is not valid."""

    def __init__(self, n_actions=4):
        super().__init__(n_actions=n_actions, reward=0.0, length=9)

    def action_masks(self):
        return np.arange(self.action_space.n) != self.steps


@pytest.mark.parametrize("n_actions", [4, 3])
def test_the_prior_is_among_the_actions_that_are_valid_where_they_are_taken(policy, n_actions):
    env = DistilledPriorReward(Monitor(Masked(n_actions)), policy, 1.0, 1.0)
    observation, _ = env.reset(seed=0)
    for step in range(3):
        valid = [action for action in range(n_actions) if action != step]
        expected = th.log_softmax(log_policy(policy, observation)[valid], dim=0)[0]
        observation, reward, *_ = env.step(valid[0])
        assert reward == pytest.approx(float(expected.detach()), rel=1e-5)


def test_the_prior_of_a_task_is_that_of_its_training():
    """Rewards of a training and of a new task pay for the same log π0."""
    model = DistralA2C([Masked], policy_kwargs={"net_arch": [8]}, alpha=1.0, beta=1.0, seed=0)
    randomize(model.policy)
    observations = model.env.reset()
    step = model.policy(model.policy.obs_to_tensor(observations)[0])[0].numpy()
    expected = float(model.policy.last_step.distilled_log_prob.detach())
    env = DistilledPriorReward(Masked(), model.distilled_policy, 1.0, 1.0)
    env.reset()
    env._observation = observations["obs"][0]
    assert env.step(step[0])[1] == pytest.approx(expected, rel=1e-5)


def test_an_action_that_is_not_valid_is_refused(policy):
    env = DistilledPriorReward(Masked(), policy)
    env.reset(seed=0)
    with refuses("action 0 was taken", "action_masks()", "MaskablePPO"):
        env.step(0)


def test_components_of_an_action_are_masked_one_by_one():
    class Choosing(Toy):
        def __init__(self):
            super().__init__(reward=0.0)
            self.action_space = spaces.MultiDiscrete([2, 3])

    class MaskedChoosing(Choosing):
        def action_masks(self):
            return [True, False, False, True, True]

    model = RecurrentDistralA2C([Choosing], policy_kwargs={"lstm_hidden_size": 4})
    randomize(model.policy)
    prior = model.distilled_policy
    env = DistilledPriorReward(MaskedChoosing(), prior, 1.0, 1.0)
    observation, _ = env.reset(seed=0)
    zeros = th.zeros(prior.lstm_hidden_state_shape)
    distribution, _ = prior.get_distribution(th.as_tensor(observation[None]), (zeros, zeros), th.zeros(1))
    second = th.log_softmax(distribution.distribution[1].logits[0, 1:], dim=0)[1]
    assert env.step(np.array([0, 2]))[1] == pytest.approx(float(second.detach()), rel=1e-5)


def test_masks_of_other_actions_are_refused():
    class Continuous(Toy):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.Box(-1.0, 1.0, (2,))

    class MaskedContinuous(Continuous):
        def action_masks(self):
            return [True, True]

    policy = DistralA2C([Continuous]).distilled_policy
    with refuses("Masks were given for the actions Box", "Discrete and MultiDiscrete"):
        DistilledPriorReward(MaskedContinuous(), policy)


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


class FromFive(Toy):
    """Actions and observations that do not begin with 0."""

    def __init__(self):
        super().__init__(reward=0.0, length=9, observation_space=spaces.Discrete(4, start=3))
        self.action_space = spaces.Discrete(3, start=5)

    def draw(self, space):
        return int(space.start + self.np_random.integers(space.n))

    def step(self, action):
        assert self.action_space.contains(int(action))
        return super().step(action)


def test_actions_and_observations_may_begin_anywhere():
    policy = DistralA2C([FromFive] * 2, policy_kwargs={"net_arch": [8]}).distilled_policy
    env = DistilledPriorReward(FromFive(), policy, 1.0, 1.0)
    observation, _ = env.reset(seed=0)
    for action in (5, 6, 7):
        expected = log_policy(policy, observation)[action - 5].detach()
        observation, reward, *_ = env.step(action)
        assert reward == pytest.approx(float(expected), rel=1e-5)


def test_algorithms_that_count_from_0_get_actions_from_elsewhere_by_a_wrapper():
    policy = DistralA2C([FromFive] * 2, policy_kwargs={"net_arch": [8]}).distilled_policy
    prior = DistilledPriorReward(FromFive(), policy)
    with refuses(r"actions [0] were taken", "Discrete(3, start=5)", "TransformAction"):
        prior.reset(seed=0)
        prior.step(0)
    A2C("MlpPolicy", TransformAction(prior, lambda action: action + 5, spaces.Discrete(3))).learn(20)
