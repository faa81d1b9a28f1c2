"""Whatever interrupts a save, the file is the old one or the new one."""

import contextlib
import pathlib
import threading
from functools import partial

import pytest
import torch as th
from stable_baselines3.common import save_util

from sb3_distral import DistralA2C

from .toys import Toy, start, training_state

TASKS = {"left": partial(Toy, reward=None), "right": partial(Toy, reward=None, length=6)}


class Interruption(BaseException):
    """Anything, a keyboard interrupt included."""


def fail_at_call(number, function):
    calls = []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise Interruption
        return function(*args, **kwargs)

    return failing


FAILURES = {
    "before anything is written": (save_util, "data_to_json", 1),
    "at the variables": (save_util.th, "save", 1),
    "at the policy": (save_util.th, "save", 2),
    "at the optimizer": (save_util.th, "save", 3),
    "at the end of the archive": (save_util, "get_system_info", 1),
    "before the rename": (pathlib.Path, "replace", 1),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_save_leaves_the_previous_file(failure, tmp_path, monkeypatch):
    model = DistralA2C(TASKS, seed=0).learn(20)
    model.save(tmp_path / "model")
    before, contents = training_state(model), (tmp_path / "model.zip").read_bytes()
    model.learn(20, reset_num_timesteps=False)
    owner, name, call = FAILURES[failure]
    with monkeypatch.context() as patch, pytest.raises(Interruption):
        patch.setattr(owner, name, fail_at_call(call, getattr(owner, name)))
        model.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"], "no part of a file is left"
    assert (tmp_path / "model.zip").read_bytes() == contents
    assert DistralA2C.load(tmp_path / "model").num_timesteps == before["num_timesteps"] == 20
    model.save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model").num_timesteps == 40
    assert model._resume_state is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_first_save_leaves_no_file(tmp_path, monkeypatch):
    model = DistralA2C(TASKS)
    with monkeypatch.context() as patch, pytest.raises(Interruption):
        patch.setattr(save_util.th, "save", fail_at_call(2, th.save))
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


SAVING = """
    import os, signal, sys, time
    import torch
    import sb3_distral
    torch.set_num_threads(1)
    env = sb3_distral.tasks.make("two-rooms", n_envs_per_task=4, seed=0, n_tasks=4)
    model = sb3_distral.DistralA2C(env, seed=0).learn(80)
    path = "{folder}/model.zip"
    model.save(path)
    for trial in range({trials}):
        child = os.fork()
        if child == 0:
            while True:
                model.save(path)
        time.sleep(0.05 + 0.013 * trial)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert sb3_distral.DistralA2C.load(path).num_timesteps == 80
        print("readable", flush=True)
    model.save(path)
    assert os.listdir("{folder}") == ["model.zip"], "what killed saves have left is gone"
"""


@pytest.mark.slow
def test_saves_that_are_killed_leave_a_readable_file(tmp_path):
    process = start(SAVING, folder=tmp_path, trials=12)
    output, errors = process.communicate(timeout=900)
    assert output.split() == ["readable"] * 12, errors


def test_a_file_that_is_whole_replaces_the_old_one_in_one_step(tmp_path, monkeypatch):
    """Until the rename, a reader finds the old file under the name."""
    model = DistralA2C(TASKS).learn(20)
    model.save(tmp_path / "model")
    model.learn(20, reset_num_timesteps=False)
    read, replace = [], pathlib.Path.replace

    def watched(self, target):
        read.append(DistralA2C.load(target).num_timesteps)
        read.append(DistralA2C.load(self).num_timesteps)
        return replace(self, target)

    monkeypatch.setattr(pathlib.Path, "replace", watched)
    model.save(tmp_path / "model")
    assert read == [20, 40]


def test_threads_that_save_one_model_do_not_meet_inside_of_it(tmp_path, monkeypatch):
    model, second_is_inside, first_is_done = DistralA2C(TASKS).learn(20), threading.Event(), threading.Event()
    second = threading.Thread(target=model.save, args=(tmp_path / "second",))
    data_to_json = save_util.data_to_json

    def inside(data):
        if threading.current_thread() is second:
            second_is_inside.set()
            first_is_done.wait()
        else:
            second.start()
            second_is_inside.wait(0.5)  # in vain
        return data_to_json(data)

    monkeypatch.setattr(save_util, "data_to_json", inside)
    model.save(tmp_path / "first")
    first_is_done.set()
    second.join()
    assert model._resume_state is None
    for name in ("first", "second"):
        assert DistralA2C.load(tmp_path / name)._resume_state is not None


def test_a_save_that_fails_leaves_a_model_that_trains(tmp_path):
    model = DistralA2C(TASKS).learn(20)
    with contextlib.suppress(OSError):
        model.save(tmp_path / ("x" * 400))
    assert model._resume_state is None
    model.learn(20, reset_num_timesteps=False).save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model", env=TASKS).num_timesteps == 40


def test_a_model_whose_tasks_were_renamed_can_be_loaded(tmp_path):
    model = DistralA2C({"a": Toy, "b": Toy}, alpha={"a": 0.25, "b": 1.0})
    model.rename_tasks({"a": "c", "b": "d"})
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model")
    assert loaded.task_names == ["c", "d"] and loaded.costs.alpha.tolist() == [0.25, 1.0]
