"""Observations that Stable-Baselines3 has no encoding for arrive as gymnasium flattens them."""

from functools import partial

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation
from integration.toys import Toy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from sb3_distral import DistralA2C, RemoteVecEnv, make_task_vec_env

from .messages import refuses

STRANGE = [
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([2, 3], start=[5, -1]),
    spaces.MultiDiscrete([[2, 3], [4, 2]]),
]
FORKED = {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "fork"}}


class Sampled(Toy):
    def observe(self):
        return self.observation_space.sample()

    def reset(self, *, seed=None, options=None):
        self.observation_space.seed(seed)
        return super().reset(seed=seed)


def expected(space, seed):
    sample = Sampled(observation_space=space).reset(seed=seed)[0]
    return spaces.flatten(space, sample) if not isinstance(space, spaces.Dict) else sample


@pytest.mark.parametrize("space", STRANGE, ids=str)
@pytest.mark.parametrize("arguments", [{}, FORKED, {"vec_env_cls": RemoteVecEnv}], ids=["here", "forked", "remote"])
def test_discrete_observations_with_a_start_or_in_a_table_are_vectors(space, arguments):
    task_env = make_task_vec_env([partial(Sampled, observation_space=space)] * 2, seed=3, **arguments)
    observations = task_env.reset()["obs"]
    task_env.close()
    assert task_env.observation_space["obs"] == spaces.flatten_space(space)
    for index, row in enumerate(observations):
        assert row.tolist() == expected(space, 3 + index).tolist()


def test_keys_of_a_dict_are_encoded_one_by_one():
    space = spaces.Dict({"strange": STRANGE[0], "box": spaces.Box(0.0, 1.0, (2,)), "plain": spaces.Discrete(3)})
    task_env = make_task_vec_env(partial(Sampled, observation_space=space), seed=3)
    observations, sample = task_env.reset(), expected(space, 3)
    assert observations["strange"][0].tolist() == spaces.flatten(STRANGE[0], sample["strange"]).tolist()
    assert np.array_equal(observations["box"][0], sample["box"])
    assert observations["plain"].tolist() == [sample["plain"]]
    assert {key: task_env.observation_space[key] for key in ("strange", "box", "plain")} == {
        **space.spaces,
        "strange": spaces.flatten_space(STRANGE[0]),
    }


@pytest.mark.parametrize("space", [spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)], ids=str)
def test_what_stable_baselines3_encodes_itself_stays_as_it_is(space):
    task_env = make_task_vec_env([partial(Sampled, observation_space=space)])
    assert task_env.observation_space["obs"] == space


def test_the_wrapper_is_inside_the_monitor():
    task_env = make_task_vec_env([partial(Sampled, observation_space=STRANGE[0])])
    assert isinstance(task_env.unwrapped.envs[0], Monitor)


@pytest.mark.parametrize("space", [*STRANGE, spaces.Dict({"a": STRANGE[0], "b": spaces.Discrete(2)})], ids=str)
def test_models_train_on_them(space):
    DistralA2C([partial(Sampled, observation_space=space)] * 2, n_steps=4).learn(16)


@pytest.mark.parametrize("space", STRANGE, ids=str)
def test_vec_envs_of_them_are_refused_with_advice_that_works(space):
    make = partial(Sampled, observation_space=space)
    with refuses("observations of the VecEnv are", "Wrap each", "FlattenObservation"):
        make_task_vec_env([DummyVecEnv([make])])
    make_task_vec_env([DummyVecEnv([lambda: FlattenObservation(make())])])
    with refuses("under the key 'a'"):
        keyed = spaces.Dict({"a": space, "b": spaces.Discrete(2)})
        make_task_vec_env([DummyVecEnv([partial(Sampled, observation_space=keyed)])])
