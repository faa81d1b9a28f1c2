import re
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import DistilledPriorReward, DistralA2C, RegularizedReward, make_task_vec_env

from .toys import DICT_SPACE, IMAGE_SPACE, Recorder, Toy

TASKS = {"poor": partial(Toy, reward=1.0, length=3), "rich": partial(Toy, reward=50.0, length=3)}


@pytest.fixture(scope="module")
def model():
    return DistralA2C(TASKS, alpha=0.5, beta=2.0, seed=0).learn(60)


def distilled_log_prob(model, observation, action):
    with th.no_grad():
        tensor, _ = model.distilled_policy.obs_to_tensor(observation)
        return float(model.distilled_policy.get_distribution(tensor).log_prob(th.as_tensor(action)))


# While training


def test_the_tasks_own_reward_stays_in_info_and_in_the_monitors_returns():
    recorder = Recorder()
    DistralA2C(TASKS, alpha=0.5, beta=0.1, n_envs_per_task=2).learn(60, recorder)
    own = [[info["task_reward"] for info in infos] for infos in recorder.infos]
    assert own == [[1.0, 1.0, 50.0, 50.0]] * len(own)
    returns = [[info["episode"]["r"] for info in infos] for infos in recorder.infos if "episode" in infos[0]]
    assert returns and all(row == [3.0, 3.0, 150.0, 150.0] for row in returns)
    assert not np.allclose(recorder.rewards, own)


def test_the_algorithm_sees_the_reward_plus_the_regularizer():
    recorder = Recorder()
    model = DistralA2C(TASKS, alpha=0.3, beta=4.0, n_steps=2)
    seen = []

    def watch(local_variables, global_variables):
        obs, actions = local_variables["obs_tensor"], th.as_tensor(local_variables["actions"])
        with th.no_grad():
            task = model.policy.get_distribution(obs).log_prob(actions)
            distilled = model.distilled_policy.get_distribution(obs["obs"]).log_prob(actions)
        seen.append((0.3 / 4.0 * distilled - task / 4.0).numpy())
        return True

    model.learn(40, [recorder, watch])
    expected = np.array([1.0, 50.0]) + np.array(seen)
    np.testing.assert_allclose(np.array(recorder.rewards), expected, rtol=1e-6, atol=1e-6)
    assert np.abs(seen).max() > 0.01


def test_infinite_beta_leaves_rewards_alone():
    recorder = Recorder()
    DistralA2C(TASKS, beta=float("inf")).learn(30, recorder)
    assert np.array(recorder.rewards).tolist() == [[1.0, 50.0]] * len(recorder.rewards)


def test_costs_given_by_task_reach_their_own_sub_environments():
    recorder = Recorder()
    beta = {"rich": float("inf"), "poor": 0.5}
    DistralA2C(TASKS, alpha=0.0, beta=beta, n_envs_per_task=2).learn(40, recorder)
    rewards = np.array(recorder.rewards)
    assert (rewards[:, 2:] == 50.0).all()
    assert (rewards[:, :2] > 1.0).all()


def test_regularized_reward_wants_an_environment_with_tasks():
    with pytest.raises(ValueError, match=r"holds no tasks. Make it with make_task_vec_env"):
        RegularizedReward(DummyVecEnv([Toy]))


def test_evaluating_while_training_does_not_change_the_rewards_of_the_training():
    """The wrapper uses the forward pass that chose the action; a prediction in a callback must not come between."""
    recorders = Recorder(), Recorder()
    for recorder in recorders:
        model = DistralA2C(TASKS, alpha=0.5, beta=0.5, seed=1)
        other = make_task_vec_env(TASKS, n_envs_per_task=3)

        def peek(local_variables, global_variables, model=model, other=other):
            model.predict(other.reset(), deterministic=True)
            model.task_policy(0)
            return True

        model.learn(50, [recorder] if recorder is recorders[0] else [peek, recorder])
    assert np.array_equal(recorders[0].rewards, recorders[1].rewards)


# As a prior for other algorithms


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 2.0), (1.0, 10.0), (0.25, 0.1)])
def test_the_prior_is_exactly_alpha_over_beta_log_pi0(model, alpha, beta):
    env = DistilledPriorReward(Toy(reward=5.0), model.distilled_policy, alpha, beta)
    observation, _ = env.reset(seed=0)
    for action in (0, 1, np.int64(1)):
        expected = 5.0 + alpha / beta * distilled_log_prob(model, observation, action)
        observation, reward, _, _, info = env.step(action)
        assert reward == pytest.approx(expected, rel=1e-6)
        assert isinstance(reward, float)
        assert info["task_reward"] == 5.0


