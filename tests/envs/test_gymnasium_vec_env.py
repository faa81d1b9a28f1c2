"""Vector environments are step by step what their sub-environments are in a DummyVecEnv, whatever resets them."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from integration.toys import DICT_SPACE, Recorder, Toy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from sb3_distral import DistralA2C, make_task_vec_env
from sb3_distral.envs.gymnasium_vec_env import GymnasiumVecEnv, as_vec_env

from .messages import refuses

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Telling(Toy):
    """Episodes of several lengths, by an end or by the time limit, with infos about each step."""

    def step(self, action):
        observation, _, *rest, _ = super().step(action)
        return observation, float(action) + self.steps, *rest, {"n": self.steps, "more": {"twice": 2 * self.steps}}

    def reset(self, **arguments):
        observation, _ = super().reset(**arguments)
        return observation, {"begins": True}


MAKERS = [partial(Telling, length=2), partial(Telling, length=3, truncates=True), partial(Telling, length=5)]
DICTS = [partial(maker, observation_space=DICT_SPACE) for maker in MAKERS]


def assert_same(first, second):
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    else:
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("makers", [MAKERS, DICTS], ids=["array", "dict"])
@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_it_is_what_a_dummy_vec_env_is(mode, makers, kind):
    if kind is AsyncVectorEnv and makers is DICTS:
        pytest.skip("a process for each of many cases")
    own, expected = GymnasiumVecEnv(kind(makers, autoreset_mode=mode)), DummyVecEnv(makers)
    try:
        for venv in (own, expected):
            venv.seed(3)
        assert_same(own.reset(), expected.reset())
        assert own.reset_infos == expected.reset_infos
        actions = np.random.default_rng(0)
        for _ in range(12):
            action = actions.integers(2, size=3)
            (observations, rewards, dones, infos), (*others, other_infos) = own.step(action), expected.step(action)
            assert_same(observations, others[0])
            assert rewards.tolist() == others[1].tolist()
            assert dones.tolist() == others[2].tolist()
            for index, (info, other) in enumerate(zip(infos, other_infos, strict=True)):
                assert_same(info, other)
                assert own.reset_infos[index] == expected.reset_infos[index]
    finally:
        own.close()


def test_the_last_observation_reaches_the_bootstrap():
    """The same training as on a DummyVecEnv, whose time limits are bootstrapped."""
    rewards = []
    for make in (DummyVecEnv, partial(SyncVectorEnv, autoreset_mode=AutoresetMode.NEXT_STEP)):
        recorder = Recorder()
        tasks = {name: make([partial(Telling, length=3, truncates=True)] * 2) for name in "ab"}
        model = DistralA2C(tasks, policy_kwargs={"net_arch": [8]}, seed=0, device="cpu").learn(80, recorder)
        rewards.append((np.array(recorder.rewards), model.rollout_buffer.returns))
    np.testing.assert_array_equal(rewards[0][0], rewards[1][0])
    np.testing.assert_array_equal(rewards[0][1], rewards[1][1])


def test_tasks_in_mixed_forms_stand_side_by_side():
    tasks = {
        "id": "CartPole-v1",
        "callable": lambda: gym.make("CartPole-v1"),
        "environment": gym.make("CartPole-v1"),
        "VecEnv": DummyVecEnv([partial(gym.make, "CartPole-v1")] * 2),
        "vector": gym.make_vec("CartPole-v1", 3, vectorization_mode="sync"),
    }
    env = make_task_vec_env(tasks)
    assert env.task_names == list(tasks)
    assert np.bincount(env.tasks).tolist() == [1, 1, 1, 2, 3]
    DistralA2C(env, seed=0).learn(200)
    of_two = make_task_vec_env({"many": "CartPole-v1", "VecEnv": DummyVecEnv([partial(gym.make, "CartPole-v1")])}, 2)
    assert np.bincount(of_two.tasks).tolist() == [2, 1]


def test_one_that_holds_all_tasks_is_given_with_their_names():
    vector = SyncVectorEnv([partial(Telling, length=length) for length in (2, 4, 2)])
    env = make_task_vec_env(vector, task_names=["short", "long", "short"], seed=1)
    assert env.task_names == ["short", "long"]
    assert env.reset()["task"].tolist() == [0, 1, 0]
    assert isinstance(env.venv, VecMonitor)
    model = DistralA2C(env).learn(60)
    assert {name: own[-1]["l"] for name, own in model._task_episodes.items()} == {"short": 2, "long": 4}
    for given in (vector, [vector]):
        with refuses("2 task_names were given for", "a name for each of its sub-environments"):
            make_task_vec_env(given, task_names=["short", "long"])


class Stubborn(SyncVectorEnv):
    """Resets everything, whatever the mask says."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


def test_one_that_cannot_be_reset_in_part_is_refused():
    venv = as_vec_env(Stubborn(MAKERS))
    venv.reset()
    with refuses("sub-environments [0]", "has reset others too", "AutoresetMode.SAME_STEP"):
        for _ in range(2):
            venv.step(np.zeros(3, dtype=np.int64))


def test_the_same_vector_environment_in_two_tasks_is_refused():
    vector = SyncVectorEnv(MAKERS)
    with refuses("'a' and 'b' hold the same environment"):
        make_task_vec_env({"a": vector, "b": vector})


def test_envpool_gives_tasks_too():
    envpool = pytest.importorskip("envpool")
    venv = as_vec_env(envpool.make("CartPole-v1", env_type="gymnasium", num_envs=4, seed=0))
    assert isinstance(venv, VecMonitor)
    before, lengths = venv.reset(), []
    for _ in range(60):
        observations, rewards, dones, infos = venv.step(np.ones(4, dtype=np.int64))
        assert (rewards == 1.0).all(), "no step is spent on a reset"
        for index in np.flatnonzero(dones):
            assert np.abs(infos[index]["terminal_observation"] - before[index]).max() > 0.1
            assert np.abs(observations[index]).max() <= 0.05
            lengths.append(infos[index]["episode"]["l"])
        before = observations
    assert 8 <= np.mean(lengths) <= 11
    tasks = [envpool.make("CartPole-v1", env_type="gymnasium", num_envs=2, seed=seed) for seed in range(2)]
    model = DistralA2C(tasks, seed=0).learn(100)
    assert model.task_names == ["task-0", "task-1"]
