"""What suites tell of their environments holds wherever these are made."""

import os
from functools import partial
from pathlib import Path

import pytest
from integration.toys import Toy
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from sb3_distral import RemoteVecEnv, TaskVecEnv, make_task_vec_env
from sb3_distral.envs import hooks

from .messages import refuses

#: What the hook saw in this process; the hook runs in others too.
calls = []


def hook():
    calls.append(os.getpid())


class Witness(Toy):
    """How often the hook ran in its process before it was made."""

    def __init__(self):
        super().__init__()
        self.n_calls = len(calls)


def make_witness(env_id):
    return Witness() if env_id == "Witness" else None


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    calls.clear()
    monkeypatch.setattr(hooks, "process_hooks", [hook])
    monkeypatch.setattr(hooks, "id_makers", [make_witness])


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv, RemoteVecEnv])
@pytest.mark.parametrize("task", ["Witness", Witness], ids=["id", "callable"])
def test_hooks_run_before_environments_are_made_in_every_process(task, vec_env_cls):
    task_env = make_task_vec_env({"a": task}, vec_env_cls=vec_env_cls)
    assert task_env.get_attr("n_calls")[0] >= 1
    task_env.close()


def test_hooks_run_again_when_environments_are_made():
    """A callable may be the first to import what a hook is about."""
    made = []

    def make():
        made.append(len(calls))
        return Toy()

    make_task_vec_env(make)
    assert len(calls) > made[0]


def test_hooks_run_for_vec_envs_that_were_made_elsewhere():
    TaskVecEnv(DummyVecEnv([Toy]), [0], ["task"])
    assert calls


def test_ids_of_nobody_are_gymnasiums():
    assert make_task_vec_env("CartPole-v1").get_attr("spec")[0].id == "CartPole-v1"


def test_a_callable_that_gives_no_environment_is_refused():
    with refuses("gave None", "expected an environment of gymnasium"):
        make_task_vec_env(partial(dict.get, {}, "key"))


def test_environments_know_no_suite():
    for path in Path(hooks.__file__).parent.glob("*.py"):
        assert "sb3_distral.tasks" not in path.read_text(encoding="utf-8"), path
