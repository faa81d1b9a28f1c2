"""What a run has logged so far, all parts of it as one."""

import csv
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sb3_distral.errors import UsageError

Array = npt.NDArray[np.float64]
STEPS, SECONDS = "time/total_timesteps", "time/time_elapsed"
#: Seconds over which a speed is measured, at least
STRETCH = 5.0


def read_progress(run: Path) -> dict[str, Array]:
    """
    Read the CSV logs of a run. Where a training went on from before the end of an earlier part, the later part holds.

    :param run: Folder of the run
    :return: Columns by key, NaN where a row does not have it, in the order of the steps
    :raises UsageError: If nothing is logged
    """
    rows: list[dict[str, float]] = []
    for path in sorted(run.glob("progress*.csv"), key=_part):
        part = _read_part(path)
        first = part[0][STEPS] if part else np.inf
        rows = [row for row in rows if row[STEPS] < first] + part
    if not rows:
        raise UsageError(
            f"Nothing is logged in {run}: there is no progress.csv with a row. Give the folder of a run of sb3-distral "
            "train that has logged (--log-freq)."
        )
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: np.array([row.get(key, np.nan) for row in rows]) for key in keys}


def _part(path: Path) -> int:
    found = re.fullmatch(r"progress_(\d+)_from_\d+\.csv", path.name)
    return int(found[1]) if found else 0


def _read_part(path: Path) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [{key: _number(text) for key, text in row.items() if key and text} for row in csv.DictReader(file)]
    return [row for row in rows if np.isfinite(row.get(STEPS, np.nan))]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def by_task(columns: dict[str, Array], pattern: str) -> dict[str, Array]:
    """
    Find what is logged of each task.

    :param columns: Columns by key
    :param pattern: Key with ``*`` in place of the task, for example ``"distral/*/kl"``
    :return: Columns by task, in the order of their names with numbers as such: the log has them in none
    """
    before, _, after = pattern.partition("*")
    whole = re.compile(f"{re.escape(before)}(.+){re.escape(after)}")
    found = {match[1]: column for key, column in columns.items() if (match := whole.fullmatch(key))}
    return {task: found[task] for task in sorted(found, key=_in_order)}


def _in_order(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def steps_per_second(columns: dict[str, Array]) -> tuple[Array, Array]:
    """
    Give the speed in stretches of the log that last long enough, since it counts whole seconds.

    :param columns: Columns by key
    :return: Steps at the end of each stretch and steps per second in it; seconds begin anew where a training went on
    """
    ends, speeds = [], []
    begin: tuple[float, float] | None = None
    for steps, seconds in zip(columns[STEPS], columns.get(SECONDS, []), strict=False):
        if begin is None or seconds < begin[1]:
            begin = (steps, seconds)
        elif seconds - begin[1] >= STRETCH:
            ends.append(steps)
            speeds.append((steps - begin[0]) / (seconds - begin[1]))
            begin = (steps, seconds)
    return np.array(ends), np.array(speeds)
