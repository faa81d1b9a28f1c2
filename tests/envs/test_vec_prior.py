"""The prior of many environments, row by row that of one."""

from functools import partial

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import randomize
from integration.toys import DICT_SPACE, IMAGE_SPACE, Recorder, Toy
from recurrent_helpers import CueTask, recurrent
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from sb3_distral import DistilledPriorReward, DistralA2C, VecDistilledPriorReward

from .messages import refuses

N_ENVS = 3
STEPS = 11


class Acting(Toy):
    """Actions of any space, drawn rewards, time limits."""

    def __init__(self, action_space=None, length=4, **arguments):
        super().__init__(reward=None, length=length, truncates=True, **arguments)
        self.action_space = action_space or self.action_space


class Masked(Acting):
    """Which action is not valid depends on the step, which differs between environments of other lengths."""

    def action_masks(self):
        return np.arange(self.action_space.n) != self.steps


def prior_of(make, **arguments):
    model = DistralA2C([make] * 2, policy_kwargs={"net_arch": [8]}, device="cpu", **arguments)
    randomize(model.policy)
    return model.distilled_policy


def numbers(venv, choose):
    """Everything that a few steps give; environments are seeded alike."""
    venv.seed(5)
    for index in range(N_ENVS):
        venv.env_method("get_wrapper_attr", "action_space", indices=index)[0].seed(index)
    seen = [venv.reset()]
    for _ in range(STEPS):
        observations, rewards, dones, infos = venv.step(np.array([choose(venv, index) for index in range(N_ENVS)]))
        own = [info["task_reward"] for info in infos]
        seen.append((observations, rewards, dones, own, [info.get("terminal_observation") for info in infos]))
    return seen


def sampled(venv, index):
    return venv.env_method("get_wrapper_attr", "action_space", indices=index)[0].sample()


def valid(venv, index):
    return int(np.flatnonzero(venv.env_method("action_masks", indices=index)[0])[-1])


def assert_as_one_by_one(makes, policy, choose=sampled, tolerance=2e-5):
    costs = {"alpha": 0.6, "beta": 0.2}
    together = numbers(VecDistilledPriorReward(DummyVecEnv(makes), policy, **costs), choose)
    single = [lambda make=make: DistilledPriorReward(make(), policy, **costs) for make in makes]
    one_by_one = numbers(DummyVecEnv(single), choose)
    np.testing.assert_equal(together[0], one_by_one[0])
    for step, expected in zip(together[1:], one_by_one[1:], strict=True):
        np.testing.assert_allclose(step[1], expected[1], rtol=tolerance, atol=tolerance)
        assert np.abs(step[1] - step[3]).min() > 1e-3, "the prior is felt"
        np.testing.assert_allclose(step[3], expected[3], rtol=1e-6)
        for kept in (0, 2, 4):
            np.testing.assert_equal(step[kept], expected[kept])
    assert any(step[2].any() for step in together[1:])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4),
        spaces.Discrete(3, start=2),
        spaces.Box(-1.0, 1.0, (2,), np.float32),
        spaces.Box(-1.0, 1.0, (2, 2), np.float32),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(3),
    ],
    ids=str,
)
def test_rewards_are_those_of_each_environment_alone(space):
    make = partial(Acting, space)
    assert_as_one_by_one([make, partial(Acting, space, length=3), make], prior_of(make))


@pytest.mark.parametrize("space", [DICT_SPACE, IMAGE_SPACE], ids=["dict", "image"])
def test_observations_may_be_dicts_and_images(space):
    make = partial(Acting, observation_space=space)
    # Convolutions of one image are rounded in another way than those of three.
    assert_as_one_by_one([make] * N_ENVS, prior_of(make), tolerance=1e-3)


def test_a_recurrent_prior_remembers_the_episode_of_each_environment():
    prior = recurrent([CueTask] * 2).distilled_policy
    assert_as_one_by_one([CueTask, partial(CueTask, delay=1), CueTask], prior)


def test_a_reset_begins_all_episodes_anew():
    venv = VecDistilledPriorReward(DummyVecEnv([CueTask]), recurrent([CueTask] * 2).distilled_policy, 1.0, 1.0)
    rewards = []
    for _ in range(2):
        venv.seed(1)
        venv.reset()
        rewards.append([float(venv.step(np.array([0]))[1][0]) for _ in range(2)])
    assert rewards[0] == rewards[1]


@pytest.mark.parametrize("n_actions", [4, 3])
def test_the_prior_is_among_the_actions_that_are_valid_in_each_environment(n_actions):
    prior = prior_of(partial(Acting, n_actions=4))
    makes = [partial(Masked, n_actions=n_actions, length=length) for length in (2, 3, 3)]
    assert_as_one_by_one(makes, prior, valid)