def test_the_prior_speaks_of_the_state_in_which_the_action_was_taken(model):
    """Not of the next state, nor of the first one of the episode."""
    env = DistilledPriorReward(Toy(reward=0.0, length=3), model.distilled_policy, 1.0, 1.0)
    before, _ = env.reset(seed=3)
    for _ in range(3):
        after, reward, _, _, _ = env.step(1)
        assert reward == pytest.approx(distilled_log_prob(model, before, 1), rel=1e-6)
        assert reward != pytest.approx(distilled_log_prob(model, after, 1), rel=1e-6)
        before = after
    before, _ = env.reset()
    assert env.step(0)[1] == pytest.approx(distilled_log_prob(model, before, 0), rel=1e-6)


def test_without_regularization_the_prior_is_nothing(model):
    env = DistilledPriorReward(Toy(reward=2.0), model.distilled_policy, beta=float("inf"))
    env.reset(seed=0)
    assert env.step(0)[1] == 2.0


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN])
def test_any_algorithm_learns_a_new_task_with_the_prior(model, algorithm):
    before = {name: value.clone() for name, value in model.distilled_policy.state_dict().items()}
    recorder = Recorder()
    env = DistilledPriorReward(Monitor(Toy(reward=1.0)), model.distilled_policy)
    arguments = {"n_steps": 16, "batch_size": 16} if algorithm is PPO else {}
    new = algorithm("MlpPolicy", env, **arguments).learn(32, recorder)
    assert [info["episode"]["r"] for infos in recorder.infos for info in infos if "episode" in info] == [4.0] * 8
    assert new.predict(Toy().reset(seed=0)[0])[0] in (0, 1)
    for name, value in model.distilled_policy.state_dict().items():
        assert th.equal(value, before[name]), "the distilled policy is a fixed prior"


def test_the_one_liner_of_the_readme_runs(model):
    PPO("MlpPolicy", DistilledPriorReward(Toy(), model.distilled_policy), n_steps=16, batch_size=16).learn(16)


@pytest.mark.parametrize("space", [IMAGE_SPACE, DICT_SPACE])
def test_the_prior_works_on_images_and_dicts(space):
    make = partial(Toy, observation_space=space)
    model = DistralA2C([make, make], policy_kwargs={"net_arch": [8]})
    env = DistilledPriorReward(make(), model.distilled_policy, 1.0, 1.0)
    observation, _ = env.reset(seed=0)
    assert env.step(1)[1] == pytest.approx(1.0 + distilled_log_prob(model, observation, 1), rel=1e-6)
    policy = "CnnPolicy" if space is IMAGE_SPACE else "MultiInputPolicy"
    PPO(policy, env, n_steps=8, batch_size=8, n_epochs=1, policy_kwargs={"net_arch": [8]}).learn(8)


def test_a_saved_distilled_policy_serves_as_prior(model, tmp_path):
    model.distilled_policy.save(tmp_path / "prior")
    loaded = type(model.distilled_policy).load(tmp_path / "prior")
    rewards = []
    for policy in (model.distilled_policy, loaded):
        env = DistilledPriorReward(Toy(), policy)
        env.reset(seed=0)
        rewards.append(env.step(1)[1])
    assert rewards[0] == rewards[1]


def test_the_prior_wraps_environments_made_from_ids():
    model = DistralA2C(["CartPole-v1", "CartPole-v1"])
    env = DistilledPriorReward(gym.make("CartPole-v1"), model.distilled_policy, 1.0, 1.0)
    env.reset(seed=0)
    assert env.step(0)[1] < 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, r"alpha=1.5 was given for task 'new task', but .* lies in \[0, 1\]"),
        ({"beta": 0.0}, r"beta=0.0 was given for task 'new task', but .* is positive"),
        ({"beta": float("nan")}, r"beta=nan was given"),
    ],
)
def test_coefficients_of_the_prior_out_of_range_are_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        DistilledPriorReward(Toy(), model.distilled_policy, **arguments)


def test_a_prior_over_other_actions_is_refused(model):
    own, other = (re.escape(str(gym.spaces.Discrete(n))) for n in (4, 2))
    with pytest.raises(ValueError, match=f"actions are {own}, those of the distilled policy are {other}"):
        DistilledPriorReward(Toy(n_actions=4), model.distilled_policy)


def test_a_prior_over_other_observations_is_refused(model):
    with pytest.raises(ValueError, match=r"observations"):
        DistilledPriorReward(Toy(size=7), model.distilled_policy)


@pytest.mark.parametrize(
    ("trained", "given"),
    [
        (gym.spaces.Discrete(4), gym.spaces.Discrete(9)),
        (gym.spaces.Dict(a=gym.spaces.Box(0, 1, (2,))), gym.spaces.Dict(a=gym.spaces.Box(0, 1, (3,)))),
    ],
)
def test_a_prior_compares_every_part_of_the_observations(trained, given):
    distilled_policy = DistralA2C([partial(Toy, observation_space=trained)]).distilled_policy
    DistilledPriorReward(Toy(observation_space=trained), distilled_policy)
    with pytest.raises(ValueError, match=r"observations are .* Wrap the environment"):
        DistilledPriorReward(Toy(observation_space=given), distilled_policy)
