"""DistralA2C in the places where scripts for Stable-Baselines3 put an algorithm."""

import copy
import inspect
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
    ProgressBarCallback,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnNoModelImprovement,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_distral import (
    DistillationCallback,
    DistralA2C,
    RecurrentDistralA2C,
    RecurrentDistralPPO,
    RegularizedReward,
    make_task_vec_env,
)
from sb3_distral.policies.feedforward import MlpPolicy

from .toys import CARTPOLE, TASKS, Recorder, Toy, assert_equal

# Callbacks of SB3


def test_checkpoint_callback_writes_models_and_normalization(tmp_path):
    env = VecNormalize(make_task_vec_env(TASKS), norm_obs_keys=["obs"])
    callback = CheckpointCallback(10, str(tmp_path), save_vecnormalize=True)
    DistralA2C(env).learn(40, callback)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(f"rl_model_{part}{n}_steps.{end}" for n in (20, 40) for part, end in PARTS)
    loaded = VecNormalize.load(str(tmp_path / "rl_model_vecnormalize_40_steps.pkl"), make_task_vec_env(TASKS))
    assert DistralA2C.load(tmp_path / "rl_model_40_steps", env=loaded).learn(20).num_timesteps == 20


PARTS = (("", "zip"), ("vecnormalize_", "pkl"))


def test_stop_training_on_max_episodes(task_env):
    model = DistralA2C(task_env).learn(100_000, StopTrainingOnMaxEpisodes(max_episodes=3))
    # Three episodes for each of four sub-environments, the shorter ones last 3 steps.
    assert model.num_timesteps < 4 * 25


def test_stop_training_on_reward_threshold(task_env):
    for threshold, stops in ((200.0, True), (300.0, False)):
        stop = StopTrainingOnRewardThreshold(threshold, verbose=0)
        callback = EvalCallback(
            make_task_vec_env(TASKS), callback_on_new_best=stop, eval_freq=10, n_eval_episodes=2, verbose=0
        )
        # The mean of a return of 3 and one of 500.
        assert (DistralA2C(task_env).learn(200, callback).num_timesteps == 40) is stops


def test_stop_training_without_improvement(task_env):
    after = StopTrainingOnNoModelImprovement(max_no_improvement_evals=2, min_evals=1)
    callback = EvalCallback(make_task_vec_env(TASKS), callback_after_eval=after, eval_freq=5, verbose=0)
    assert DistralA2C(task_env).learn(10_000, callback).num_timesteps < 1000


def test_training_goes_on_after_a_callback_stopped_it_amid_a_roll_out(task_env):
    model = DistralA2C(task_env)
    model.learn(100, lambda local_variables, _: model.num_timesteps < 28)
    assert model.num_timesteps == 28
    model.learn(40, reset_num_timesteps=False)
    assert model.num_timesteps >= 68


@pytest.mark.parametrize("form", ["none", "one", "list", "callback list", "function", "mixed list"])
def test_every_form_of_callback_is_called_at_each_step(task_env, form):
    calls = []

    class Counter(BaseCallback):
        def _on_step(self):
            calls.append("object")
            return True

    def function(local_variables, global_variables):
        calls.append("function")
        return True

    callbacks = {
        "none": (None, {}),
        "one": (Counter(), {"object": 5}),
        "list": ([Counter(), Counter()], {"object": 10}),
        "callback list": (CallbackList([Counter()]), {"object": 5}),
        "function": (function, {"function": 5}),
        "mixed list": ([Counter(), EveryNTimesteps(4, Counter())], {"object": 10}),
    }
    callback, expected = callbacks[form]
    DistralA2C(task_env).learn(20, callback)
    assert {kind: calls.count(kind) for kind in set(calls)} == expected


def test_callbacks_see_the_users_environment_and_the_model(task_env):
    seen = {}

    class Watcher(BaseCallback):
        def _on_training_start(self):
            seen.update(env=self.training_env, model=self.model, keys=set(self.locals))

        def _on_step(self):
            seen.update(step=set(self.locals))
            return True

    model = DistralA2C(task_env).learn(20, Watcher())
    assert seen["env"] is task_env
    assert seen["model"] is model
    assert {"rewards", "infos", "dones", "actions", "values", "log_probs", "obs_tensor", "new_obs"} <= seen["step"]


