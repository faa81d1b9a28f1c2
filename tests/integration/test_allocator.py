"""Freed memory is kept for what is allocated next."""

import ctypes
import platform
import subprocess
import sys

import pytest

from sb3_distral.allocator import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, MOST, keep_freed_memory

# How many pages the system hands out for tensors of 100 MB in all, when as many have just been freed.
COUNT_NEW_PAGES = """
import resource, sys
import torch as th
from sb3_distral.allocator import keep_freed_memory

def allocate():
    tensors = [th.ones(1_000_000) for _ in range(25)]

if sys.argv[1] == "keep":
    keep_freed_memory()
allocate()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    allocate()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(keep: str) -> int:
    command = [sys.executable, "-c", COUNT_NEW_PAGES, keep]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these parameters")
def test_freed_memory_is_used_again() -> None:
    assert new_pages("keep") < new_pages("give back") / 10


def test_without_mallopt_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory()


def test_an_older_glibc_that_takes_less_gets_less(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {}

    class OldLibrary:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            if parameter == M_MMAP_THRESHOLD and value > 32 * 2**20:
                return 0
            taken[parameter] = value
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: OldLibrary)
    keep_freed_memory()
    assert taken == {M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: MOST}
