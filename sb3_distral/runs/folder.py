"""The files of a run: the options it began with, logs, checkpoints, evaluations and, in the end, the model."""

import json
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, make_output_format
from typing_extensions import override

from sb3_distral.algorithms.acting import ActingModel
from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback
from sb3_distral.algorithms.sharing import save_policy
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.files import UNFINISHED, atomic_write, remove_abandoned
from sb3_distral.runs.models import UnusableModelError, check_finite, is_pickle, load_model, load_policies

OPTIONS, MODEL, CHECKPOINTS, EVALUATIONS = "train.json", "model.zip", "checkpoints", "evaluations"
#: All policies as of the newest checkpoint, and in the end those of the model; those of the best model so far
POLICIES, BEST_POLICIES = "policies.zip", "best_policies.zip"
N_KEPT_CHECKPOINTS = 2
log = logging.getLogger(__name__)


class Saved(NamedTuple):
    """
    A model and its file.

    :param path: The file
    :param model: The model
    """

    path: Path
    model: ActingModel


class KeepPolicies(BaseCallback):
    """
    Save all policies in a file that may be given to strangers.

    :param path: The file
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    @override
    def _on_step(self) -> bool:
        save_policy(self.model, self.path)  # type: ignore[arg-type]
        return True


class LastCheckpoints(RolloutCheckpointCallback):
    """
    Save checkpoints, and the policies beside their folder, and delete all but the last ``N_KEPT_CHECKPOINTS``.

    A training that has diverged ends here, before its checkpoints take the place of good ones.
    """

    @override
    def _on_rollout_start(self) -> None:
        if self.n_calls - self.last_save >= self.save_freq:
            check_finite(self.model)  # type: ignore[arg-type]
        super()._on_rollout_start()
        if self.last_save == self.n_calls:
            save_policy(self.model, Path(self.save_path).with_name(POLICIES))  # type: ignore[arg-type]
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


def load_newest_checkpoint(run: Path, env: TaskVecEnv | None = None) -> tuple[Path, DistralAlgorithm] | None:
    """
    Load the newest checkpoint that can be used, and report those that cannot.

    :param run: Folder of a run
    :param env: Tasks to train on with; ``None``: the model only acts
    :return: The checkpoint, its file and the model; ``None`` if there is none
    :raises UsageError: If there are checkpoints but none can be used
    """
    paths = checkpoints(run / CHECKPOINTS)
    for path in paths:
        try:
            return path, load_model(path, env)
        except UnusableModelError as error:
            log.warning("A checkpoint is passed over: %s", error)
    if paths:
        raise UsageError(
            f"None of the {len(paths)} checkpoints in {run / CHECKPOINTS} can be used. Put one of them back from a "
            "copy, delete them to start from the beginning, or pass another --output."
        )
    return None


def load_saved(path: Path, trust: bool = False) -> Saved:
    """
    Load the model of a run, to act.

    :param path: Folder of a run, or file of a model
    :param trust: Whether the file may run code: one of the method ``save`` can
    :return: The policies of the run, or the model in the file; where there are none, and ``trust`` is given, its model
        or newest checkpoint that can be used
    :raises UsageError: If there is no model, none that can be used, or none but such as have to be trusted
    """
    if not path.exists():
        raise UsageError(f"There is no {path}; expected the folder of a run or the zip file of a model.")
    file = path
    if path.is_dir():
        paths = [path / POLICIES, path / MODEL, *checkpoints(path / CHECKPOINTS)]
        existing = [own for own in paths if own.exists()]
        if not existing:
            raise UsageError(
                f"There is neither {POLICIES} nor {MODEL} nor a checkpoint in {path}. Pass the folder of a run or the "
                "zip file of a model; a run that was stopped before its first checkpoint begins again with --resume."
            )
        file = existing[0]
    if file == path / POLICIES or not is_pickle(file):
        return Saved(file, load_policies(file))
    if not trust:
        raise UsageError(untrusted(file))
    saved = load_newest_checkpoint(path) if path.is_dir() and file != path / MODEL else None
    return Saved(file, load_model(file)) if saved is None else Saved(*saved)


def untrusted(file: Path) -> str:
    """
    Say what a file of the method ``save`` could do, and what to do.

    :param file: The file
    :return: The message
    """
    beside = run_folder(file) / POLICIES
    other = f"take {beside}" if beside.exists() and not is_pickle(beside) else "ask for a file of save_policy"
    return (
        f"{file} is a model of Stable-Baselines3's method save, a pickle: loading it runs whatever code its author has "
        "put there. If it is yours, or comes from someone you trust, pass --trust (trust=True in Python); else "
        f"{other}, which runs none."
    )


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
