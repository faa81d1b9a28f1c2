"""Which actions are valid, from the environments to the observation."""

from functools import partial

import numpy as np
import pytest
from gymnasium import spaces
from integration.toys import DICT_SPACE, ScriptedVecEnv, Toy, assert_equal
from sb3_contrib.common.wrappers import ActionMasker
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from sb3_distral import RemoteVecEnv, TaskVecEnv, make_task_vec_env
from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.task_id import MASK_KEY, plain_observation, plain_space

from .messages import refuses

FORKED = {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "fork"}}


class Countdown(Toy):
    """In step k of an episode all actions but k are valid."""

    def __init__(self, n_actions=3, length=3, action_space=None, observation_space=None):
        super().__init__(n_actions=n_actions, length=length, observation_space=observation_space)
        self.action_space = action_space or self.action_space

    def action_masks(self):
        return np.arange(3) != self.steps


def masks_of(task_env, n_steps):
    masks = [task_env.reset()[MASK_KEY]]
    for _ in range(n_steps):
        masks.append(task_env.step(np.zeros(task_env.num_envs, dtype=int))[0][MASK_KEY])
    task_env.close()
    return [mask.tolist() for mask in masks]


def test_without_masks_there_is_no_key():
    assert set(make_task_vec_env([Toy, Toy]).observation_space.spaces) == {"obs", "task"}


# Told by the environments


@pytest.mark.parametrize("arguments", [{}, FORKED, {"vec_env_cls": RemoteVecEnv}], ids=["here", "forked", "remote"])
def test_masks_are_those_of_the_state_that_is_seen_also_of_a_new_episode(arguments):
    task_env = make_task_vec_env({"masked": Countdown, "free": partial(Toy, n_actions=3)}, 2, **arguments)
    assert task_env.observation_space[MASK_KEY] == spaces.MultiBinary(3)
    masks = masks_of(task_env, 3)
    assert [mask[0] for mask in masks] == [[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 1, 1]]
    assert [mask[1] for mask in masks] == [mask[0] for mask in masks]
    assert all(mask[2:] == [[1, 1, 1]] * 2 for mask in masks)


def test_observations_with_a_mask_are_in_their_space():
    task_env = make_task_vec_env([Countdown])
    observations = task_env.reset()
    assert observations[MASK_KEY].dtype == np.int8
    assert task_env.observation_space.contains({key: rows[0] for key, rows in observations.items()})


def test_masks_of_vec_envs_are_found_under_wrappers_and_beside_others():
    class MaskedVecEnv(ScriptedVecEnv):
        def action_masks(self):
            return [False, True]

    class Masked(Toy):
        def action_masks(self):
            return [True, False]

    masked = VecMonitor(DummyVecEnv([partial(Masked, observation_space=ScriptedVecEnv().observation_space)]))
    venvs = [masked, ScriptedVecEnv(1), VecMonitor(MaskedVecEnv(1))]
    assert masks_of(make_task_vec_env(venvs), 0) == [[[1, 0], [1, 1], [0, 1]]]
    together = VecMonitor(ConcatVecEnv(venvs))
    assert masks_of(TaskVecEnv(together, [0, 1, 2], ["a", "b", "c"]), 0) == [[[1, 0], [1, 1], [0, 1]]]


def test_the_wrapper_of_sb3_contrib_is_asked_too():
    def make():
        return ActionMasker(Toy(n_actions=3), lambda _: np.array([True, True, False]))

    assert masks_of(make_task_vec_env([make]), 1) == [[[1, 1, 0]], [[1, 1, 0]]]


def test_the_terminal_observation_has_a_mask_of_ones():
    task_env = make_task_vec_env([partial(Countdown, length=1)])
    task_env.reset()
    terminal = task_env.step(np.array([1]))[3][0]["terminal_observation"]
    assert terminal[MASK_KEY].tolist() == [1, 1, 1]
    assert task_env.observation_space.contains(terminal)


def test_returned_masks_are_never_written_again():
    task_env = make_task_vec_env([Countdown])
    first = task_env.reset()[MASK_KEY]
    task_env.step(np.array([1]))
    assert first.tolist() == [[0, 1, 1]]


def test_plain_observations_have_no_mask():
    for space in (None, DICT_SPACE):
        task_env = make_task_vec_env([partial(Countdown, observation_space=space)])
        plain = Toy(observation_space=space).observation_space
        assert plain_space(task_env.observation_space) == plain
        observation = {key: rows[0] for key, rows in task_env.reset().items()}
        assert plain.contains(plain_observation(observation))


# Fixed for a task


