"""Dict observations may have the keys under which task and mask usually travel."""

from functools import partial

import numpy as np
import pytest
from gymnasium import spaces
from helpers import distral
from integration.toys import Toy
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from sb3_distral import DistilledPredictor, DistralA2C, RecurrentDistralA2C, evaluate_tasks, make_task_vec_env

BOX = spaces.Box(0.0, 1.0, (2,))
KEYS = ("task image", "obs", "task")
SPACES = {keys: spaces.Dict(dict.fromkeys(keys.split(), BOX)) for keys in KEYS}


class Masked(Toy):
    def action_masks(self):
        return [True, self.steps % 2 == 0]


@pytest.mark.parametrize("keys", SPACES)
@pytest.mark.parametrize("make", [Toy, Masked])
def test_they_travel_under_others_then(keys, make, tmp_path):
    space = SPACES[keys]
    make = partial(make, observation_space=space)
    env = make_task_vec_env({"a": make, "b": make})
    first = env.reset()
    assert first["distral_task"].tolist() == [0, 1]
    assert ("distral_action_mask" in first) == (make.func is Masked)
    model = distral(env).learn(30)
    assert model.distilled_policy.observation_space == space
    plain = {key: own[0] for key, own in first.items() if key in space.spaces}
    expected = model.distilled_policy.predict(plain, deterministic=True)[0]
    assert model.predict(plain, deterministic=True)[0] == expected
    assert evaluate_tasks(model, env, 1).keys() == evaluate_tasks(DistilledPredictor.of(model), env, 1).keys()
    if make.func is Toy:
        evaluate_policy(model, Monitor(make()), 1)
    by_task = [model.task_policy(name).predict(plain, deterministic=True)[0] for name in "ab"]
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env={"a": make, "b": make})
    given = {**{key: np.stack([own] * 2) for key, own in plain.items()}, "distral_task": np.array([0, 1])}
    assert np.array_equal(loaded.predict(given, deterministic=True)[0], by_task)
    loaded.add_tasks({"c": make}).learn(12)


@pytest.mark.parametrize("wrapper", [partial(VecFrameStack, n_stack=2), VecNormalize])
def test_wrappers_know_them(wrapper):
    make = partial(Toy, observation_space=SPACES["task image"])
    distral(wrapper(make_task_vec_env([make, make]))).learn(30)


def test_a_vec_env_and_recurrent_policies_take_them():
    make = partial(Toy, observation_space=SPACES["task image"])
    model = RecurrentDistralA2C(DummyVecEnv([make, make]), policy_kwargs={"lstm_hidden_size": 4}).learn(40)
    assert model.n_tasks == 1
