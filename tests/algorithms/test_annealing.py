"""The prior's weight follows the schedule, wherever the prior is."""

import numpy as np
import pytest
from envs.messages import refuses
from integration.toys import Recorder, Toy
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from sb3_distral import AnnealPriorCallback, DistilledPriorReward, DistralA2C, VecDistilledPriorReward


@pytest.fixture(scope="module")
def prior():
    return DistralA2C([Toy] * 2, policy_kwargs={"net_arch": [8]}, seed=0, device="cpu").distilled_policy


def around(prior):
    return VecMonitor(VecDistilledPriorReward(DummyVecEnv([Toy] * 2), prior, 1.0, 0.1))


def inside(prior):
    return DummyVecEnv([lambda: DistilledPriorReward(Toy(), prior, 1.0, 0.1)] * 2)


def ppo(env):
    return PPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")


def added(recorder):
    """What the prior adds in each roll-out of 8 steps, a mean: a nearly uniform π0 gives about -10 log 2 α."""
    return np.mean(recorder.rewards, axis=1).reshape(-1, 8).mean(axis=1) - 1.0


@pytest.mark.parametrize("make", [around, inside])
def test_alpha_follows_the_remaining_progress(prior, make):
    recorder = Recorder()
    model = ppo(make(prior)).learn(64, [AnnealPriorCallback(LinearSchedule(1.0, 0.0, 0.75)), recorder])
    np.testing.assert_allclose(added(recorder), -10 * np.log(2) * np.array([1, 2 / 3, 1 / 3, 0]), rtol=0.1)
    again = Recorder()
    model.learn(64, [AnnealPriorCallback(LinearSchedule(1.0, 0.0, 0.75)), again])
    np.testing.assert_allclose(added(again)[0], added(recorder)[0], rtol=0.1, err_msg="a second training begins anew")
    assert added(again)[3] == 0.0


def test_algorithms_that_learn_off_policy_anneal_too(prior):
    recorder = Recorder()
    env = VecDistilledPriorReward(DummyVecEnv([Toy]), prior, 1.0, 0.1)
    model = DQN("MlpPolicy", env, learning_starts=4, seed=0, device="cpu")
    model.learn(64, [AnnealPriorCallback(lambda remaining: float(remaining > 0.5)), recorder])
    rewards = np.concatenate(recorder.rewards)
    assert (rewards[:32] < -1.0).all() and (rewards[32:] == 1.0).all()


def test_an_environment_without_prior_is_refused(prior):
    with refuses("no prior", "VecDistilledPriorReward"):
        ppo(DummyVecEnv([Toy])).learn(16, AnnealPriorCallback(lambda _: 0.5))


def test_alpha_out_of_range_is_refused(prior):
    with refuses("alpha=2.0", "[0, 1]"):
        ppo(around(prior)).learn(16, AnnealPriorCallback(lambda _: 2.0))
