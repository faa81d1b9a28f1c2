"""The file of policies: a description in JSON and arrays. Reading it runs nothing, and takes no more memory than it."""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch as th

from sb3_distral.archives import open_whole_zip
from sb3_distral.envs.space_json import Json
from sb3_distral.errors import UsageError
from sb3_distral.files import atomic_write

FORMAT = {"format": "policy of sb3-distral", "version": 2}
#: The parts of the file: a description, and an array for each tensor, as ``numpy.savez`` stores them.
DESCRIPTION, ARRAYS, SUFFIX = "policy.json", "weights/", ".npy"
#: Longest description, in bytes
LONGEST = 2**22


def write_archive(path: str | Path, described: Json, weights: Mapping[str, th.Tensor]) -> None:
    """
    Write a description and weights, whole or not at all.

    :param path: File
    :param described: The description, of what ``json.dumps`` takes; the version of this package is added
    :param weights: Tensors by name
    :raises UsageError: If the description is too long to be read again
    """
    described = {**FORMAT, "sb3_distral": version("sb3-distral"), **described}
    text = json.dumps(described, indent=2, allow_nan=False)
    if len(text) > LONGEST:
        raise UsageError(
            f"{path} is not written: its description (tasks, spaces, statistics of VecNormalize) would have "
            f"{len(text)} characters, expected at most {LONGEST}. Save it by the method save."
        )
    with atomic_write(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        archive.writestr(DESCRIPTION, text)
        for name, tensor in weights.items():
            with archive.open(f"{ARRAYS}{name}{SUFFIX}", "w", force_zip64=True) as member:
                array = np.asarray(tensor.detach().cpu().numpy(), order="C")
                np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def is_archive_of_policies(archive: zipfile.ZipFile) -> bool:
    """
    Tell the file of policies from all other zips.

    :param archive: A zip
    :return: Whether it has a description
    """
    return DESCRIPTION in archive.namelist()


def read_archive(file: IO[bytes]) -> tuple[Json, dict[str, th.Tensor]]:
    """
    Read description and weights, without running anything.

    :param file: The file
    :return: The description as the file has it, and the tensors by name
    :raises Exception: Of any kind, if the file is damaged or something else
    """
    with open_whole_zip(file) as archive:
        if not is_archive_of_policies(archive):
            raise UsageError(f"it is {kind_of_zip(archive)}")
        if archive.getinfo(DESCRIPTION).file_size > LONGEST:
            raise UsageError(f"its {DESCRIPTION} is longer than {LONGEST} bytes")
        described = json.loads(archive.read(DESCRIPTION))
        check_format(described)
        names = [name for name in archive.namelist() if name.startswith(ARRAYS) and name.endswith(SUFFIX)]
        return described, {name[len(ARRAYS) : -len(SUFFIX)]: _read_array(archive.read(name)) for name in names}


def check_format(described: Any) -> None:
    """
    Refuse descriptions in another form.

    :param described: What the file holds
    :raises UsageError: If it is none, or of another version of the form
    """
    if not isinstance(described, dict):
        raise UsageError(f"its {DESCRIPTION} holds a {type(described).__name__}, expected an object")
    found = {name: described.get(name) for name in FORMAT}
    if found != FORMAT:
        writer = described.get("sb3_distral", "another version")
        raise UsageError(f"its format is {found}, written by sb3-distral {writer!s:.20}; expected {FORMAT}")


def kind_of_zip(archive: zipfile.ZipFile) -> str:
    """
    Say what a zip without a description is.

    :param archive: The zip
    :return: Words for a message
    """
    names = archive.namelist()
    if "data" in names and "policy.pth" in names:
        return "a model of Stable-Baselines3's method save, which could run code"
    if any(name.endswith("data.pkl") for name in names):
        return "a pickle of PyTorch, which could run code"
    return f"a zip without {DESCRIPTION}"


def _read_array(content: bytes) -> th.Tensor:
    """As ``numpy.load``, which would take memory by what the header says, and not by what there is."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise UsageError("an array is in another version of numpy's form")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    n_bytes = len(content) - file.tell()
    is_right = dtype.kind in "fiub" and all(type(own) is int and own >= 0 for own in shape)
    if is_fortran or not is_right or math.prod(shape) * dtype.itemsize != n_bytes:
        raise UsageError(f"an array says that it has the shape {shape} of {dtype}, but has {n_bytes} bytes")
    return th.from_numpy(np.frombuffer(content, dtype, offset=file.tell()).reshape(shape).copy())
