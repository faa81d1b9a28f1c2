"""One training at a time in a folder."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sb3_distral.errors import UsageError
from sb3_distral.files import is_file_of
from sb3_distral.locks import Lock, try_to_lock

#: The file that is locked while a training runs. It says who has it; a kill leaves it, but unlocked.
LOCK = "sb3-distral.lock"


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """
    Keep other trainings out of a folder. Where the file system has no locks, nobody is kept out.

    :param folder: Folder of a run; it is made
    :raises UsageError: If another training is in it, of this process or another, which is named
    """
    new, path = [own for own in (folder, *folder.parents) if not own.exists()], folder / LOCK
    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(path) as file:
        file.truncate(0)
        file.write(json.dumps(whoever_this_is()).encode())
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty: the run has begun
                for own in new:
                    own.rmdir()


def lock_file(path: Path) -> BinaryIO:
    """
    Open a file and lock it.

    :param path: The file; it is made
    :return: The file, which holds the lock until it is closed
    :raises UsageError: If somebody else has locked it
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        if try_to_lock(file.fileno()) is Lock.HELD:
            with file:
                raise UsageError(
                    f"{describe(file.read())} trains in {path.parent} already; expected a folder in which no other "
                    "training runs. Wait for it or end it, then go on with --resume, or pass another --output."
                )
        if is_file_of(file.fileno(), path):
            return file
        file.close()  # of a training that has just ended


def whoever_this_is() -> dict[str, str | int]:
    """
    Say what another process needs to find this one.

    :return: Number of the process, name of its machine or container, and the time
    """
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    return {"process": os.getpid(), "host": platform.node(), "since": now}


def describe(content: bytes) -> str:
    """
    Say who has a lock.

    :param content: What its file holds
    :return: Who; nobody known where the file is being written just now
    """
    try:
        holder = json.loads(content)
        return f"Process {holder['process']} on {holder['host']}, since {holder['since']},"
    except (ValueError, KeyError, TypeError):
        return "Another process"
