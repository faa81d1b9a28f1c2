"""Whatever goes wrong in a task names it, in this process and in others."""

from functools import partial

import numpy as np
import pytest
from integration.toys import DICT_SPACE, Toy
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import DistralA2C, RemoteVecEnv, make_task_vec_env
from sb3_distral.errors import UsageError

from .messages import refuses


class Failing(Toy):
    """Fails in a reset, in a step, or shows something of another shape."""

    def __init__(self, where="", **arguments):
        super().__init__(**arguments)
        self.where = where
        if where == "maker":
            raise ZeroDivisionError("in the maker")

    def reset(self, **arguments):
        if self.where == "reset":
            raise ZeroDivisionError("in the reset")
        return super().reset(**arguments)

    def step(self, action):
        if self.where == "step" and self.steps == 2:
            raise ZeroDivisionError("in the step")
        observation, *rest = super().step(action)
        if self.where == "shape":
            observation = observation[:1] if isinstance(observation, np.ndarray) else {**observation, "far": [0.0]}
        return observation, *rest


def notes(caught):
    return " ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])


def run(tasks, **arguments):
    env = make_task_vec_env(tasks, **arguments)
    try:
        env.reset()
        for _ in range(3):
            env.step(np.zeros(env.num_envs, dtype=np.int64))
    finally:
        env.close()


@pytest.mark.parametrize("where", ["maker", "reset", "step"])
@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, RemoteVecEnv])
def test_an_error_of_an_environment_names_its_task(where, vec_env_cls):
    tasks = {"good": Failing, "bad": partial(Failing, where)}
    with pytest.raises(ZeroDivisionError, match=f"in the {where}") as caught:
        run(tasks, n_envs_per_task=2, vec_env_cls=vec_env_cls)
    assert notes(caught).count("This was in task 'bad'.") == 1


def test_an_error_in_a_vec_env_that_was_given_names_its_task():
    tasks = {name: DummyVecEnv([partial(Failing, where)]) for name, where in {"good": "", "bad": "step"}.items()}
    with pytest.raises(ZeroDivisionError) as caught:
        run(tasks)
    assert "This was in task 'bad'." in notes(caught)


@pytest.mark.parametrize("space", [None, DICT_SPACE], ids=["array", "dict"])
def test_an_observation_of_another_shape_is_refused(space):
    with refuses("Task 'bad' gave an observation", "of the shape (1,); expected (3,)"):
        run(
            {"good": Failing, "bad": partial(Failing, "shape", observation_space=space)}
            if space is None
            else {"bad": partial(Failing, "shape", observation_space=space)}
        )


@pytest.mark.parametrize("given", [lambda: None, lambda: DummyVecEnv([Toy])], ids=["None", "VecEnv"])
def test_a_maker_of_something_else_is_refused_by_name(given):
    with refuses("Task 'bad' is a callable that gave", "expected an environment", "Return one"):
        make_task_vec_env({"good": Toy, "bad": given})


def test_a_renamed_task_is_named_anew():
    model = DistralA2C({"good": Failing, "bad": partial(Failing, "step")}).rename_tasks({"bad": "other"})
    with pytest.raises(ZeroDivisionError) as caught:
        model.learn(20)
    assert "This was in task 'other'." in notes(caught)


def test_missing_infos_are_taken_for_empty_ones_and_other_numbers_are_refused():
    class Silent(DummyVecEnv):
        n = 0

        def step_wait(self):
            return (*super().step_wait()[:3], [{}] * self.n)

    class One(Silent):
        n = 1

    DistralA2C({"a": Silent([Toy, Toy])}).learn(20)
    with pytest.raises(UsageError, match="gave 1 infos for 2 sub-environments; expected a dict for each"):
        DistralA2C({"a": One([Toy, Toy])}).learn(20)


class WithoutOptions(Toy):
    def reset(self, *, seed=None):
        return super().reset(seed=seed)


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, RemoteVecEnv])
def test_an_environment_whose_reset_takes_no_options_runs(vec_env_cls):
    run({"plain": WithoutOptions}, vec_env_cls=vec_env_cls)
