"""Writers of one file, side by side, one after the other and killed."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from sb3_distral.files import atomic_write, create_beside, remove_abandoned
from sb3_distral.runs.folder import remove_unfinished


def write(path, text):
    with atomic_write(path) as beside:
        beside.write_text(text)


def test_writers_of_one_file_leave_it_whole(tmp_path):
    path = tmp_path / "run.json"
    with atomic_write(path) as first:
        first.write_text("first")
        write(path, "second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_containers_whose_processes_have_equal_numbers_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    test_writers_of_one_file_leave_it_whole(tmp_path)


def test_threads_that_write_one_file_at_the_same_time(tmp_path):
    path, errors, texts = tmp_path / "model", [], ["short", "long" * 5000]

    def write_often(text):
        try:
            for _ in range(150):
                write(path, text)
                assert path.read_text() in texts
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write_often, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(tmp_path.iterdir()) == [path]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o666, 0o444])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "model"
    path.touch()
    path.chmod(mode)
    with atomic_write(path) as beside:
        assert mode_of(beside) == mode | 0o600
        beside.write_text("new")
    assert mode_of(path) == mode and path.read_text() == "new"


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_a_new_file_has_the_mode_of_new_files(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "model", "new")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "model") == 0o666 & ~umask


def test_a_symbolic_link_stays_one(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    for target in ("store/model", "store/new"):
        link = tmp_path / f"link to {target[6:]}"
        link.symlink_to(target)
        write(link, "through the link")
        assert link.is_symlink() and (tmp_path / target).read_text() == "through the link"
    assert sorted(path.name for path in store.iterdir()) == ["model", "new"]


UNFINISHED_WRITE = """
    import sys
    from sb3_distral.files import atomic_write
    with atomic_write(sys.argv[1]) as beside:
        beside.write_text("unfinished")
        print(beside, flush=True)
        input()
"""


@pytest.fixture
def writer(tmp_path):
    """A process in the middle of writing, and its unfinished file."""
    command = [sys.executable, "-c", textwrap.dedent(UNFINISHED_WRITE), str(tmp_path / "model")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_what_killed_writers_left_goes_with_the_next_write_of_that_file(tmp_path, writer):
    process, unfinished = writer
    others = [tmp_path / name for name in ("model.backup.part", "other.0a1b.part", "model.part", "model.0a1b")]
    of_earlier_versions = tmp_path / "model.4711.part"
    for path in (*others, of_earlier_versions):
        path.touch()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert unfinished.read_text() == "unfinished"
    write(tmp_path / "model", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "model", *others])


@pytest.mark.parametrize("sweep", [lambda path: write(path, "whole"), lambda path: remove_unfinished(path.parent)])
def test_what_a_living_process_writes_stays(tmp_path, writer, sweep):
    process, unfinished = writer
    sweep(tmp_path / "model")
    assert unfinished.read_text() == "unfinished"
    process.communicate("\n")
    assert process.returncode == 0 and (tmp_path / "model").read_text() == "unfinished"


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    sweeps = []

    def sweep_first(descriptor, wait=False):
        if not sweeps:
            sweeps.append(list(tmp_path.iterdir()))
            remove_abandoned(sweeps[0])
        return try_to_lock(descriptor, wait)

    from sb3_distral import files
    from sb3_distral.locks import try_to_lock

    monkeypatch.setattr(files, "try_to_lock", sweep_first)
    beside, lock = create_beside(tmp_path / "model")
    with lock:
        assert len(sweeps[0]) == 1 and list(tmp_path.iterdir()) == [beside] and beside not in sweeps[0]
