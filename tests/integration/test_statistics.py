"""Statistics of every way to normalise: in evaluations, checkpoints, saved models and what is loaded from them."""

import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from envs.messages import refuses
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_distral import (
    DistilledPredictor,
    DistralA2C,
    evaluate_tasks,
    load_policy,
    make_task_vec_env,
    normalize_as_trained,
    save_policy,
)
from sb3_distral.envs.statistics import normalizing_layers

from .toys import Toy


class Shifted(Toy):
    """Observations around a number, which nothing but a running mean brings to 0."""

    def __init__(self, mean=1000.0):
        super().__init__(observation_space=gym.spaces.Box(0.0, 2000.0, (3,), np.float32), reward=None)
        self.mean = mean

    def draw(self, space):
        return (self.mean + self.np_random.normal(size=3)).astype(np.float32)


MEANS = {"low": 100.0, "high": 900.0}


def around_all(training=True):
    env = make_task_vec_env({name: partial(Shifted, mean) for name, mean in MEANS.items()})
    return VecNormalize(env, norm_obs_keys=["obs"], training=training)


def each_its_own(training=True):
    return {
        name: VecNormalize(DummyVecEnv([partial(Shifted, mean)]), training=training) for name, mean in MEANS.items()
    }


def one_alone(training=True):
    """As a VecNormalize is given to Stable-Baselines3's algorithms."""
    return VecNormalize(DummyVecEnv([Shifted, Shifted]), training=training)


WAYS = {"around all": around_all, "each its own": each_its_own, "one alone": one_alone}


def layers_in(env):
    if isinstance(env, dict):
        return [layer for own in env.values() for layer in layers_in(own)]
    return normalizing_layers(env)


def statistics(env):
    """Means and variances of observations, and variances of returns, of every layer."""
    known = []
    for layer in layers_in(env):
        observations = layer.obs_rms["obs"] if isinstance(layer.obs_rms, dict) else layer.obs_rms
        known.append([*observations.mean, *observations.var, layer.ret_rms.var])
    return np.array(known)


@pytest.fixture(scope="module", params=WAYS)
def trained(request, tmp_path_factory):
    """A way to normalise, a model trained so, what is known then, and the folder of its files."""
    make, folder = WAYS[request.param], tmp_path_factory.mktemp("statistics")
    env = make()
    model = DistralA2C(env, policy_kwargs={"net_arch": [4]}, seed=0, device="cpu")
    model.learn(100, CheckpointCallback(25, str(folder), "checkpoint", save_vecnormalize=True))
    model.save(folder / "model")
    known = statistics(env)
    assert len(known) == (2 if make is each_its_own else 1) and known.mean() > 10.0
    return make, model, known, folder


def test_a_load_restores_them(trained):
    make, _, known, folder = trained
    for arguments in ({}, {"force_reset": True}):
        env = make()
        DistralA2C.load(folder / "model", env=env, **arguments)
        np.testing.assert_array_equal(statistics(env), known)


def test_a_model_loaded_without_tasks_gives_them_to_those_that_it_gets(trained, tmp_path):
    make, _, known, folder = trained
    model = DistralA2C.load(folder / "model")
    model.save(tmp_path / "again")
    for loaded in (model, DistralA2C.load(tmp_path / "again")):
        env = make()
        loaded.set_env(env)
        np.testing.assert_array_equal(statistics(env), known)
        loaded.learn(20)


@pytest.mark.parametrize("architecture", ["two_columns", "one_column", "shared"])
@pytest.mark.parametrize("route", ["at once", "save", "save_policy", "model"])
def test_a_task_policy_carries_those_of_its_task(architecture, route, tmp_path):
    for make in (around_all, each_its_own):
        model = DistralA2C(make(), architecture=architecture, policy_kwargs={"net_arch": [4]}, device="cpu").learn(100)
        if route == "model":
            model.save(tmp_path / "model")
            model = DistralA2C.load(tmp_path / "model", device="cpu")
        for name, mean in MEANS.items():
            policy = model.task_policy(name)
            if route == "save":
                policy.save(tmp_path / "policy")
                policy = type(policy).load(tmp_path / "policy", device="cpu")
            elif route == "save_policy":
                save_policy(policy, tmp_path / "policy")
                policy = load_policy(tmp_path / "policy", device="cpu")
            env = normalize_as_trained(DummyVecEnv([partial(Shifted, mean)]), policy)
            expected = mean if make is each_its_own else 500.0
            np.testing.assert_allclose(env.obs_rms.mean, expected, rtol=0.05)