@pytest.mark.filterwarnings("ignore:The action spaces of the tasks differ")
def test_a_task_of_fewer_actions_has_a_mask():
    tasks = {"three": partial(Toy, n_actions=3), "five": partial(Toy, n_actions=5)}
    task_env = make_task_vec_env(tasks)
    assert task_env.action_space == spaces.Discrete(5)
    assert masks_of(task_env, 1) == [[[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]] * 2


@pytest.mark.filterwarnings("ignore:The action spaces of the tasks differ")
def test_components_of_an_action_are_masked_one_by_one():
    task_env = make_task_vec_env([Plain(spaces.MultiDiscrete(nvec)) for nvec in ([2, 2], [1, 3])])
    assert task_env.action_space == spaces.MultiDiscrete([2, 3])
    assert task_env.reset()[MASK_KEY].tolist() == [[1, 1, 1, 1, 0], [1, 0, 1, 1, 1]]


class Plain(Toy):
    def __init__(self, action_space):
        super().__init__()
        self.action_space = action_space


def test_masks_may_be_given_by_the_name_of_the_task():
    tasks = dict.fromkeys(("a", "b"), partial(Toy, n_actions=3))
    task_env = make_task_vec_env(tasks, 2, action_masks={"b": [True, False, True]})
    assert masks_of(task_env, 1) == [[[1, 1, 1]] * 2 + [[1, 0, 1]] * 2] * 2


@pytest.mark.filterwarnings("ignore:The action spaces of the tasks differ")
def test_all_masks_of_a_task_count():
    tasks = {"a": Countdown, "b": partial(Toy, n_actions=4)}
    task_env = make_task_vec_env(tasks, action_masks={"a": [True, False, True]})
    assert [mask[0] for mask in masks_of(task_env, 2)] == [[0, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0]]


def test_masks_do_not_change_what_is_observed():
    plain, masked = (make_task_vec_env([Toy] * 2, seed=3, action_masks=masks) for masks in (None, {"task-1": [1, 0]}))
    assert_equal(plain.reset()["obs"], masked.reset()["obs"])
    for _ in range(5):
        steps = [task_env.step(np.zeros(2, dtype=int)) for task_env in (plain, masked)]
        del steps[1][0][MASK_KEY]
        assert_equal(steps[0][:3], steps[1][:3])


# Refusals


def test_a_mask_of_another_length_is_refused():
    with refuses("mask of task 'task' is [True]", "expected 2 entries"):
        make_task_vec_env(Toy, action_masks={"task": [True]})
    with refuses("action_masks() of task 'task', sub-environment 0", "expected 5 entries"):
        make_task_vec_env(partial(Countdown, n_actions=5)).reset()


def test_a_mask_for_an_unknown_task_is_refused():
    with refuses("action_masks names the tasks ['b']", "['a']"):
        make_task_vec_env({"a": Toy}, action_masks={"b": [True, True]})


def test_a_mask_without_any_valid_action_names_its_sub_environment():
    with refuses("No action is valid in task 'b', sub-environment 2", "[0, 0]"):
        make_task_vec_env({"a": Toy, "b": Toy}, 2, action_masks={"b": [False, False]})

    class Stuck(Countdown):
        def action_masks(self):
            return [self.steps == 0] * 3

    task_env = make_task_vec_env({"a": Countdown, "b": Stuck})
    task_env.reset()
    with refuses("No action is valid in task 'b', sub-environment 1"):
        task_env.step(np.array([1, 1]))


def test_each_component_needs_a_valid_choice():
    with refuses("No action is valid in task 'task'"):
        make_task_vec_env(Plain(spaces.MultiDiscrete([2, 2])), action_masks={"task": [True, True, False, False]})


@pytest.mark.parametrize("space", [spaces.Box(0.0, 1.0, (2,)), spaces.MultiBinary(2)])
def test_masks_of_other_actions_are_refused(space):
    with refuses("action_masks was given", str(space), "Discrete and MultiDiscrete", "MultiDiscrete([2] * n)"):
        make_task_vec_env(Plain(space), action_masks={"task": [True, True]})
    with refuses("method action_masks()", str(space)):
        make_task_vec_env(partial(Countdown, action_space=space))


@pytest.mark.parametrize("key", ["action_mask", "distral_task"])
def test_keys_of_the_users_own_are_refused_with_advice(key):
    space = spaces.Dict({key: spaces.MultiBinary(2), "far": spaces.Box(0.0, 1.0, (2,))})
    with refuses(str(sorted(space.spaces)), "reserved", "Rename the key", "method action_masks()"):
        make_task_vec_env([partial(Toy, observation_space=space)])


class WithoutMethods(ScriptedVecEnv):
    def env_method(self):
        raise NotImplementedError


def test_a_vec_env_whose_methods_cannot_be_called_has_no_masks():
    assert MASK_KEY not in make_task_vec_env({"task": WithoutMethods()}).observation_space.spaces
