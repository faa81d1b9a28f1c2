import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import SpaceEnv, save_diverged
from stable_baselines3 import A2C

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO, make_task_vec_env, tasks
from sb3_distral.errors import UsageError
from sb3_distral.runs import load_model
from sb3_distral.runs.models import UnusableModelError, algorithm_class, saved_class

ALL = [DistralA2C, RecurrentDistralA2C, DistralPPO, RecurrentDistralPPO]
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)


@pytest.fixture
def saved(tmp_path):
    """Save a model of a class."""

    def save(algorithm, name="model"):
        path = tmp_path / f"{name}.zip"
        algorithm(tasks.make("two-rooms", n_tasks=2), seed=0).save(path)
        return path

    return save


def test_images_are_seen_by_a_policy_with_memory():
    plain = make_task_vec_env([lambda: SpaceEnv(spaces.Box(0.0, 1.0, (4,)))])
    images = make_task_vec_env([lambda: SpaceEnv(IMAGE)])
    beside = make_task_vec_env([lambda: SpaceEnv(spaces.Dict({"image": IMAGE, "speed": spaces.Box(0.0, 1.0, (1,))}))])
    for learner, (without, with_memory) in {"a2c": ALL[:2], "ppo": ALL[2:]}.items():
        assert [algorithm_class(learner, "auto", env) for env in (plain, images, beside)] == [
            without,
            with_memory,
            with_memory,
        ]
        assert algorithm_class(learner, "CnnPolicy", images) is without
        assert algorithm_class(learner, "MlpLstmPolicy", plain) is with_memory


@pytest.mark.parametrize("policy", ["CnnPolicy", "CnnLstmPolicy"])
def test_policies_for_images_need_images(policy):
    with pytest.raises(UsageError, match=f"(?s){policy} was given for the observations Box.*no images.*'auto'"):
        algorithm_class("a2c", policy, tasks.make("two-rooms"))


@pytest.mark.parametrize("algorithm", ALL)
def test_a_loaded_model_is_of_the_class_that_saved_it(algorithm, saved):
    path = saved(algorithm)
    assert type(load_model(path)) is algorithm
    env = tasks.make("two-rooms", n_tasks=2)
    assert type(model := load_model(path, env)) is algorithm and model.get_env() is not None


def test_the_class_is_found_without_the_tensors(saved, monkeypatch):
    path = saved(RecurrentDistralA2C)
    monkeypatch.setattr(th, "load", lambda *args, **kwargs: pytest.fail("tensors are read"))
    assert saved_class(path) is RecurrentDistralA2C


def test_the_class_of_a_policy_of_ones_own_is_known(tmp_path):
    class OwnPolicy(RecurrentDistralA2C.policy_aliases["MlpLstmPolicy"]):
        pass

    RecurrentDistralA2C(tasks.make("two-rooms"), OwnPolicy).save(tmp_path / "model")
    assert saved_class(tmp_path / "model.zip") is RecurrentDistralA2C


def test_files_that_are_no_zip_are_refused(tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(UnusableModelError, match=r"text\.zip is damaged or no model"):
        load_model(tmp_path / "text.zip")


def test_a_changed_bit_is_found(saved):
    path = saved(DistralA2C)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnusableModelError, match="is damaged or no model"):
        load_model(path)


def test_models_of_other_algorithms_are_refused(tmp_path):
    A2C("MlpPolicy", "CartPole-v1").save(tmp_path / "a2c.zip")
    with pytest.raises(
        UnusableModelError,
        match="is no model of a Distral algorithm; it is a model of an algorithm of Stable",
    ):
        load_model(tmp_path / "a2c.zip")


@pytest.mark.parametrize("value", [th.nan, th.inf])
def test_models_that_diverged_are_refused(value, saved):
    path = saved(DistralA2C)
    model = DistralA2C.load(path)
    with th.no_grad():
        model.distilled_policy.value_net.bias[0] = value
    save_diverged(model, path)
    with pytest.raises(UnusableModelError, match=r"parameters that are not finite.*lower learning rate"):
        load_model(path)
