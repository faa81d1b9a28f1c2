"""Long runs on the first-person mazes, one of each algorithm: what is kept of them."""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sb3_distral.algorithms.table1 import ALGORITHMS
from sb3_distral.experiments.provenance import provenance
from sb3_distral.experiments.study_file import STUDY, read_record, write_record
from sb3_distral.files import atomic_write

KIND, RESULTS = "mazes", "runs"
PACKAGES = ("sb3-distral", "stable-baselines3", "sb3-contrib", "gymnasium", "miniworld", "torch", "numpy")
#: Name under which the returns of random actions are kept.
RANDOM = "random actions"


def logged_evaluations(run: Path) -> list[dict[str, Any]]:
    """
    Put together the evaluations of a training that may have been interrupted and gone on.

    :param run: Folder of the training
    :return: For each evaluation its ``timesteps``, and mean returns by task of the task policies (``tasks``) and of π0
        (``distilled``)
    """
    evaluations: list[dict[str, Any]] = []
    for path in sorted(run.glob("progress*.csv"), key=_part):
        logged = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        rows = [_evaluation(row) for row in logged if row.get("eval/mean_reward")]
        _, start = _part(path)
        # What was logged after the checkpoint that the training went on from was done again.
        evaluations = [own for own in evaluations if own["timesteps"] <= start] + rows
    return evaluations


def _part(path: Path) -> tuple[int, int]:
    """Return the number of a part of the log, and the steps done before it."""
    found = re.search(r"_(\d+)_from_(\d+)", path.name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _evaluation(row: dict[str, str]) -> dict[str, Any]:
    returns: dict[str, dict[str, float]] = {"mean_reward": {}, "distilled_mean_reward": {}}
    for key, value in row.items():
        section, *task, kind = key.split("/")
        if section == "eval" and task:
            returns[kind][task[0]] = round(float(value), 3)
    steps = int(float(row["time/total_timesteps"]))
    return {"timesteps": steps, "tasks": returns["mean_reward"], "distilled": returns["distilled_mean_reward"]}


def part_starts(run: Path) -> list[int]:
    """
    :param run: Folder of a training
    :return: Steps that were done when it began, and when it went on after interruptions
    """
    return [start for _, start in sorted(_part(path) for path in run.glob("progress*.csv"))]


def own_policies(returns: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """
    :param returns: Returns of the task policies (``tasks``) and of π0 (``distilled``)
    :param algorithm: The algorithm that trained them
    :return: The same under ``tasks`` alone where π0 is the one network of all tasks, or nothing trains it
    """
    arguments = ALGORITHMS[algorithm]
    others = {name: own for name, own in returns.items() if name != "distilled"}
    if arguments["architecture"] == "shared":
        return others | {"tasks": returns["distilled"]}
    is_trained = arguments["architecture"] == "two_columns" or arguments["alpha"] > 0
    return returns if is_trained else others


def begin_study(folder: Path, settings: dict[str, int]) -> None:
    """
    :param folder: Folder of the results
    :param settings: What all of its results have in common
    :raises ValueError: If the folder holds another study, or results of other settings
    """
    if (folder / STUDY).exists():
        begun = read_record(folder, KIND).get("settings", {})
        for name, value in settings.items():
            if begun.get(name) != value:
                raise ValueError(
                    f"The study in {folder} began with {name}={begun.get(name)}, which cannot be compared with "
                    f"{name}={value}. Pass the same, or another --output and other --runs."
                )
    else:
        write_record(folder, {"kind": KIND, "settings": settings})


def result_path(folder: Path, name: str) -> Path:
    """
    :param folder: Folder of the results
    :param name: Name of the algorithm, or :data:`RANDOM`
    :return: File of its results
    """
    return folder / RESULTS / f"{name.replace(' ', '-')}.json"


def write_result(folder: Path, name: str, content: dict[str, Any], command: str) -> None:
    """
    :param folder: Folder of the results
    :param name: Name of the algorithm, or :data:`RANDOM`
    :param content: Its results
    :param command: The command that made them
    """
    with atomic_write(result_path(folder, name)) as beside:
        content = {"name": name, **content, "made_by": {"command": command, **provenance(PACKAGES)}}
        beside.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """
    :param folder: Folder of the results
    :return: Results by algorithm, and those of :data:`RANDOM`
    :raises ValueError: If there are none, or a file is damaged
    """
    read_record(folder, KIND)
    results = {}
    for path in sorted((folder / RESULTS).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            results[content["name"]] = content
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is damaged ({error!r}). Delete it and start the study again with the same --output."
            ) from error
    if not results:
        raise ValueError(f"There are no results in {folder / RESULTS}, only {STUDY}. Start the study again.")
    return results


def mean_and_error(returns: Iterable[Sequence[float]]) -> tuple[float, float]:
    """
    :param returns: Returns of the episodes of each task
    :return: Mean over tasks of their mean returns, and its standard error over episodes
    """
    tasks = [np.asarray(own) for own in returns]
    squares = [own.var(ddof=1) / len(own) for own in tasks]
    return float(np.mean([own.mean() for own in tasks])), float(np.sqrt(np.sum(squares)) / len(tasks))
