"""What a load takes, and what it refuses in words."""

from functools import partial

import numpy as np
import pytest
from integration.toys import Toy
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import DistralA2C, DistralPPO, make_task_vec_env
from sb3_distral.errors import UsageError
from sb3_distral.method.controller import CostController

TASKS = {"left": partial(Toy, reward=None), "right": partial(Toy, reward=None)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.zip"
    DistralA2C(TASKS, policy_kwargs={"net_arch": [4]}, seed=0).learn(20).save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"architecture": "one_column"},
            r"architecture='one_column'\) was given, but the model was trained with 'two_col",
        ),
        ({"n_distilled": 2}, "n_distilled=2.*trained with 1.*Leave it out"),
        ({"optimization": "alternating"}, "optimization='alternating'.*trained with 'joint'"),
        ({"distilled_policy": None}, "which is for new models"),
        ({"train_distilled": None}, "train_distilled=None was given; expected True, False, or the number"),
        ({"learning_rat": 0.1}, "DistralA2C has no such argument.*Correct its name"),
    ],
)
def test_arguments_that_would_be_ignored_are_refused(arguments, message, saved):
    for env in (None, TASKS):
        with pytest.raises(UsageError, match=message):
            DistralA2C.load(saved, env=env, **arguments)


def test_other_arguments_change_the_loaded_model(saved):
    model = DistralA2C.load(saved, env=TASKS, beta=10.0, learning_rate=0.5, architecture="two_columns", verbose=0)
    assert (model.beta, model.learning_rate) == (10.0, 0.5)
    assert model.costs.kl.tolist() == pytest.approx([0.05, 0.05])


def following(path, **arguments):
    """A model whose costs and scales of returns have followed a training, loaded with other arguments."""
    model = DistralA2C(TASKS, beta="auto", normalize_returns=True, gamma=0.9, policy_kwargs={"net_arch": [4]}, seed=0)
    model.learn(200).save(path)
    assert model.costs.kl[0] != pytest.approx(0.005, rel=1e-3)
    return model, DistralA2C.load(path, env=TASKS, **arguments)


def test_costs_under_a_controller_begin_as_the_arguments_of_a_load_say(tmp_path):
    model, same = following(tmp_path / "same")
    assert same.costs.kl.tolist() == model.costs.kl.tolist()
    _, other = following(tmp_path / "alpha", alpha=1.0)
    assert other.costs.alpha.tolist() == [1.0, 1.0]
    assert other.costs.entropy.tolist() == [0.0, 0.0]
    assert other.costs.kl.tolist() == pytest.approx([0.01, 0.01])
    _, other = following(tmp_path / "beta", beta=CostController(beta=1000.0, highest=0.002, lowest=1e-6))
    assert other.costs.kl.tolist() == pytest.approx([0.0005, 0.0005])
    _, other = following(tmp_path / "number", beta=50.0)
    assert other.costs.kl.tolist() == pytest.approx([0.01, 0.01])


def test_returns_are_normalised_as_the_arguments_of_a_load_say(tmp_path):
    _, plain = following(tmp_path / "plain", normalize_returns=False)
    assert plain.return_scales is None and plain.env.return_scales is None
    _, other = following(tmp_path / "gamma", gamma=0.5)
    assert (other.gamma, other.env.return_scales.gamma) == (0.5, 0.5)
    assert other.return_scales.counts.tolist() == [100, 100]


def test_a_file_of_another_algorithm_is_refused(tmp_path):
    A2C("MlpPolicy", "CartPole-v1").save(tmp_path / "a2c.zip")
    for env in (None, TASKS):
        with pytest.raises(UsageError, match=r"a2c\.zip is no model of a Distral algorithm"):
            DistralA2C.load(tmp_path / "a2c.zip", env=env)


def test_a_model_without_tasks_says_what_learning_needs(saved):
    with pytest.raises(UsageError, match=r"without environment.*load\(path, env=…\).*set_env"):
        DistralA2C.load(saved).learn(20)


def test_another_number_of_tasks_is_refused(saved):
    with pytest.raises(UsageError, match="it has no column for"):
        DistralA2C.load(saved, env={**TASKS, "middle": Toy})


def test_an_environment_goes_on_where_it_is_without_force_reset(saved):
    """As in Stable-Baselines3, where the default is another."""
    env = make_task_vec_env(TASKS, seed=0)
    model = DistralA2C(env, policy_kwargs={"net_arch": [4]}, seed=0).learn(10)
    path = saved.with_name("amid.zip")
    model.save(path)
    before = [inner.unwrapped.steps for inner in env.unwrapped.envs]
    loaded = DistralA2C.load(path, env=model.get_env(), force_reset=False)
    assert np.array_equal(loaded._last_obs["obs"], model._last_obs["obs"])
    loaded.learn(2, reset_num_timesteps=False, callback=lambda *_: False)
    assert [inner.unwrapped.steps for inner in env.unwrapped.envs] == [(steps % 4) + 1 for steps in before]
    with pytest.warns(UserWarning, match="environment is reset"):
        assert DistralA2C.load(path, env=model.get_env())._last_obs is None
    assert DistralA2C.load(path, env=model.get_env(), force_reset=True)._last_obs is None


def test_two_vec_envs_over_one_environment_are_refused():
    one = Toy()
    with pytest.raises(UsageError, match="hold the same environment"):
        DistralA2C({"a": DummyVecEnv([lambda: one]), "b": DummyVecEnv([lambda: one])})


def test_arguments_are_taken_by_their_position_too():
    model = DistralA2C("MlpPolicy", TASKS, 1e-3, 7, 0.9)
    assert (model.learning_rate, model.n_steps, model.gamma) == (1e-3, 7, 0.9)
    model = DistralPPO("MlpPolicy", TASKS, 1e-3, 16, 8)
    assert (model.n_steps, model.batch_size) == (16, 8)
    for arguments, named in (([1e-3], {"learning_rate": 1.0}), (range(40), {})):
        with pytest.raises(UsageError, match=r"arguments were given by position.*Give each once"):
            DistralA2C("MlpPolicy", TASKS, *arguments, **named)


@pytest.mark.parametrize("given", [{"net_arch": [4]}, {"net_arch": [4], "architecture": "two_columns"}], ids=len)
def test_the_policy_kwargs_of_the_constructor_may_be_given_again(given, saved):
    assert DistralA2C.load(saved, env=TASKS, policy_kwargs=given).learn(20).policy_kwargs["net_arch"] == [4]
    with pytest.raises(ValueError, match="policy kwargs do not equal"):
        DistralA2C.load(saved, env=TASKS, policy_kwargs=given | {"net_arch": [5]})


def test_a_file_that_is_no_zip_is_refused_in_the_words_of_stable_baselines3(tmp_path):
    path = tmp_path / "model.zip"
    path.write_text("no zip")
    with pytest.raises(UsageError, match=r"model\.zip is damaged.*wasn't a zip-file.*pass a file"):
        DistralA2C.load(path)
