"""Evaluations while training and after it, of the suites too."""

import copy
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import (
    EvalCallback,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3_distral.tasks
from sb3_distral import DistralA2C, TaskEvalCallback, evaluate_tasks, make_task_vec_env

from .toys import DICT_SPACE, TASKS, Chooser, Recorder, Toy, logged


def prefer(model, distilled, *tasks):
    """Make π0 and the task policies certain of one action each, by way of the public parameters."""
    parameters = copy.deepcopy(model.get_parameters())
    names = [name for name, value in parameters["policy"].items() if value.numel() == 3 * len(tasks) and "bias" in name]
    assert len(names) == 1, "the biases of all task columns' actions, stacked"
    parameters["policy"][names[0]].view(len(tasks), 3)[range(len(tasks)), tasks] = 1000.0
    parameters["policy"]["distilled_policy.action_net.bias"][distilled] = 1000.0
    model.set_parameters(parameters)


@pytest.fixture
def decided():
    model = DistralA2C([Chooser, Chooser], architecture="one_column")
    prefer(model, 2, 0, 1)
    return model


def test_evaluate_policy_on_a_plain_environment_uses_the_distilled_policy(decided):
    assert evaluate_policy(decided, Monitor(Chooser()), 4, return_episode_rewards=True)[0] == [2.0] * 4
    assert evaluate_policy(decided, DummyVecEnv([lambda: Monitor(Chooser())] * 2), 4)[0] == 2.0
    assert evaluate_policy(decided.distilled_policy, Monitor(Chooser()), 4)[0] == 2.0


def test_evaluate_policy_on_tasks_uses_each_tasks_policy(decided):
    assert sorted(evaluate_policy(decided, decided.get_env(), 4, return_episode_rewards=True)[0]) == [0, 0, 1, 1]
    for task in range(2):
        assert evaluate_policy(decided.task_policy(task), Monitor(Chooser()), 3)[0] == task


class Lives(gym.Wrapper):
    """A life is lost in every second step, and the episode below goes on."""

    observation, goes_on, steps = None, False, 0

    def reset(self, **arguments):
        return (self.observation, {}) if self.goes_on else self.env.reset(**arguments)

    def step(self, action):
        self.observation, reward, terminated, truncated, info = self.env.step(action)
        self.goes_on, self.steps = not terminated, self.steps + 1
        return self.observation, reward, terminated or self.steps % 2 == 0, truncated, info


def test_a_lost_life_is_no_end_of_an_episode():
    env = make_task_vec_env({"lives": lambda: Lives(Monitor(Toy(reward=1.0, length=6)))})
    assert evaluate_tasks(DistralA2C(env), env, 2) == {"lives": [6.0, 6.0]}


def test_task_eval_callback_keeps_the_returns_of_each_task_and_of_the_distilled_policy(decided):
    decided.learning_rate, decided.lr_schedule = 0.0, lambda _: 0.0
    callback = TaskEvalCallback(make_task_vec_env([Chooser, Chooser], 2), n_eval_episodes=3, eval_freq=10)
    recorder = Recorder()
    decided.learn(40, [callback, recorder])
    assert [result["timesteps"] for result in callback.results] == [20, 40]
    assert callback.results[0]["tasks"] == {"task-0": [0.0] * 4, "task-1": [1.0] * 4}
    assert callback.results[0]["distilled"] == {"task-0": [2.0] * 4, "task-1": [2.0] * 4}


def test_task_eval_callback_logs_means_by_task(decided, tmp_path):
    decided.learning_rate, decided.lr_schedule = 0.0, lambda _: 0.0
    decided.set_logger(configure(str(tmp_path), ["json"]))
    decided.learn(10, TaskEvalCallback(make_task_vec_env([Chooser, Chooser]), 2, 5))
    decided.logger.close()
    log = (tmp_path / "progress.json").read_text()
    for entry in (
        '"eval/task-0/mean_reward": 0.0',
        '"eval/task-1/mean_reward": 1.0',
        '"eval/mean_reward": 0.5',
        '"eval/task-0/distilled_mean_reward": 2.0',
        '"eval/distilled_mean_reward": 2.0',
        '"time/total_timesteps": 10',
    ):
        assert entry in log


def test_task_eval_callback_measures_the_tasks_own_reward_under_vec_normalize():
    def wrapped(training):
        env = VecNormalize(make_task_vec_env([Chooser, Chooser]), norm_obs_keys=["obs"], training=training)
        env.norm_reward = training
        return env

    callback = TaskEvalCallback(wrapped(False), n_eval_episodes=2, eval_freq=10)
    model = DistralA2C(wrapped(True), architecture="one_column", learning_rate=0.0)
    prefer(model, 2, 0, 1)
    model.learn(20, callback)
    assert callback.results[0]["tasks"] == {"task-0": [0.0] * 2, "task-1": [1.0] * 2}


def test_task_eval_callback_sees_observations_normalized_as_in_training():
    """As Stable-Baselines3's EvalCallback does; else the policies act on observations of another scale."""
    training_env = VecNormalize(make_task_vec_env([Shifted, Shifted]), norm_obs_keys=["obs"])
    eval_env = VecNormalize(make_task_vec_env([Shifted, Shifted]), training=False, norm_obs_keys=["obs"])
    DistralA2C(training_env).learn(100, TaskEvalCallback(eval_env, n_eval_episodes=1, eval_freq=50))
    assert training_env.obs_rms["obs"].mean.mean() == pytest.approx(1000.0, rel=0.2)
    np.testing.assert_allclose(eval_env.obs_rms["obs"].mean, training_env.obs_rms["obs"].mean)


class Shifted(Toy):
    """Observations around 1000, which nothing but a running mean brings to 0."""

    def __init__(self):
        super().__init__(observation_space=gym.spaces.Box(0.0, 2000.0, (3,), np.float32))

    def draw(self, space):
        return (1000 + self.np_random.normal(size=3)).astype(np.float32)


def test_eval_callback_on_tasks_saves_a_best_model_and_its_log(task_env, tmp_path):
    eval_env = make_task_vec_env(TASKS)
    callback = EvalCallback(
        eval_env, eval_freq=20, n_eval_episodes=2, best_model_save_path=str(tmp_path), log_path=str(tmp_path), verbose=0
    )
    DistralA2C(task_env, beta=0.1).learn(160, callback)
    results = np.load(tmp_path / "evaluations.npz")
    assert results["timesteps"].tolist() == [80, 160]
    assert np.sort(results["results"]).tolist() == [[3.0, 500.0]] * 2, "the tasks' own returns, not regularized"
    assert DistralA2C.load(tmp_path / "best_model").task_names == ["poor", "rich"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # that the two environments are of different types
def test_eval_callback_on_a_plain_environment_evaluates_the_distilled_policy(decided):
    decided.lr_schedule = lambda _: 0.0
    callback = EvalCallback(DummyVecEnv([lambda: Monitor(Chooser())]), eval_freq=5, n_eval_episodes=2, verbose=0)
    decided.learn(20, callback)
    assert callback.last_mean_reward == 2.0


def test_eval_callback_with_vec_normalize_synchronizes_the_statistics():
    training_env = VecNormalize(make_task_vec_env([Shifted, Shifted]), norm_obs_keys=["obs"])
    eval_env = VecNormalize(make_task_vec_env([Shifted, Shifted]), training=False, norm_obs_keys=["obs"])
    model = DistralA2C(training_env)
    assert model.get_env() is training_env
    assert model.get_vec_normalize_env() is training_env
    model.learn(100, EvalCallback(eval_env, eval_freq=50, n_eval_episodes=2, verbose=0, warn=False))
    np.testing.assert_allclose(eval_env.obs_rms["obs"].mean, training_env.obs_rms["obs"].mean)
    assert eval_env.obs_rms["obs"].mean.mean() == pytest.approx(1000.0, rel=0.2)


def test_vec_normalize_reaches_the_networks_and_leaves_the_task_alone():
    env = VecNormalize(make_task_vec_env([Shifted, Shifted, Shifted]), norm_obs_keys=["obs"])
    model = DistralA2C(env, n_steps=4).learn(120)
    buffer = model.rollout_buffer.observations
    assert np.abs(buffer["obs"]).max() <= 10.0
    assert set(np.unique(buffer["task"])) == {0, 1, 2}


# Suites


@pytest.mark.parametrize("suite", ["grid-mazes", "two-rooms"])
def test_suites_train_evaluate_and_log(suite, tmp_path):
    model = DistralA2C(sb3_distral.tasks.make(suite, n_envs_per_task=2, seed=0, n_tasks=3))
    eval_env = sb3_distral.tasks.make(suite, seed=1, n_tasks=3)
    callbacks = [
        EvalCallback(eval_env, eval_freq=100, n_eval_episodes=3, verbose=0),
        TaskEvalCallback(eval_env, 1, 100),
    ]
    log = logged(model, 6 * 205, tmp_path, callback=callbacks)
    assert sum(key.startswith("rollout/") and key.endswith("ep_rew_mean") for key in log) == 4
    assert list(callbacks[1].results[0]["tasks"]) == model.task_names


def test_dict_observations_train_evaluate_and_predict():
    make = partial(Toy, observation_space=DICT_SPACE)
    model = DistralA2C([make, make], "MultiInputPolicy").learn(20)
    assert evaluate_policy(model, Monitor(make()), 2)[0] == 4.0
    assert evaluate_policy(model, model.get_env(), 2)[0] == 4.0


def test_task_eval_callback_takes_tasks_in_any_form_and_names_its_keys(tmp_path):
    callbacks = [TaskEvalCallback(list(TASKS.values()), 1, 20, name=name) for name in ("near", "far")]
    log = logged(DistralA2C(list(TASKS.values())), 40, tmp_path, callback=callbacks)
    assert {f"{name}/{key}mean_reward" for name in ("near", "far") for key in ("", "distilled_")} <= set(log)
