"""Files that an interruption leaves whole."""

import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sb3_distral.locks import Lock, try_to_lock

#: What unfinished files end in. Their locks tell those of living writers from leftovers.
UNFINISHED = ".part"


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """
    Write a file beside the old one and rename it over that when it is whole.

    An interruption at any point leaves the old file readable, and two writers, threads or processes anywhere, do not
    write into each other's file. The file keeps its mode, and a symbolic link stays one. What writers of the same file
    have left that were killed is deleted.

    :param path: The file
    :return: Where to write
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(leftovers_of(path))
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    beside, lock = create_beside(path)
    with lock:
        try:
            if mode is not None:
                beside.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)  # never open to more readers than the old file
            yield beside
            with beside.open("r+b") as file:
                os.fsync(file.fileno())
            if mode is not None:
                beside.chmod(mode)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def create_beside(path: Path) -> tuple[Path, BinaryIO]:
    """
    Create an empty file under a name that nobody has, and lock it for as long as it is written.

    :param path: The file that it will replace
    :return: The file, and what holds its lock until it is closed
    """
    while True:
        # Not by ``tempfile``, whose files are the user's alone: the mode that the umask leaves cannot be asked for
        # without setting it in all threads.
        beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}{UNFINISHED}")
        lock = beside.open("x+b")
        if try_to_lock(lock.fileno(), wait=True) is Lock.UNKNOWN:
            lock.close()  # where there are no locks an open file may not be renamed
            return beside, lock
        if is_file_of(lock.fileno(), beside):
            return beside, lock
        lock.close()  # it was taken for a leftover before it was locked


def is_file_of(descriptor: int, path: Path) -> bool:
    """
    Tell whether a file still has its name.

    :param descriptor: The file
    :param path: The name
    :return: Whether it does
    """
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def leftovers_of(path: Path) -> list[Path]:
    """
    List unfinished files, of living writers too.

    :param path: The file that they would have replaced
    :return: The files; those of earlier versions have the number of a process in their names
    """
    pattern = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]+{re.escape(UNFINISHED)}")
    with os.scandir(path.parent) as entries:
        return [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name)]


def remove_abandoned(paths: Iterable[Path]) -> None:
    """
    Delete unfinished files whose writers no longer live.

    :param paths: Unfinished files; those that are being written stay
    """
    for path in paths:
        with suppress(OSError), path.open("r+b") as file:  # gone, or of somebody else
            if try_to_lock(file.fileno()) is Lock.TAKEN:
                path.unlink()
