"""The files of a study of Figure 4: ``study.json`` and one file for each run."""

import json
import zlib
from pathlib import Path
from typing import Any

from sb3_distral.experiments.provenance import provenance
from sb3_distral.experiments.study import Run, Study
from sb3_distral.experiments.study_file import STUDY, no_study, read_record, write_record
from sb3_distral.files import atomic_write

RUNS = "runs"
KIND = "figure4"
PACKAGES = ("sb3-distral", "stable-baselines3", "gymnasium", "torch", "numpy")


def run_path(folder: Path, run: Run) -> Path:
    """
    :param folder: Folder of the study
    :param run: A run
    :return: Its file
    """
    return folder / RUNS / f"{run.key}.json"


def write_run(folder: Path, run: Run, content: dict[str, Any]) -> None:
    """
    :param folder: Folder of the study
    :param run: A run
    :param content: ``{"results": …}``, or ``{"failure": traceback}``
    """
    with atomic_write(run_path(folder, run)) as beside:
        content = {"timesteps": run.timesteps, **content}
        text = json.dumps(content | {"checksum": checksum(content)}, separators=(",", ":"))
        beside.write_text(text + "\n", encoding="utf-8")


def read_run(folder: Path, run: Run) -> dict[str, Any] | None:
    """
    :param folder: Folder of the study
    :param run: A run
    :return: What was written, ``None`` if nothing was
    :raises ValueError: If the file is not as it was written
    """
    path = run_path(folder, run)
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        is_whole = content.pop("checksum") == checksum(content) and content["timesteps"] == run.timesteps
    except (AttributeError, KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise ValueError(f"{path} is damaged. Start the study again with the same --output: it repeats this run.")
    return content


def checksum(content: dict[str, Any]) -> int:
    """
    :param content: Content of a file
    :return: Its checksum
    """
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def joined_study(folder: Path, study: Study) -> Study:
    """
    :param folder: Folder of a study, begun or not
    :param study: What is to be run
    :return: It and what the folder holds already
    :raises ValueError: If the folder holds another study
    """
    return read_study(folder)[0].joined(study) if (folder / STUDY).exists() else study


def write_study(folder: Path, study: Study, command: str) -> None:
    """
    Write ``study.json``; the commands that are there already stay.

    :param folder: Folder of the study
    :param study: The whole study
    :param command: The command that goes on with it
    """
    before = commands(read_record(folder, KIND)) if (folder / STUDY).exists() else []
    made_by = {"command": command, **provenance(PACKAGES)}
    write_record(folder, {"kind": KIND, "study": study.as_json(), "commands": [*before, made_by]})


def commands(record: dict[str, Any]) -> list[dict[str, Any]]:
    """
    :param record: All of ``study.json``
    :return: The commands that made the results in order, each with versions, machine and date
    """
    # The first files of this kind held one command, and no list.
    found: list[dict[str, Any]] = record.get("commands", [record])
    return [{name: made_by[name] for name in ("command", "versions", "machine", "date")} for made_by in found]


def read_study(folder: Path) -> tuple[Study, dict[str, Any]]:
    """
    :param folder: Folder of a study
    :return: The study, and all of ``study.json``
    :raises ValueError: If there is no study of this kind
    """
    record = read_record(folder, KIND)
    try:
        return Study.from_json(record["study"]), record
    except (KeyError, TypeError, ValueError) as error:
        raise no_study(folder, error) from error
