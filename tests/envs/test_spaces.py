"""Tasks of other spaces side by side: what joins, and what is refused."""

import re
import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from integration.toys import IMAGE_SPACE, Toy
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from sb3_distral import RemoteVecEnv, make_task_vec_env
from sb3_distral.envs.spaces import difference, join, join_actions

from .messages import refuses

SINGLE, DOUBLE = spaces.Box(0.0, 1.0, (3,)), spaces.Box(-2.0, 0.5, (3,), np.float64)
#: Not a number of single precision, and outside the bounds of SINGLE.
PRECISE = -1.0 - 2.0**-40
FORKED = {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "fork"}}


class Fixed(Toy):
    """Always the same observation, and the last action that it was given."""

    def __init__(self, value, observation_space=None, action_space=None):
        super().__init__(observation_space=observation_space)
        self.value = value
        self.action_space = action_space or self.action_space

    def draw(self, space):
        return np.full(space.shape, self.value, dtype=space.dtype)

    def step(self, action):
        self.action = action
        return super().step(action)

    def given(self):
        return self.action


def sides(kind, tasks):
    """The tasks by name in a kind of VecEnv."""
    if kind == "given":
        return make_task_vec_env({name: DummyVecEnv([make]) for name, make in tasks.items()})
    return make_task_vec_env(tasks, **{"here": {}, "forked": FORKED, "remote": {"vec_env_cls": RemoteVecEnv}}[kind])


KINDS = pytest.mark.parametrize("kind", ["here", "forked", "remote", "given"])


# What joins


@KINDS
@pytest.mark.parametrize("order", [["single", "double"], ["double", "single"]])
@pytest.mark.filterwarnings("ignore:The observation spaces of the tasks differ")
def test_observations_of_other_bounds_and_precision_arrive_whole(kind, order):
    tasks = {"single": partial(Fixed, 0.75, SINGLE), "double": partial(Fixed, PRECISE, DOUBLE)}
    task_env = sides(kind, {name: tasks[name] for name in order})
    assert task_env.observation_space["obs"] == spaces.Box(-2.0, 1.0, (3,), np.float64)
    for observations in (task_env.reset(), task_env.step(np.zeros(2, dtype=int))[0]):
        assert observations["obs"].dtype == np.float64
        assert dict(zip(order, observations["obs"][:, 0], strict=True)) == {"single": 0.75, "double": PRECISE}
        assert task_env.observation_space["obs"].contains(observations["obs"][0])
    task_env.close()


@pytest.mark.filterwarnings("ignore:The observation spaces of the tasks differ")
def test_keys_of_dicts_join_one_by_one():
    other = spaces.Box(0.0, 1.0, (2,))
    tasks = {
        name: partial(Fixed, value, spaces.Dict({"joins": space, "is equal": other}))
        for name, value, space in (("single", 0.75, SINGLE), ("double", PRECISE, DOUBLE))
    }
    task_env = make_task_vec_env(tasks)
    assert task_env.observation_space["joins"] == join(SINGLE, DOUBLE)
    assert task_env.observation_space["is equal"] == other
    observations = task_env.reset()
    assert observations["joins"][:, 0].tolist() == [0.75, PRECISE]
    assert observations["is equal"].dtype == np.float32


@KINDS
@pytest.mark.filterwarnings("ignore:The action spaces of the tasks differ")
def test_actions_are_clipped_to_the_bounds_of_their_own_task(kind):
    wide, narrow = spaces.Box(-2.0, 4.0, (2,)), spaces.Box(-1.0, np.array([0.5, 8.0], dtype=np.float32))
    tasks = {"wide": partial(Fixed, 0.5, action_space=wide), "narrow": partial(Fixed, 0.5, action_space=narrow)}
    task_env = sides(kind, tasks)
    assert task_env.action_space == spaces.Box(-2.0, np.array([4.0, 8.0], dtype=np.float32))
    task_env.reset()
    task_env.step(np.array([[-2.0, 8.0], [-2.0, 8.0]], dtype=np.float32))
    assert [action.tolist() for action in task_env.env_method("given")] == [[-2.0, 4.0], [-1.0, 8.0]]
    task_env.close()


def test_actions_pass_untouched_where_all_bounds_are_equal():
    box = spaces.Box(-1.0, 1.0, (2,))
    task_env = make_task_vec_env([partial(Fixed, 0.5, action_space=box)] * 2)
    task_env.reset()
    task_env.step(np.full((2, 2), 3.0))
    assert task_env.env_method("given")[1].tolist() == [3.0, 3.0]