def test_a_checkpoint_holds_them_and_a_file_that_vec_normalize_loads(trained):
    make, _, _, folder = trained
    env = make()
    checkpoint = max(folder.glob("checkpoint_*_steps.zip"), key=lambda path: path.stat().st_mtime_ns)
    DistralA2C.load(checkpoint, env=env)
    assert (statistics(env)[:, :3] > 50.0).all()
    file = folder / f"checkpoint_vecnormalize_{checkpoint.stem.split('_')[1]}_steps.pkl"
    target = make_task_vec_env(MEANS_TASKS) if make is around_all else DummyVecEnv([Shifted])
    loaded = VecNormalize.load(str(file), target)
    if make is each_its_own:
        assert loaded.obs_rms.mean == pytest.approx([500.0] * 3, rel=0.05)
    else:
        np.testing.assert_array_equal(statistics(loaded), statistics(env))


MEANS_TASKS = {name: partial(Shifted, mean) for name, mean in MEANS.items()}


@pytest.mark.filterwarnings("ignore::UserWarning")  # that the two environments are of different types
@pytest.mark.parametrize("kind", ["tasks", "plain"])
def test_eval_callback_synchronises_them(trained, kind):
    make, _, _, _ = trained
    env = make()
    given = make(training=False)
    if kind == "plain":
        eval_env = VecNormalize(DummyVecEnv([Shifted]), training=False)
    else:
        eval_env = make_task_vec_env(given) if make is not around_all else given
    model = DistralA2C(env, policy_kwargs={"net_arch": [4]}, seed=0, device="cpu")
    model.learn(100, EvalCallback(eval_env, eval_freq=50 if make is one_alone else 25, n_eval_episodes=2, verbose=0))
    if kind == "plain" and make is each_its_own:
        assert eval_env.obs_rms.mean == pytest.approx([500.0] * 3, rel=0.05)
    else:
        np.testing.assert_array_equal(statistics(eval_env), statistics(env))


def test_the_statistics_file_of_the_zoo_is_there_for_one_task():
    env = one_alone()
    assert DistralA2C(env).get_vec_normalize_env() is env
    assert DistralA2C({"plain": Toy}).get_vec_normalize_env() is None


def test_tasks_that_are_not_normalised_are_not_evaluated(tmp_path):
    for make in (around_all, each_its_own):
        model = DistralA2C(make(), policy_kwargs={"net_arch": [4]}, device="cpu").learn(20)
        model.save(tmp_path / "model")
        raw = make_task_vec_env({name: partial(Shifted, mean) for name, mean in MEANS.items()})
        for own in (model, DistralA2C.load(tmp_path / "model", device="cpu")):
            for policy in (own, DistilledPredictor.of(own)):
                with refuses("['low', 'high']", "as they are", "normalize_as_trained"):
                    evaluate_tasks(policy, raw, 1)
                assert set(evaluate_tasks(policy, model.get_env(), 1)) == set(MEANS)
        with refuses("['low', 'high']", "a new VecNormalize", "normalize_as_trained"):
            evaluate_tasks(model, VecNormalize(raw, training=False), 1)
        assert evaluate_tasks(DistilledPredictor.of(model), normalize_as_trained(raw, model.distilled_policy), 1)


@pytest.mark.parametrize("architecture", ["two_columns", "one_column"])
def test_acting_on_observations_as_they_are_warns(architecture, tmp_path):
    model = DistralA2C(around_all(), architecture=architecture, policy_kwargs={"net_arch": [4]}, device="cpu").learn(20)
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", device="cpu")
    raw, normalised = np.full((2, 3), 900.0, np.float32), np.full((2, 3), -10.0, np.float32)
    named = [{"obs": plain, "task": np.arange(2)} for plain in (raw, normalised)]
    for policy in (model, model.distilled_policy, model.task_policy(0), loaded):
        with pytest.warns(UserWarning, match="as large as 900 .* at most 10.*normalize_as_trained"):
            policy.predict(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            policy.predict(normalised)
    with pytest.warns(UserWarning, match="as large as 900"):
        model.predict(named[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(named[1])
        evaluate_tasks(model, model.get_env(), 1)


def test_new_tasks_are_normalised_where_each_has_its_own():
    model = DistralA2C(each_its_own(), policy_kwargs={"net_arch": [4]}, device="cpu").learn(20)
    raw = DummyVecEnv([partial(Shifted, 500.0)])
    for new in ({"new": raw}, {"new": VecNormalize(raw, norm_obs=False)}):
        with refuses("['new']", "VecNormalize of their own", "each task of the model has one", "normalize_as_trained"):
            model.add_tasks(new)
    assert model.task_names == list(MEANS) and model.distilled_policy.observation_normalization is not None
    model.add_tasks({"new": VecNormalize(raw)}).learn(20, reset_num_timesteps=False)
    assert model.distilled_policy.observation_normalization is not None
    DistralA2C(around_all(), policy_kwargs={"net_arch": [4]}, device="cpu").add_tasks({"new": raw})
