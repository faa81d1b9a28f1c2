"""π0 carries the statistics of its training to where observations are as the environments make them."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import randomize
from integration.toys import DICT_SPACE, Toy
from recurrent_helpers import recurrent
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from sb3_distral import (
    DistilledPriorReward,
    DistralA2C,
    VecDistilledPriorReward,
    load_policy,
    make_task_vec_env,
    normalize_as_trained,
    save_policy,
)

from .messages import refuses

FAR = spaces.Box(40.0, 90.0, (3,), np.float32)
Far = partial(Toy, observation_space=FAR, reward=0.0)
Dictionary = partial(Toy, observation_space=DICT_SPACE, reward=0.0)
KEYS = {Far: ["obs"], Dictionary: ["near"]}


def normalized(make, keys=None, **arguments):
    return VecNormalize(make_task_vec_env([make] * 2), norm_obs_keys=keys or KEYS[make], clip_obs=1.5, **arguments)


def trained(make=Far, **arguments):
    model = DistralA2C(normalized(make, **arguments), policy_kwargs={"net_arch": [8]}, seed=0, device="cpu").learn(40)
    randomize(model.policy)
    return model


def as_trained(model, observation, key):
    """A row of the plain observation, normalised by Stable-Baselines3."""
    layer, space = model.get_vec_normalize_env(), model.observation_space
    padded = {name: np.zeros((2, *own.shape)) for name, own in space.items()}
    row = layer.normalize_obs({**padded, key: np.stack([observation] * 2)})[key][0]
    assert not np.allclose(row, observation)
    return row


@pytest.mark.parametrize("wrapper", ["one", "many"])
def test_the_prior_normalises_as_the_training_did(wrapper):
    model = trained()
    prior = model.distilled_policy
    for seed in range(3):
        if wrapper == "one":
            env = DistilledPriorReward(Far(), prior, 1.0, 1.0)
            observation = env.reset(seed=seed)[0]
            reward = env.step(1)[1]
        else:
            env = VecDistilledPriorReward(DummyVecEnv([Far]), prior, 1.0, 1.0)
            env.seed(seed)
            observation = env.reset()[0]
            reward = env.step(np.array([1]))[1][0]
        assert FAR.contains(observation), "what the learner sees stays as it is"
        seen = th.as_tensor(as_trained(model, observation, "obs")[None])
        expected = prior.get_distribution(seen).log_prob(th.tensor([1]))
        assert float(reward) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_keys_of_dicts_that_were_not_normalised_are_not():
    model = trained(Dictionary)
    prior = model.distilled_policy
    env = DistilledPriorReward(Dictionary(), prior, 1.0, 1.0)
    observation, _ = env.reset(seed=0)
    row = {"far": observation["far"], "near": as_trained(model, observation["near"], "near")}
    seen = {key: th.as_tensor(value[None]) for key, value in row.items()}
    expected = float(prior.get_distribution(seen).log_prob(th.tensor([0])).detach())
    assert env.step(0)[1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make", [Far, Dictionary], ids=["vector", "dict"])
def test_a_new_task_is_normalised_as_the_training_and_its_statistics_stay(make):
    model = trained(make)
    venv = normalize_as_trained(DummyVecEnv([make]), model.distilled_policy)
    raw = DummyVecEnv([make])
    for env in (venv, raw):
        env.seed(1)
    observations, raw_observations = venv.reset(), raw.reset()
    (key,) = KEYS[make]
    rows = observations if make is Far else observations[key]
    raw_rows = raw_observations if make is Far else raw_observations[key]
    for _ in range(9):
        np.testing.assert_allclose(rows[0], as_trained(model, raw_rows[0], key), rtol=1e-6)
        (observations, rewards, *_), (raw_observations, *_) = venv.step(np.array([0])), raw.step(np.array([0]))
        rows = observations if make is Far else observations[key]
        raw_rows = raw_observations if make is Far else raw_observations[key]
        assert rewards[0] == 0.0


def test_statistics_of_a_policy_are_those_of_the_time_when_it_was_asked_for():
    model = trained()
    before = model.distilled_policy.observation_normalization.statistics["obs"]
    count = before.count
    model.learn(20)
    assert before.count == count < model.distilled_policy.observation_normalization.statistics["obs"].count


@pytest.mark.parametrize("route", ["policy alone", "model without env", "model with env"])
def test_statistics_are_saved_along(tmp_path, route):
    model = trained()
    if route == "policy alone":
        model.distilled_policy.save(tmp_path / "file")
        loaded = type(model.distilled_policy).load(tmp_path / "file")
    else:
        model.save(tmp_path / "file.zip")
        env = normalized(Far) if route == "model with env" else None
        loaded = DistralA2C.load(tmp_path / "file.zip", env=env, device="cpu").distilled_policy
    rewards = []
    for policy in (model.distilled_policy, loaded):
        env = DistilledPriorReward(Far(), policy, 1.0, 1.0)
        env.reset(seed=0)
        rewards.append(env.step(1)[1])
    assert rewards[0] == rewards[1]


def test_a_recurrent_policy_keeps_them_too(tmp_path):
    model = recurrent(normalized(Far))
    model.learn(12)
    prior = model.distilled_policy
    prior.save(tmp_path / "file")
    loaded = type(prior).load(tmp_path / "file").observation_normalization
    assert loaded.statistics["obs"].count == prior.observation_normalization.statistics["obs"].count


@pytest.mark.parametrize(
    "make_env",
    [
        lambda: [Far, Far],
        lambda: normalized(Far, norm_obs=False),
        lambda: {"a": VecNormalize(DummyVecEnv([Far])), "b": DummyVecEnv([Far])},
    ],
    ids=["none", "rewards alone", "one task alone"],
)
def test_where_there_are_no_common_statistics_observations_are_taken_as_they_are(make_env):
    prior = DistralA2C(make_env()).distilled_policy
    assert prior.observation_normalization is None
    venv = DummyVecEnv([Far])
    assert normalize_as_trained(venv, prior) is venv
    VecDistilledPriorReward(VecNormalize(venv), prior)


def test_normalising_twice_is_refused():
    prior = trained().distilled_policy
    venv = VecNormalize(DummyVecEnv([Far]))
    for wrap in (VecDistilledPriorReward, normalize_as_trained):
        with refuses("in a VecNormalize that normalises observations", "VecNormalize(VecDistilledPriorReward("):
            wrap(venv, prior)
    VecDistilledPriorReward(VecNormalize(DummyVecEnv([Far]), norm_obs=False), prior)
    VecNormalize(VecDistilledPriorReward(DummyVecEnv([Far]), prior)).reset()


def test_other_observations_are_refused():
    prior = trained().distilled_policy
    with refuses("(7,)", "'obs': (3,)", "Wrap the environment"):
        normalize_as_trained(DummyVecEnv([partial(Toy, size=7)]), prior)


def test_statistics_of_observations_before_they_were_stacked_are_refused():
    prior = DistralA2C(VecFrameStack(normalized(Far), 2)).distilled_policy
    with refuses("(6,)", "'obs': (3,)", "VecFrameStack"):
        DistilledPriorReward(Toy(size=6), prior)


def test_cart_pole_by_the_statistics_of_its_training_is_cart_pole():
    """Acting as π0 on a new environment is acting on the training environment."""
    env = VecNormalize(make_task_vec_env(["CartPole-v1"] * 2), norm_obs_keys=["obs"])
    model = DistralA2C(env, seed=0, device="cpu").learn(100)
    new = normalize_as_trained(DummyVecEnv([lambda: gym.make("CartPole-v1")]), model.distilled_policy)
    new.seed(4)
    row = new.reset()
    actions, _ = model.predict(row, deterministic=True)
    plain = new.get_original_obs()
    normalised = model.get_vec_normalize_env().normalize_obs({"obs": plain, "task": np.zeros(1)})
    assert actions == model.distilled_policy.predict(normalised["obs"], deterministic=True)[0]
    np.testing.assert_allclose(row, normalised["obs"], rtol=1e-6)


def each_its_own(means=(40.0, 80.0)):
    """Tasks around numbers of their own, with statistics of their own."""
    spaces_of = {mean: spaces.Box(mean, mean + 1.0, (3,), np.float32) for mean in means}
    return {
        f"at {mean}": VecNormalize(DummyVecEnv([partial(Toy, observation_space=space)]))
        for mean, space in spaces_of.items()
    }


def test_statistics_of_single_tasks_are_pooled(tmp_path):
    tasks = each_its_own()
    model = DistralA2C(tasks, policy_kwargs={"net_arch": [8]}, seed=0).learn(400)
    seen = [layer.obs_rms for layer in tasks.values()]
    pool = model.distilled_policy.observation_normalization
    assert pool.is_pooled
    np.testing.assert_allclose(pool.statistics["obs"].mean, (seen[0].mean + seen[1].mean) / 2, rtol=1e-3)
    np.testing.assert_allclose(pool.statistics["obs"].var, 20.0**2, rtol=0.05)
    save_policy(model.distilled_policy, tmp_path / "policy.zip")
    assert load_policy(tmp_path / "policy.zip").observation_normalization.is_pooled
    new = normalize_as_trained(DummyVecEnv([Far]), model.distilled_policy)
    np.testing.assert_array_equal(new.obs_rms.mean, pool.statistics["obs"].mean)


def test_a_new_task_may_have_statistics_of_its_own_where_each_of_the_training_had():
    prior = DistralA2C(each_its_own(), policy_kwargs={"net_arch": [8]}, seed=0).learn(40).distilled_policy
    venv = VecNormalize(DummyVecEnv([Far]))
    assert normalize_as_trained(venv, prior) is venv
    assert VecDistilledPriorReward(venv, prior)._prior.normalization is None


@pytest.mark.parametrize("make", [normalized, each_its_own], ids=["around all", "each its own"])
def test_new_tasks_that_begin_with_a_distilled_policy_are_normalised_as_its_training_was(make):
    tasks = make(Far) if make is normalized else make()
    prior = DistralA2C(tasks, policy_kwargs={"net_arch": [8]}).learn(40).distilled_policy
    with refuses("observations that VecNormalize normalised", "as they are", "normalize_as_trained"):
        DistralA2C([Far], distilled_policy=prior)
    env = normalize_as_trained(make_task_vec_env([Far]), prior)
    model = DistralA2C(env, distilled_policy=prior).learn(20)
    known = prior.observation_normalization.statistics["obs"]
    np.testing.assert_array_equal(env.obs_rms["obs"].mean, known.mean)
    assert np.abs(model.rollout_buffer.observations["obs"]).max() < 10.0


def test_vec_normalize_around_tasks_normalises_what_they_show():
    env = VecNormalize(make_task_vec_env([Dictionary]))
    assert sorted(env.norm_obs_keys) == sorted(DICT_SPACE)
    env.reset()
    assert env.step(np.zeros(1, dtype=np.int64))[0]["task"].tolist() == [0]
    discrete = make_task_vec_env([partial(Counting)])
    for tasks, keys, advice in (
        (make_task_vec_env([Far]), ["observation"], "expected keys out of ['obs']"),
        (make_task_vec_env([Far]), ["task"], "Leave norm_obs_keys out, which takes all of them"),
        (discrete, None, "Leave norm_obs_keys out and give norm_obs=False"),
    ):
        with refuses(f"norm_obs_keys={keys}", advice):
            VecNormalize(tasks, norm_obs_keys=keys)


class Counting(Toy):
    def __init__(self):
        super().__init__(observation_space=spaces.Discrete(3))

    def draw(self, space):
        return 0
