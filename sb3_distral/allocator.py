"""How the C library keeps memory between updates."""

import ctypes

# Parameters of mallopt(3) and the largest values that they take; older glibc refuses more than the last.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST, MOST_OF_OLD = 2**31 - 1, 32 * 2**20


def keep_freed_memory() -> None:
    """
    Have this process keep the memory that it frees for what it allocates next.

    By default glibc gives memory of large tensors back to the system, and in the next update the system hands it out
    anew, page by page and zeroed: a fifth of the time of the paper's convolutions. Numbers do not change. It holds for
    everything in the process, so it is called by programs (``sb3-distral train`` does) and by no class of this package.
    Where the C library has no ``mallopt``, as on macOS and Windows, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    if not mallopt(M_MMAP_THRESHOLD, MOST):
        mallopt(M_MMAP_THRESHOLD, MOST_OF_OLD)
    mallopt(M_TRIM_THRESHOLD, MOST)
