"""The files of a run: the options it began with, logs, checkpoints and, in the end, the model."""

import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from stable_baselines3.common.logger import Logger, make_output_format

from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback
from sb3_distral.errors import UsageError
from sb3_distral.files import atomic_write

OPTIONS, MODEL, CHECKPOINTS = "train.json", "model.zip", "checkpoints"
N_KEPT_CHECKPOINTS = 2


class LastCheckpoints(RolloutCheckpointCallback):
    """Save checkpoints and delete all but the last ``N_KEPT_CHECKPOINTS``."""

    def _on_rollout_start(self) -> None:
        super()._on_rollout_start()
        if self.last_save == self.n_calls:
            for path in checkpoints(Path(self.save_path))[N_KEPT_CHECKPOINTS:]:
                path.unlink()


def checkpoints(folder: Path) -> list[Path]:
    """
    :param folder: Folder of checkpoints
    :return: Checkpoints, the newest first
    """
    steps = {path: re.fullmatch(r"checkpoint_(\d+)_steps\.zip", path.name) for path in folder.glob("*.zip")}
    return sorted((path for path in steps if steps[path]), key=lambda path: -int(steps[path][1]))  # type: ignore[index]


def newest_checkpoint(run: Path) -> Path | None:
    """
    :param run: Folder of a run
    :return: The newest checkpoint that can be read; ``None`` if there is no checkpoint
    :raises ValueError: If there are checkpoints but none can be read
    """
    paths = checkpoints(run / CHECKPOINTS)
    for path in paths:
        if is_model(path):
            return path
        print(f"{path} is damaged and passed over.")
    if paths:
        raise UsageError(
            f"None of the {len(paths)} checkpoints in {run / CHECKPOINTS} can be read. Put one of them back from a "
            "copy, delete them to start from the beginning, or pass another --output."
        )
    return None


def is_model(path: Path) -> bool:
    """
    :param path: A file
    :return: Whether it is a whole zip file (the checksums agree) of a ``DistralA2C``
    """
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None and "task_names" in json.loads(archive.read("data"))
    except (BadZipFile, EOFError, KeyError, RuntimeError, ValueError, zlib.error):
        return False


def find_model(path: Path) -> tuple[Path, Path]:
    """
    :param path: Folder of a run, or a model
    :return: The model (of an unfinished run: its newest readable checkpoint), and the folder where its run would be
    :raises ValueError: If there is no model
    """
    if path.is_dir():
        model = path / MODEL if (path / MODEL).exists() else newest_checkpoint(path)
        if model is None:
            raise UsageError(
                f"There is neither {MODEL} nor a checkpoint in {path}. Pass the folder of a run or the zip file of a "
                "model; a run that was stopped before its first checkpoint begins again with --resume."
            )
    else:
        model, path = path, path.parent.parent if path.parent.name == CHECKPOINTS else path.parent
    if not model.exists():
        raise UsageError(f"There is no {model}; expected the folder of a run or the zip file of a model.")
    if not is_model(model):
        raise UsageError(f"{model} is damaged or no model of DistralA2C; pass a file that DistralA2C.save has written.")
    return model, path


def make_logger(run: Path, start: int) -> Logger:
    """
    Log to TensorBoard and CSV. Every part of a run has a CSV file of its own.

    :param run: Folder of the run
    :param start: Steps done before, which the name of all CSV files but the first tells
    :return: The logger
    """
    parts = len(list(run.glob("progress*.csv")))
    suffix = f"_{parts}_from_{start}" if parts else ""
    return Logger(str(run), [make_output_format(name, str(run), suffix) for name in ("csv", "tensorboard")])


def remove_unfinished(run: Path) -> None:
    """
    Delete what an interruption in the middle of saving has left.

    :param run: Folder of the run
    """
    unfinished: Iterable[Path] = [*run.glob("*.part"), *(run / CHECKPOINTS).glob("*.part")]
    for path in unfinished:
        path.unlink()


def write_json(path: Path, values: Any) -> None:
    """
    :param path: File, replaced when the new one is whole
    :param values: Anything that JSON can hold
    """
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
