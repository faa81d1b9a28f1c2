"""The files of a run: the options it began with, logs, checkpoints, evaluations and, in the end, the model."""

import json
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from stable_baselines3.common.logger import Logger, make_output_format
from typing_extensions import override

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.files import UNFINISHED, atomic_write, remove_abandoned
from sb3_distral.runs.models import UnusableModelError, check_finite, load_model

OPTIONS, MODEL, CHECKPOINTS, EVALUATIONS = "train.json", "model.zip", "checkpoints", "evaluations"
N_KEPT_CHECKPOINTS = 2
log = logging.getLogger(__name__)


class Saved(NamedTuple):
    """
    A model and its file.

    :param path: The file
    :param model: The model
    """

    path: Path
    model: DistralAlgorithm


class LastCheckpoints(RolloutCheckpointCallback):
    """
    Save checkpoints and delete all but the last ``N_KEPT_CHECKPOINTS``.

    A training that has diverged ends here, before its checkpoints take the place of good ones.
    """

    @override
    def _on_rollout_start(self) -> None:
        if self.n_calls - self.last_save >= self.save_freq:
            check_finite(self.model)  # type: ignore[arg-type]
        super()._on_rollout_start()
        if self.last_save == self.n_calls:
            for path in checkpoints(Path(self.save_path))[N_KEPT_CHECKPOINTS:]:
                path.unlink()


def checkpoints(folder: Path) -> list[Path]:
    """
    List checkpoints.

    :param folder: Folder of checkpoints
    :return: Their files, the newest first
    """
    steps = {path: re.fullmatch(r"checkpoint_(\d+)_steps\.zip", path.name) for path in folder.glob("*.zip")}
    return sorted((path for path in steps if steps[path]), key=lambda path: -int(steps[path][1]))  # type: ignore[index]


def load_newest_checkpoint(run: Path, env: TaskVecEnv | None = None) -> Saved | None:
    """
    Load the newest checkpoint that can be used, and report those that cannot.

    :param run: Folder of a run
    :param env: Tasks to train on with; ``None``: the model only acts
    :return: The checkpoint; ``None`` if there is none
    :raises UsageError: If there are checkpoints but none can be used
    """
    paths = checkpoints(run / CHECKPOINTS)
    for path in paths:
        try:
            return Saved(path, load_model(path, env))
        except UnusableModelError as error:
            log.warning("A checkpoint is passed over: %s", error)
    if paths:
        raise UsageError(
            f"None of the {len(paths)} checkpoints in {run / CHECKPOINTS} can be used. Put one of them back from a "
            "copy, delete them to start from the beginning, or pass another --output."
        )
    return None


def load_saved(path: Path) -> Saved:
    """
    Load the model of a run, to act.

    :param path: Folder of a run, or file of a model
    :return: The model; of an unfinished run its newest checkpoint that can be used
    :raises UsageError: If there is no model, or none that can be used
    """
    if not path.exists():
        raise UsageError(f"There is no {path}; expected the folder of a run or the zip file of a model.")
    file = path / MODEL if path.is_dir() else path
    if file.exists():
        return Saved(file, load_model(file))
    saved = load_newest_checkpoint(path)
    if saved is None:
        raise UsageError(
            f"There is neither {MODEL} nor a checkpoint in {path}. Pass the folder of a run or the zip file of a "
            "model; a run that was stopped before its first checkpoint begins again with --resume."
        )
    return saved


def run_folder(path: Path) -> Path:
    """
    Find the folder of the run that a model belongs to.

    :param path: Folder of a run, or file of a model
    :return: Where the options of its training would be
    """
    if path.is_dir():
        return path
    return path.parent.parent if path.parent.name == CHECKPOINTS else path.parent


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
    Delete what an interruption in the middle of saving has left; what is being written stays.

    :param run: Folder of the run
    """
    remove_abandoned(run.rglob(f"*{UNFINISHED}"))


def write_json(path: Path, values: Any) -> None:
    """
    Write a file of JSON, whole or not at all.

    :param path: File
    :param values: Anything that JSON can hold
    """
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
