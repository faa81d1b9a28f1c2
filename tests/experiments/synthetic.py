"""Studies whose results are made up, so that what follows from them is known."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.store import Store
from experiments.figure4.study import FIGURE_4, Run, Study
from experiments.figure4.training import N_BINS

N_TASKS = 4
#: Final level and share of training until half of it is reached: as the paper says of mazes.
AS_IN_THE_PAPER = {
    "A3C_multitask": (3.0, 0.5),
    "A3C": (8.0, 0.55),
    "A3C_2col": (7.0, 0.5),
    "KL_1col": (10.0, 0.35),
    "KL_2col": (11.0, 0.15),
    "KL+ent_1col": (11.5, 0.42),
    "KL+ent_2col": (13.0, 0.25),
}
DISTILLED = {"KL_2col": 9.0, "KL+ent_2col": 7.0, "KL_1col": 5.0, "KL+ent_1col": 4.0, "A3C_2col": 2.0}


def made_up(
    run: Run, levels: Mapping[str, tuple[float, float]] = AS_IN_THE_PAPER, noise: float = 0.3, speed: float = 1.6
) -> dict[str, Any]:
    """
    :param run: A run
    :param levels: Final level and half-time by algorithm
    :param noise: Standard deviation of a run's level between seeds
    :param speed: How many times faster A3C is than all others
    :return: Results such as a run gives
    """
    place = [ord(letter) for letter in run.key]
    generator = np.random.default_rng(place)
    level, half_time = levels[run.algorithm]
    # The setting in the middle is best; the others lose up to 60 %.
    off = abs(np.log(run.entropy_cost / 0.01)) + abs(np.log(run.learning_rate / 2e-3))
    level = (level + noise * generator.standard_normal()) * np.exp(-0.3 * off)
    time = (np.arange(N_BINS) + 0.5) / N_BINS
    tasks = np.linspace(0.7, 1.3, N_TASKS)[:, None]
    curves = level * tasks / (1 + np.exp(-(time - half_time) / 0.06))
    distilled = (DISTILLED.get(run.algorithm, 0.5) + noise * generator.standard_normal()) * np.exp(-0.3 * off)
    ramp = np.linspace(0, 1, run.n_evaluations)[:, None]
    rate = 20_000 * (speed if run.algorithm == "A3C" else 1) * (1 + 0.02 * generator.standard_normal())
    return {
        "tasks": [f"task-{i}" for i in range(N_TASKS)],
        "curves": curves.round(3).tolist(),
        "distilled_curves": (ramp * distilled * tasks.T).round(3).tolist(),
        "distilled": (distilled * tasks[:, 0]).round(3).tolist(),
        "distilled_unseen": (0.5 * distilled * tasks[:, 0]).round(3).tolist(),
        "timing": {"steps_per_core_second": rate},
    }


def write_study_of(
    folder: Path,
    study: Study = FIGURE_4["grid-mazes"],
    make: Callable[[Run], dict[str, Any]] = made_up,
    is_there: Callable[[Run], bool] = lambda run: True,
) -> Path:
    """
    :param folder: Folder
    :param study: A study
    :param make: Results of a run
    :param is_there: Whether a run has ended
    :return: The folder, with the study in it
    """
    store = Store(folder)
    store.begin(study, "made up")
    for run in filter(is_there, study.runs):
        store.write(run, {"results": make(run)})
    return folder
