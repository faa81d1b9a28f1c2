"""``study.json``: which study a folder holds, and the commands that made its results."""

import json
from pathlib import Path
from typing import Any

from sb3_distral.files import atomic_write

STUDY = "study.json"


def read_record(folder: Path, kind: str | None = None) -> dict[str, Any]:
    """
    :param folder: Folder of a study
    :param kind: The experiment that it should be of; ``None``: any
    :return: All of ``study.json``
    :raises ValueError: If there is no study, or one of another experiment
    """
    try:
        record: dict[str, Any] = json.loads((folder / STUDY).read_text(encoding="utf-8"))
        found = record["kind"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise no_study(folder, error) from error
    if kind not in (None, found):
        raise ValueError(
            f"{folder} holds the study {found}, expected {kind} or an empty folder. Pass another --output."
        )
    return record


def check_folder(folder: Path, kind: str) -> None:
    """
    :param folder: Folder of a study, begun or not
    :param kind: The experiment that is to be run
    :raises ValueError: If the folder holds a study of another experiment, or one that cannot be read
    """
    if (folder / STUDY).exists():
        read_record(folder, kind)


def no_study(folder: Path, error: Exception) -> ValueError:
    """
    :param folder: Folder without a study that can be read
    :param error: What happened
    :return: The error to raise
    """
    return ValueError(
        f"There is no study in {folder}: {STUDY} cannot be read ({error!r}). Pass the folder that was the --output of "
        "a study, or an empty one to begin."
    )


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """
    :param folder: Folder of a study
    :param record: All of ``study.json``
    """
    with atomic_write(folder / STUDY) as beside:
        beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