def test_environments_of_fewer_actions_have_the_prior_among_these():
    assert_as_one_by_one([partial(Acting, n_actions=3)] * N_ENVS, prior_of(partial(Acting, n_actions=4)))


def test_an_action_that_is_not_valid_in_one_environment_is_refused():
    venv = VecDistilledPriorReward(DummyVecEnv([Masked, Masked]), prior_of(partial(Acting, n_actions=2)))
    venv.reset()
    with refuses("action 0 was taken", "action_masks()", "MaskablePPO"):
        venv.step(np.array([1, 0]))


def test_other_spaces_are_refused():
    prior = prior_of(Acting)
    with refuses("environment's actions are Discrete(5)", "Discrete(2)"):
        VecDistilledPriorReward(DummyVecEnv([partial(Acting, n_actions=5)]), prior)
    with refuses("environment's observations are", "(7,)", "(3,)"):
        VecDistilledPriorReward(DummyVecEnv([partial(Acting, size=7)]), prior)


@pytest.mark.parametrize("wrapper", [VecDistilledPriorReward, DistilledPriorReward])
def test_alpha_may_change_and_0_means_no_prior_and_no_forward_pass(wrapper, monkeypatch):
    make = partial(Acting, length=99, observation_space=spaces.Box(0.5, 0.5, (3,)))
    prior = prior_of(make)
    one = wrapper is DistilledPriorReward
    env = wrapper(make() if one else DummyVecEnv([make]), prior, 1.0, 0.5)
    env.reset()

    def added():
        _, reward, *_, info = env.step(1 if one else np.array([1]))
        return float(reward if one else reward[0]) - (info if one else info[0])["task_reward"]

    distribution = prior.get_distribution(th.full((1, 3), 0.5))
    log_prob = float(distribution.log_prob(th.tensor([1])).detach())
    assert added() == pytest.approx(2.0 * log_prob, rel=1e-4)
    env.set_alpha(0.25)
    assert added() == pytest.approx(0.5 * log_prob, rel=1e-4)
    env.set_alpha(0.0)
    monkeypatch.setattr(prior, "action_net", None)
    assert added() == 0.0
    with refuses("alpha=1.5", "[0, 1]"):
        env.set_alpha(1.5)


def test_a_recurrent_prior_without_weight_remembers_all_the_same():
    prior = recurrent([CueTask] * 2).distilled_policy
    added = []
    for first_alpha in (1.0, 0.0):
        venv = VecDistilledPriorReward(DummyVecEnv([CueTask]), prior, first_alpha, 1.0)
        venv.seed(1)
        venv.reset()
        first = venv.step(np.array([1]))[1]
        venv.set_alpha(1.0)
        added.append((float(first[0]), float(venv.step(np.array([1]))[1][0])))
    assert added[1][0] == 0.0 and added[0][0] < -1e-3
    assert added[0][1] == added[1][1]


@pytest.mark.parametrize(
    ("algorithm", "policy", "arguments"),
    [
        (PPO, "MlpPolicy", {"n_steps": 16, "batch_size": 16}),
        (A2C, "MlpPolicy", {}),
        (DQN, "MlpPolicy", {"learning_starts": 8}),
        (RecurrentPPO, "MlpLstmPolicy", {"n_steps": 16, "batch_size": 16}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_any_algorithm_learns_a_new_task_with_the_prior(algorithm, policy, arguments):
    prior = prior_of(Toy)
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    recorder = Recorder()
    venv = VecDistilledPriorReward(DummyVecEnv([Toy] * N_ENVS), prior, 0.5, 1.0)
    algorithm(policy, venv, seed=0, device="cpu", **arguments).learn(96, recorder)
    assert recorder.rewards and all((rewards < 1.0).all() for rewards in recorder.rewards)
    assert {info["task_reward"] for infos in recorder.infos for info in infos} == {1.0}
    assert all(th.equal(value, before[name]) for name, value in prior.state_dict().items())


def test_algorithms_that_know_masks_ask_through_the_prior():
    venv = VecDistilledPriorReward(DummyVecEnv([Masked] * N_ENVS), prior_of(partial(Acting, n_actions=2)))
    MaskablePPO("MlpPolicy", venv, n_steps=8, batch_size=8, n_epochs=1, device="cpu").learn(24)


@pytest.mark.slow
def test_environments_in_processes_have_the_same_prior():
    prior = prior_of(partial(Acting, n_actions=4))
    rewards = []
    for vec_env_cls in (DummyVecEnv, SubprocVecEnv):
        venv = VecDistilledPriorReward(vec_env_cls([partial(Masked, n_actions=4)] * 2), prior, 1.0, 1.0)
        venv.seed(0)
        venv.reset()
        rewards.append(venv.step(np.array([1, 2]))[1])
        venv.close()
    np.testing.assert_array_equal(*rewards)
    assert rewards[0].dtype == rewards[1].dtype == np.float32
