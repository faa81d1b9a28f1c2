"""Stable-Baselines3's wrappers around tasks."""

import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest
from gymnasium import spaces
from integration.toys import DICT_SPACE, IMAGE_SPACE, Toy
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecVideoRecorder

from sb3_distral import DistralA2C, make_task_vec_env
from sb3_distral.envs.task_id import MASK_KEY

TASKS = [partial(Toy, length=3), partial(Toy, length=4)]
MAZES = ["sb3_distral/GridMaze-0-v0", "sb3_distral/GridMaze-1-v0"]


def test_stacks_are_those_of_the_plain_observations_and_the_task_stays():
    stacked = VecFrameStack(make_task_vec_env(TASKS, seed=2, action_masks={"task-1": [True, False]}), 3)
    plain = VecFrameStack(DummyVecEnv(TASKS), 3)
    plain.seed(2)
    assert stacked.observation_space["obs"] == plain.observation_space
    assert stacked.observation_space["task"] == spaces.Discrete(2)
    expected = plain.reset()
    observations = stacked.reset()
    for _ in range(9):
        assert np.array_equal(observations["obs"], expected)
        assert observations["task"].tolist() == [0, 1]
        assert observations[MASK_KEY].tolist() == [[1, 1], [1, 0]]
        expected, _, dones, plain_infos = plain.step(np.zeros(2, dtype=int))
        observations, _, _, infos = stacked.step(np.zeros(2, dtype=int))
        for index in np.flatnonzero(dones):
            terminal = infos[index]["terminal_observation"]
            assert np.array_equal(terminal["obs"], plain_infos[index]["terminal_observation"])
            assert (terminal["task"], terminal[MASK_KEY].tolist()) == (index, [1, 1])


def test_keys_of_a_dict_are_stacked_in_the_order_that_was_asked_for():
    make = partial(Toy, observation_space=spaces.Dict({"image": IMAGE_SPACE, **DICT_SPACE.spaces}))
    orders = {"image": "first", "near": "last", "far": None}
    task_env = VecFrameStack(make_task_vec_env([make]), 2, orders)
    shapes = {key: space.shape for key, space in task_env.observation_space.items()}
    assert shapes == {"image": (72, 36, 3), "near": (4,), "far": (6,), "task": ()}


@pytest.mark.parametrize("space", [None, IMAGE_SPACE, DICT_SPACE], ids=["vector", "image", "dict"])
def test_models_train_on_stacks(space):
    make = partial(Toy, observation_space=space, truncates=True)
    model = DistralA2C(VecFrameStack(make_task_vec_env([make, make]), 2), n_steps=3, policy_kwargs={"net_arch": [8]})
    model.learn(24)
    assert model.predict(model.get_env().reset())[0].shape == (2,)


def test_other_stacks_are_stable_baselines3s():
    with pytest.raises(TypeError, match="only supports Box and Dict"):
        VecFrameStack(DummyVecEnv([partial(Toy, observation_space=spaces.Dict({"a": spaces.Discrete(2)}))]), 2)


@pytest.mark.parametrize("forms", ["one vec env", "several"])
def test_videos_show_all_tasks(forms, tmp_path, monkeypatch):
    films = []

    class Clip:
        def __init__(self, frames, fps):
            films.append((frames, fps))

        def write_videofile(self, path):
            pass

    for name in ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["moviepy.video.io.ImageSequenceClip"].ImageSequenceClip = Clip
    tasks = MAZES if forms == "one vec env" else [make_vec_env_of(maze) for maze in MAZES]
    task_env = VecVideoRecorder(make_task_vec_env(tasks), str(tmp_path), lambda step: step == 0, video_length=5)
    DistralA2C(task_env, n_steps=5).learn(20)
    task_env.close()
    (frames, fps), *others = films
    assert not others and len(frames) == 6 and fps == 10
    alone = make_vec_env_of(MAZES[0])
    alone.reset()
    assert frames[0].size >= 2 * alone.render().size


def make_vec_env_of(maze):
    return make_task_vec_env([maze]).unwrapped
