"""Locks on files, held by the system: whatever ends a process frees its locks."""

import enum

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]


class Lock(enum.Enum):
    """What came of the attempt to lock a file."""

    TAKEN = "it is locked now, by whoever asked"
    HELD = "somebody else holds it, in this process or another"
    UNKNOWN = "there are no locks here: on this file system or this operating system"


def try_to_lock(descriptor: int, wait: bool = False) -> Lock:
    """
    Lock a file against others who lock it.

    :param descriptor: The file, open for writing; the lock lasts until it is closed
    :param wait: Whether to wait until the lock is free
    :return: Whether it is locked
    """
    if fcntl is None:
        return Lock.UNKNOWN
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.HELD
    except OSError:
        return Lock.UNKNOWN
    return Lock.TAKEN
