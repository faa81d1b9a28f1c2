"""Long runs on the first-person mazes, one of each algorithm: what is kept of them."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from sb3_distral.checkpoint import atomic_write
from sb3_distral.experiments.provenance import provenance
from sb3_distral.experiments.study_file import STUDY, check_folder, read_record, write_record

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


def write_result(folder: Path, name: str, content: dict[str, Any], command: str) -> None:
    """
    :param folder: Folder of the results
    :param name: Name of the algorithm, or :data:`RANDOM`
    :param content: Its results
    :param command: The command that made them
    :raises ValueError: If the folder holds another study
    """
    check_folder(folder, KIND)
    path = folder / RESULTS / f"{name.replace(' ', '-')}.json"
    with atomic_write(path) as beside:
        content = {"name": name, **content, "made_by": {"command": command, **provenance(PACKAGES)}}
        beside.write_text(json.dumps(content) + "\n", encoding="utf-8")
    write_record(folder, {"kind": KIND})


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


def mean(returns: dict[str, float]) -> float:
    """
    :param returns: Mean returns by task
    :return: Their mean
    """
    return float(np.mean(list(returns.values())))
