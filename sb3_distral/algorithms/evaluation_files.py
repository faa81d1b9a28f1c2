"""Evaluations as files in the form of Stable-Baselines3's ``EvalCallback``, which its plotting tools read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sb3_distral.algorithms.evaluation import Episode
from sb3_distral.archives import DAMAGE
from sb3_distral.errors import UsageError, one_line
from sb3_distral.files import atomic_write

#: Name of every file.
FILE = "evaluations.npz"
#: Where the evaluations of π0 are, beside the folders of tasks.
DISTILLED_FOLDER, HELD_OUT_FOLDER = "distilled", "held_out"

#: Longest name of a folder, in bytes, with room for what tells two apart: file systems take 255.
LONGEST_FOLDER = 200


class EvaluationFile:
    """
    Evaluations of a policy in one file.

    It holds ``timesteps``, shape (n_evaluations,), ``results`` and ``ep_lengths``, shape (n_evaluations, n_columns),
    and ``successes`` of the same shape where every episode says whether it ended well. Where columns are tasks it also
    holds ``task_names``.

    :param path: The file
    :param n_columns: Numbers of each evaluation
    :param task_names: Name of the task of each column, where columns are tasks
    """

    def __init__(self, path: Path, n_columns: int, task_names: Sequence[str] | None = None):
        self.path, self.n_columns = path, n_columns
        self.task_names = None if task_names is None else list(task_names)
        self._rows: dict[str, list[Any]] = {}

    def begin(self, start: int) -> None:
        """
        Go on with what was measured before; what came after the step that a training goes on from comes again.

        :param start: Steps of the training so far
        :raises UsageError: If the file is damaged, or holds evaluations of other tasks or of another number of columns
        """
        self._rows = {"timesteps": [], "results": [], "ep_lengths": [], "successes": []}
        if start == 0 or not self.path.exists():
            return
        try:
            with np.load(self.path) as arrays:
                kept = arrays["timesteps"] <= start
                n_columns = arrays["results"].shape[1]
                # Files of earlier versions do not tell.
                names = arrays["task_names"].tolist() if "task_names" in arrays else self.task_names
                for name in self._rows:
                    self._rows[name] = list(arrays[name][kept]) if name in arrays else [None] * int(kept.sum())
        except (*DAMAGE, IndexError, TypeError) as error:
            raise UsageError(
                f"{self.path} cannot be read ({one_line(error)}); expected earlier evaluations, as this callback "
                "writes them. Put it back from a copy, delete it, or choose another log_path."
            ) from error
        if names != self.task_names:
            raise UsageError(
                f"{self.path} holds evaluations of the tasks {names}, but now there are {self.task_names}, whose "
                "returns would stand in the columns of others. Choose another log_path where tasks have changed."
            )
        if n_columns != self.n_columns:
            raise UsageError(
                f"{self.path} holds evaluations of {n_columns} numbers each, but now there are {self.n_columns}. Go on "
                "with the same tasks and n_eval_episodes, or choose another log_path."
            )

    def append(self, timesteps: int, results: Any, ep_lengths: Any, successes: Any) -> None:
        """
        Add an evaluation and write the file, whole or not at all.

        :param timesteps: Steps of the training so far
        :param results: Returns
        :param ep_lengths: Lengths of episodes in steps
        :param successes: Whether they ended well, or how often; ``None`` where not all of them say
        """
        row = {"timesteps": timesteps, "results": results, "ep_lengths": ep_lengths, "successes": successes}
        for name, value in row.items():
            self._rows[name].append(value)
        complete: dict[str, Any] = {
            name: np.array(rows) for name, rows in self._rows.items() if not any(own is None for own in rows)
        }
        if self.task_names is not None:
            complete["task_names"] = np.array(self.task_names)
        with atomic_write(self.path) as beside, beside.open("wb") as file:
            np.savez(file, **complete)


class EvaluationFolder:
    """
    Evaluations of a policy in every task: one file for each, in a folder of its own, and one of their means.

    In the file of the means every task is a column, in the order of the tasks, whose names it holds.

    :param folder: The folder
    :param n_episodes: Episodes of an evaluation by task name
    """

    def __init__(self, folder: Path, n_episodes: Mapping[str, int]):
        names = folder_names(list(n_episodes))
        self.means = EvaluationFile(folder / FILE, len(n_episodes), list(n_episodes))
        self.tasks = {task: EvaluationFile(folder / names[task] / FILE, n) for task, n in n_episodes.items()}

    def begin(self, start: int) -> None:
        """
        Go on with what was measured before.

        :param start: Steps of the training so far
        :raises UsageError: If it does not fit what is measured now
        """
        for file in (self.means, *self.tasks.values()):
            file.begin(start)

    def append(self, timesteps: int, episodes: Mapping[str, Sequence[Episode]]) -> None:
        """
        Add an evaluation.

        :param timesteps: Steps of the training so far
        :param episodes: Episodes by task name
        """
        columns: list[list[Any]] = []
        for task, own in episodes.items():
            results, lengths, successes = (list(column) for column in zip(*own, strict=True))
            row = [results, lengths, None if None in successes else successes]
            self.tasks[task].append(timesteps, *row)
            columns.append([None if column is None else np.mean(column) for column in row])
        means = [list(column) for column in zip(*columns, strict=True)]
        self.means.append(timesteps, means[0], means[1], None if None in means[2] else means[2])


def folder_names(task_names: Sequence[str]) -> dict[str, str]:
    """
    Give every task a folder.

    :param task_names: Names of tasks, unique
    :return: Names that any file system takes and tells apart, by name of the task
    """
    taken = {FILE, DISTILLED_FOLDER, HELD_OUT_FOLDER}
    folders = {}
    for name in task_names:
        folder = re.sub(r"^\.|[^\w.+=-]", "_", name) or "_"
        folder = folder.encode()[:LONGEST_FOLDER].decode(errors="ignore")
        while folder.casefold() in taken:
            folder += "_"
        taken.add(folder.casefold())
        folders[name] = folder
    return folders
