"""Two trainings and one folder."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
import threading

import pytest

from sb3_distral.errors import UsageError
from sb3_distral.runs import Training, lock
from sb3_distral.runs.lock import LOCK, exclusive

from .tiny import TINY, tiny

#: It trains until it is told to stop, in the middle of a training with a checkpoint.
HALTING = """
import json, sys
from pathlib import Path
from sb3_distral import DistralA2C
from sb3_distral.runs import Training

own_update = DistralA2C._update_info_buffer

def update(model, *args):
    own_update(model, *args)
    if model.num_timesteps == 1000:
        print("training", flush=True)
        input()

DistralA2C._update_info_buffer = update
Training(**json.loads(sys.argv[1]), output=Path(sys.argv[2])).train()
"""


def files(folder):
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*")}


@pytest.fixture
def other(tmp_path):
    """Another process that trains in the folder ``run``."""
    command = [sys.executable, "-c", HALTING, json.dumps(TINY), str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "training\n"
        yield process
        process.kill()


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path, other, finished):
    folder = tmp_path / "run"
    before = files(folder)
    host = re.escape(platform.node())
    message = (
        rf"^Process {other.pid} on {host}, since 20\d\d-.*trains in .*run already; expected.*pass another --output"
    )
    with pytest.raises(UsageError, match=message):
        tiny(folder).train(resume=True)
    assert files(folder) == before, "nothing was written, nothing deleted"
    assert before["checkpoints/checkpoint_800_steps.zip"] > 0
    other.communicate("\n")
    assert other.returncode == 0 and LOCK not in files(folder)
    assert files(folder).keys() == {name.replace(*renamed(finished, folder)) for name in files(finished)}


def renamed(finished, folder):
    """TensorBoard's files bear time, host and process in their names."""
    (one,), (other,) = (list(run.glob("events*")) for run in (finished, folder))
    return one.name, other.name


def test_a_kill_frees_the_folder(tmp_path, other):
    folder = tmp_path / "run"
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert LOCK in files(folder)
    Training.read(folder).train(resume=True)
    assert LOCK not in files(folder) and "model.zip" in files(folder)


def test_a_killed_training_that_wrote_nothing_else_leaves_an_empty_folder(tmp_path):
    (tmp_path / LOCK).touch()
    tiny(tmp_path, total_timesteps=40).train()
    assert (tmp_path / "model.zip").exists() and not (tmp_path / LOCK).exists()


def test_threads_of_one_process_are_two_trainings(tmp_path):
    refused = []

    def train():
        try:
            tiny(tmp_path / "run").train()
        except UsageError as error:
            refused.append(str(error))

    with exclusive(tmp_path / "run"):
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
    assert len(refused) == 1 and refused[0].startswith(f"Process {os.getpid()} on ")


def test_a_training_that_fails_frees_the_folder(tmp_path):
    with pytest.raises(UsageError, match="no suite"), exclusive(tmp_path / "runs" / "run"):
        raise UsageError("no suite")
    assert list(tmp_path.iterdir()) == [], "a folder in which nothing began is not left either"


def test_a_folder_of_something_else_stays_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").touch()
    (tmp_path / LOCK).write_text("mine")
    with pytest.raises(UsageError, match="is not empty but holds no run"):
        tiny(tmp_path).train()
    assert (tmp_path / LOCK).read_text() == "mine"


def test_a_lock_that_does_not_say_whose_it_is(tmp_path):
    with exclusive(tmp_path):
        for content in ("", "{", "[]", "{}"):
            (tmp_path / LOCK).write_text(content)
            with pytest.raises(UsageError, match=r"^Another process trains in"), exclusive(tmp_path):
                pass


def test_the_file_of_a_training_that_has_just_ended_is_not_taken_for_the_new_one(tmp_path, monkeypatch):
    """It is deleted by the first between the second's opening and locking of it; a third makes a new one."""
    own, opened = lock.try_to_lock, []

    def delete_first(descriptor):
        if not opened:
            opened.append(descriptor)
            (tmp_path / LOCK).unlink()
        return own(descriptor)

    monkeypatch.setattr(lock, "try_to_lock", delete_first)
    with exclusive(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
        with pytest.raises(UsageError, match="already"), exclusive(tmp_path):
            pass


def test_without_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "try_to_lock", lambda descriptor: lock.Lock.UNKNOWN)
    with exclusive(tmp_path), exclusive(tmp_path):
        pass