def test_that_spaces_were_joined_is_said_once_for_each_kind():
    tasks = {"a": partial(Fixed, 0.5, SINGLE), "b": partial(Fixed, 0.5, DOUBLE), "c": partial(Fixed, 0.5, DOUBLE)}
    with pytest.warns(UserWarning) as warned:
        make_task_vec_env(tasks)
    told = [str(warning.message) for warning in warned if "differ" in str(warning.message)]
    assert told == [
        f"The observation spaces of the tasks differ; all get the one that holds them, {join(SINGLE, DOUBLE)}."
    ]


def test_equal_spaces_are_not_worth_a_word():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The .* spaces of the tasks differ")
        make_task_vec_env([Toy, Toy])


def test_tasks_of_one_kind_stay_in_one_vec_env():
    """Its loop over all sub-environments is faster than one for each task."""
    assert type(make_task_vec_env([Toy, Toy], 3).unwrapped) is DummyVecEnv


# What does not


@KINDS
def test_what_does_not_join_names_the_task_and_both_spaces(kind):
    tasks = {"first": Toy, "second": Toy, "third": partial(Toy, size=5)}
    with refuses("observation space of task 'third'", "(5,)", "that of task 'first'", "(3,)", "wrap the environments"):
        sides(kind, tasks)


def test_images_do_not_join_with_numbers():
    numbers = spaces.Box(0.0, 1.0, IMAGE_SPACE.shape)
    with refuses("Their types differ, uint8 and float32", "DtypeObservation"):
        make_task_vec_env([partial(Toy, observation_space=space) for space in (IMAGE_SPACE, numbers)])


def test_sub_environments_of_a_task_have_equal_spaces():
    sizes = iter([3, 3, 3, 4])
    with refuses("sub-environment of task 'right'", "(4,)", "(3,)"):
        make_task_vec_env(dict.fromkeys(("left", "right"), lambda: Toy(size=next(sizes))), n_envs_per_task=2)


BOX = spaces.Box(0.0, 1.0, (2, 3))
DIFFERENCES = [
    ("observation", IMAGE_SPACE, spaces.Box(0, 255, (40, 36, 3), np.uint8), ["ResizeObservation"]),
    ("observation", BOX, spaces.Box(0.0, 1.0, (6,)), ["ReshapeObservation"]),
    ("observation", SINGLE, spaces.Box(0.0, 1.0, (6,)), ["TransformObservation"]),
    ("observation", SINGLE, spaces.Box(0, 1, (3,), np.int64), ["DtypeObservation", "RescaleObservation"]),
    ("observation", SINGLE, spaces.Discrete(3), ["FlattenObservation"]),
    ("observation", spaces.Discrete(4), spaces.Discrete(3), ["TransformObservation"]),
    ("observation", spaces.Dict(a=BOX), spaces.Dict(a=BOX, b=BOX), ["FilterObservation"]),
    ("observation", spaces.Dict(a=BOX, b=BOX), spaces.Dict(a=BOX, b=SINGLE), ["key 'b'", "TransformObservation"]),
    ("action", spaces.Discrete(3), spaces.Discrete(3, start=1), ["TransformAction"]),
    ("action", spaces.Discrete(3), SINGLE, ["TransformAction"]),
    ("action", spaces.Box(0.0, 1.0, (2,)), SINGLE, ["TransformAction"]),
    ("action", spaces.MultiDiscrete([2, 2]), spaces.MultiDiscrete([2, 2, 2]), ["TransformAction"]),
]


@pytest.mark.parametrize(("kind", "first", "second", "words"), DIFFERENCES)
def test_the_difference_comes_with_wrappers_that_exist(kind, first, second, words):
    assert (join if kind == "observation" else join_actions)(first, second) is None
    advice = difference(kind, first, second)
    assert all(word in advice for word in words)
    for wrapper in re.findall(r"\b\w+(?:Observation|Action)\b", advice):
        assert hasattr(gym.wrappers, wrapper), wrapper


def test_discrete_actions_join_to_the_largest_set():
    assert join_actions(spaces.Discrete(3, start=2), spaces.Discrete(5, start=2)) == spaces.Discrete(5, start=2)
    two, three = spaces.MultiDiscrete([2, 4]), spaces.MultiDiscrete([3, 3])
    assert join_actions(two, three) == spaces.MultiDiscrete([3, 4])
