import gymnasium as gym
import pytest
from integration.toys import CARTPOLE, Toy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from sb3_distral import TaskVecEnv, make_task_vec_env
from sb3_distral.envs.names import name_tasks

from .messages import refuses

MAZE = "sb3_distral/GridMaze-0-v0"


@pytest.mark.parametrize("task", [7, None, {"id": CARTPOLE}])
def test_a_task_that_is_no_environment_is_refused(task):
    with refuses("Task 'right'", repr(task), "expected a gymnasium id, a callable", "or a VecEnv"):
        make_task_vec_env({"left": Toy, "right": task})


def test_names_that_repeat_are_refused():
    with refuses("['same', 'same'] repeat", "name of its own"):
        TaskVecEnv(DummyVecEnv([Toy, Toy]), [0, 1], ["same", "same"])


def test_keys_of_a_dict_that_become_one_name_are_refused():
    with refuses("repeat"):
        make_task_vec_env({1: Toy, "1": Toy})


@pytest.mark.parametrize("indices", [[0], [0, 0], [0, 2], [0, 1, 1]])
def test_indices_that_do_not_fit_are_refused(indices):
    with refuses("2 sub-environments", str(indices), "expected one index for each sub-environment"):
        TaskVecEnv(DummyVecEnv([Toy, Toy]), indices, ["left", "right"])


# Environments that are in two tasks


def test_one_environment_in_two_tasks_is_refused():
    toy = Toy()
    for vec_env_cls in (DummyVecEnv, SubprocVecEnv):
        with refuses("tasks 'a' and 'c' hold the same environment", "Make one for each task"):
            make_task_vec_env({"a": toy, "b": Toy(), "c": Monitor(toy)}, vec_env_cls=vec_env_cls)


def test_one_environment_in_two_vec_envs_is_refused():
    toy = Toy()
    with refuses("tasks 'a' and 'b' hold the same environment"):
        make_task_vec_env({name: DummyVecEnv([lambda: toy]) for name in "ab"})


def test_one_vec_env_under_two_wrappers_is_refused():
    venv = DummyVecEnv([Toy])
    with refuses("tasks 'a' and 'b' hold the same environment"):
        make_task_vec_env({"a": venv, "b": VecMonitor(venv)})


def test_a_callable_that_always_gives_the_same_environment_cannot_be_two_tasks():
    toy = Toy()
    with refuses("tasks 'a' and 'b' hold the same environment"):
        make_task_vec_env({"a": lambda: toy, "b": lambda: toy})


# Mixed forms


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
def test_ids_stand_beside_callables_that_cannot_be_drawn(vec_env_cls):
    arguments = {"start_method": "fork"} if vec_env_cls is SubprocVecEnv else {}
    tasks = {"a": CARTPOLE, "b": lambda: gym.make(CARTPOLE), "c": CARTPOLE}
    task_env = make_task_vec_env(tasks, 2, seed=3, vec_env_cls=vec_env_cls, vec_env_kwargs=arguments)
    observations = task_env.reset()
    assert task_env.render_mode is None
    assert observations["task"].tolist() == [0, 0, 1, 1, 2, 2]
    for index, row in enumerate(observations["obs"]):
        assert row.tolist() == gym.make(CARTPOLE).reset(seed=3 + index)[0].tolist()
    task_env.close()


def test_what_can_be_drawn_everywhere_is_drawn():
    task_env = make_task_vec_env({"a": MAZE, "b": lambda: gym.make(MAZE, render_mode="rgb_array")})
    task_env.reset()
    assert task_env.render().ndim == 3


class EnvPoolMixin:
    """Environments of envpool have a class of this name above them, and specifications without an id."""

    spec = object()


def test_tasks_of_envpool_are_numbered():
    assert list(name_tasks([EnvPoolMixin(), EnvPoolMixin()])) == ["task-0", "task-1"]