def test_the_list_of_callbacks_is_not_changed(task_env):
    callbacks = [Recorder()]
    model = DistralA2C(task_env)
    for _ in range(2):
        model.learn(20, callbacks)
    assert len(callbacks) == 1


def test_the_progress_bar_counts_all_steps(task_env):
    recorder = Recorder()
    DistralA2C(task_env).learn(40, recorder, progress_bar=True)
    bars = [
        callback.pbar for callback in recorder.locals["callback"].callbacks if isinstance(callback, ProgressBarCallback)
    ]
    assert [(bar.n, bar.total) for bar in bars] == [(40, 40)]


# Construction


def test_stable_baselines3s_order_of_arguments_works(task_env):
    for model in (
        DistralA2C("MlpPolicy", task_env),
        DistralA2C(task_env, "MlpPolicy"),
        DistralA2C(policy="MlpPolicy", env=task_env),
        DistralA2C(env=task_env),
        DistralA2C(MlpPolicy, task_env),
    ):
        assert type(model.policy) is MlpPolicy
        assert model.get_env() is task_env


def test_the_order_of_arguments_works_with_every_form_of_tasks():
    for env in (CARTPOLE, [CARTPOLE], {"pole": CARTPOLE}, [Toy], Toy(), DummyVecEnv([Toy])):
        assert DistralA2C("MlpPolicy", env).n_tasks == 1


def test_every_argument_has_a_default():
    parameters = list(inspect.signature(DistralA2C).parameters.values())
    assert parameters[0].name == "env"
    without_default = [parameter for parameter in parameters if parameter.default is inspect.Parameter.empty]
    kinds = [parameter.kind for parameter in without_default]
    assert kinds == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]


def test_every_argument_of_a2c_is_taken_by_keyword(task_env, tmp_path):
    arguments = {
        "learning_rate": 1e-3,
        "n_steps": 7,
        "gamma": 0.9,
        "gae_lambda": 0.8,
        "ent_coef": 0.0,
        "vf_coef": 0.3,
        "max_grad_norm": 0.4,
        "rms_prop_eps": 1e-6,
        "use_rms_prop": False,
        "use_sde": False,
        "sde_sample_freq": -1,
        "rollout_buffer_class": None,
        "rollout_buffer_kwargs": None,
        "normalize_advantage": True,
        "stats_window_size": 11,
        "tensorboard_log": str(tmp_path),
        "policy_kwargs": None,
        "verbose": 0,
        "seed": 1,
        "device": "cpu",
    }
    of_a2c = set(inspect.signature(A2C.__init__).parameters) - {"self", "policy", "env", "_init_setup_model"}
    assert of_a2c == set(arguments), "an argument of A2C is not tried here"
    model = DistralA2C(task_env, **arguments)
    for name in ("n_steps", "gamma", "gae_lambda", "vf_coef", "max_grad_norm", "normalize_advantage"):
        assert getattr(model, name) == arguments[name]
    assert isinstance(model.policy.optimizer, th.optim.Adam)
    assert model.rollout_buffer.gae_lambda == 0.8
    model.learn(28)
    model.logger.close()


def test_an_argument_that_does_not_exist_is_refused(task_env):
    with pytest.raises(TypeError, match="n_step_size"):
        DistralA2C(task_env, n_step_size=3)


@pytest.mark.parametrize(
    "policy_kwargs",
    [
        {"net_arch": {"pi": [8], "vf": [4]}, "activation_fn": th.nn.ReLU},
        {"optimizer_class": th.optim.SGD, "optimizer_kwargs": {"momentum": 0.5}},
        {"optimizer_kwargs": {"weight_decay": 0.1}},
        {"features_extractor_kwargs": {}, "ortho_init": False},
    ],
)
def test_the_callers_policy_kwargs_are_not_changed(task_env, policy_kwargs):
    before = copy.deepcopy(policy_kwargs)
    first = DistralA2C(task_env, policy_kwargs=policy_kwargs).learn(20)
    assert policy_kwargs == before
    second = DistralA2C(task_env, policy_kwargs=policy_kwargs)
    assert first.policy.state_dict().keys() == second.policy.state_dict().keys()


def test_the_environment_comes_back_as_it_was_given(task_env):
    model = DistralA2C(task_env, beta=0.01).learn(20)
    assert model.get_env() is task_env
    env = task_env
    while env is not None:
        assert not isinstance(env, RegularizedReward)
        env = getattr(env, "venv", None)
    task_env.reset()
    assert task_env.step(np.zeros(4, dtype=int))[1].tolist() == [1.0, 1.0, 100.0, 100.0]


