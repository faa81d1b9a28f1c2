"""The files of a study: ``study.json`` and one file for each run."""

import json
import zlib
from pathlib import Path
from typing import Any

from sb3_distral.checkpoint import atomic_write
from sb3_distral.experiments.provenance import provenance
from sb3_distral.experiments.study import Run, Study

STUDY, RUNS = "study.json", "runs"
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


def write_study(folder: Path, study: Study, command: str) -> Study:
    """
    Write ``study.json``. A study that is there already grows by new algorithms and seeds.

    :param folder: Folder of the study
    :param study: What is to be run
    :param command: The command that runs it
    :return: The study as it is now
    :raises ValueError: If the folder holds another study
    """
    if (folder / STUDY).exists():
        study = read_study(folder)[0].joined(study)
    content = {
        "kind": KIND,
        "study": study.as_json(),
        "command": command,
        **provenance(PACKAGES),
    }
    with atomic_write(folder / STUDY) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return study


def read_study(folder: Path) -> tuple[Study, dict[str, Any]]:
    """
    :param folder: Folder of a study
    :return: The study, and all of ``study.json``
    :raises ValueError: If there is no study of this kind
    """
    try:
        content: dict[str, Any] = json.loads((folder / STUDY).read_text(encoding="utf-8"))
        return Study.from_json(content["study"]), content
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"There is no study in {folder}: {STUDY} cannot be read ({error!r}). Pass the folder that was the --output "
            "of a study."
        ) from error
