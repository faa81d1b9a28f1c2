"""Zips that are whole, and unpack to no more than they are: looked at before memory is taken."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

#: What reading a zip leads to that is damaged, or none.
DAMAGE = (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError, OSError, zlib.error)


@contextmanager
def open_whole_zip(file: IO[bytes], largest_ratio: int = 1) -> Iterator[zipfile.ZipFile]:
    """
    Open a zip that is no bomb, such as two megabytes that unpack to a gigabyte.

    :param file: The file
    :param largest_ratio: How many times its own size it may unpack to; 1: its parts are stored as they are
    :return: The zip; its checksums are right
    :raises zipfile.BadZipFile: If it is no such zip; other errors of ``DAMAGE`` are possible too
    """
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
        if largest_ratio == 1 and any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise zipfile.BadZipFile(
                f"it is compressed, which such files are not, and would unpack to {unpacked} bytes"
            )
        if unpacked > largest_ratio * size:
            raise zipfile.BadZipFile(f"its {size} bytes would unpack to {unpacked}")
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of its part {damaged!a} is wrong")
        yield archive