def test_two_models_can_train_on_one_environment_in_turn(task_env):
    first, second = DistralA2C(task_env, beta=0.01), DistralA2C(task_env, beta=float("inf"))
    recorder = Recorder()
    first.learn(20)
    second.learn(20, recorder)
    assert np.array(recorder.rewards).tolist() == [[1.0, 1.0, 100.0, 100.0]] * 5


# Life cycle


def test_the_steps_may_be_a_float(task_env):
    assert DistralA2C(task_env).learn(1e2).num_timesteps == 100


def test_counters_go_on_where_they_are_not_reset(task_env):
    model = DistralA2C(task_env).learn(40)
    assert model.learn(40, reset_num_timesteps=False).num_timesteps == 80
    assert model.learn(20).num_timesteps == 20


def test_learning_in_two_halves_equals_learning_at_once():
    def make():
        return DistralA2C(make_task_vec_env([partial(Toy, reward=None)] * 2), seed=4)

    halves = make().learn(50).learn(50, reset_num_timesteps=False)
    assert_equal(halves.get_parameters(), make().learn(100).get_parameters())


def test_the_statistics_of_episodes_survive_where_counters_are_not_reset(task_env):
    model = DistralA2C(task_env).learn(80)
    model.learn(1, lambda *_: False, reset_num_timesteps=False)
    assert {name: episodes[-1]["r"] for name, episodes in model._task_episodes.items()} == {"poor": 3.0, "rich": 500.0}
    model.learn(1, lambda *_: False)
    assert not any(model._task_episodes.values())


def test_parameters_travel_from_model_to_model(task_env):
    first, second = DistralA2C(task_env, seed=1).learn(60), DistralA2C(task_env, seed=2)
    second.set_parameters(copy.deepcopy(first.get_parameters()))
    assert_equal(second.get_parameters(), first.get_parameters())
    with th.no_grad():
        observation = second.policy.obs_to_tensor(task_env.reset())[0]
        probabilities = [model.policy.get_distribution(observation).distribution.probs for model in (first, second)]
    assert th.equal(*probabilities)


def test_parameters_of_the_alternating_optimization_hold_the_optimizer_of_the_distilled_policy(task_env):
    model = DistralA2C(task_env, optimization="alternating").learn(20)
    assert set(model.get_parameters()) == {"policy", "policy.optimizer", "policy.distilled_policy.optimizer"}
    assert model.get_parameters()["policy.distilled_policy.optimizer"]["state"]
    assert set(DistralA2C(task_env).get_parameters()) == {"policy", "policy.optimizer"}


def test_set_env_goes_on_with_other_environments(task_env):
    recorder = Recorder()
    model = DistralA2C(task_env, beta=float("inf")).learn(20)
    other = make_task_vec_env({name: partial(Toy, reward=-7.0) for name in TASKS}, n_envs_per_task=2)
    model.set_env(other)
    assert model.get_env() is other
    model.learn(20, recorder, reset_num_timesteps=False)
    assert np.unique(recorder.rewards) == [-7.0]
    assert model.num_timesteps == 40


def test_set_env_takes_tasks_in_every_form():
    model = DistralA2C(TASKS, n_envs_per_task=2)
    model.set_env(TASKS)
    assert model.get_env().num_envs == 4
    model.set_env(make_task_vec_env(TASKS, n_envs_per_task=2))
    model.learn(20)


def test_set_env_takes_vec_envs_of_a_model_made_from_ids():
    model = DistralA2C(TASKS, n_envs_per_task=2)
    model.set_env({name: DummyVecEnv([make] * 2) for name, make in TASKS.items()})
    model.learn(20)


def test_set_env_keeps_regularizing():
    recorder = Recorder()
    model = DistralA2C(TASKS, alpha=0.0, beta=0.1)
    model.set_env(make_task_vec_env(TASKS))
    model.learn(20, recorder)
    assert (np.array(recorder.rewards) > [1.0, 100.0]).all()


def test_set_env_refuses_another_number_of_environments(task_env):
    model = DistralA2C(task_env)
    with pytest.raises((AssertionError, ValueError)):
        model.set_env(make_task_vec_env(TASKS))
    assert model.get_env() is task_env


def test_set_env_refuses_another_number_of_tasks():
    env = make_task_vec_env([Toy, Toy])
    model = DistralA2C(env)
    with pytest.raises(ValueError):
        model.set_env(make_task_vec_env([Toy], 2))
    assert model.get_env() is env


def test_a_script_for_a2c_runs_with_the_name_of_the_class_changed(tmp_path):
    model = DistralA2C("MlpPolicy", CARTPOLE, verbose=0)
    model.learn(total_timesteps=100)
    model.save(tmp_path / "cartpole")
    del model
    model = DistralA2C.load(tmp_path / "cartpole")
    vec_env = DummyVecEnv([lambda: gym.make(CARTPOLE)])
    obs = vec_env.reset()
    for _ in range(10):
        action, _states = model.predict(obs)
        obs, _rewards, _dones, _info = vec_env.step(action)
    evaluate_policy(model, Monitor(gym.make(CARTPOLE)), n_eval_episodes=1)


def test_the_loop_of_the_sb3_documentation_runs_on_the_models_own_env(task_env):
    model = DistralA2C(task_env).learn(20)
    vec_env = model.get_env()
    obs = vec_env.reset()
    for _ in range(5):
        obs, _rewards, _dones, _infos = vec_env.step(model.predict(obs, deterministic=True)[0])


def test_learn_save_and_load_chain(tmp_path):
    DistralA2C(TASKS).learn(20).save(tmp_path / "chain")
    model = DistralA2C.load(tmp_path / "chain", TASKS).learn(20).learn(20, reset_num_timesteps=False)
    assert model.num_timesteps == 40


def test_predict_takes_the_other_arguments_of_stable_baselines3(task_env):
    model = DistralA2C(task_env)
    observation = task_env.reset()
    action, state = model.predict(observation, state=None, episode_start=np.ones(4, bool), deterministic=True)
    assert action.shape == (4,) and state is None
    single = {key: value[0] for key, value in observation.items()}
    assert model.predict(single, deterministic=True)[0] == action[0]
    assert model.predict(observation["obs"])[0].shape == (4,)
    assert model.predict(observation["obs"][0])[0].shape == ()


@pytest.mark.parametrize("normalize", [False, True])
def test_normalizing_advantages_trains_and_changes_the_result(normalize):
    def trained(normalize_advantage):
        tasks = [partial(Toy, reward=None)] * 2
        return DistralA2C(tasks, n_envs_per_task=2, seed=0, normalize_advantage=normalize_advantage).learn(100)

    one, other = trained(normalize), trained(not normalize)
    key = "distilled_policy.action_net.weight"
    assert th.isfinite(one.policy.state_dict()[key]).all()
    assert not th.equal(one.policy.state_dict()[key], other.policy.state_dict()[key])


def test_a_misspelt_argument_is_named():
    with pytest.raises(TypeError, match="'learning_rat'"):
        DistralA2C(TASKS, learning_rat=1.0)


class OwnList(CallbackList):
    steps = 0

    def _on_step(self):
        self.steps += 1
        return super()._on_step()


@pytest.mark.parametrize("inner", [Recorder, DistillationCallback], ids=["another", "distillation"])
def test_a_callback_list_of_the_user_is_called_as_one(task_env, inner):
    own = OwnList([inner()])
    model = DistralA2C(task_env, optimization="alternating").learn(20, own)
    assert own.steps == own.n_calls == 20 // task_env.num_envs
    assert "new_obs" in own.locals and own.callbacks[0].locals is own.locals
    assert (model.optimization == "joint") == (inner is DistillationCallback)


def test_the_policy_may_come_first_and_the_environment_by_name(task_env):
    model = DistralA2C("MlpPolicy", env=task_env, n_steps=7)
    assert (model.get_env(), model.n_steps) == (task_env, 7)
    model = RecurrentDistralPPO("MlpLstmPolicy", env=task_env, n_steps=8)
    assert (model.get_env(), model.n_steps) == (task_env, 8)
    assert RecurrentDistralA2C("MlpLstmPolicy", env=task_env).get_env() is task_env


def test_the_warning_about_vectors_on_a_gpu_is_that_of_stable_baselines3(task_env):
    model = DistralA2C(task_env)
    model.device = "cuda"
    with pytest.warns(UserWarning, match="You are trying to run DistralA2C on the GPU"):
        model._maybe_recommend_cpu()
