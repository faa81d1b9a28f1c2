from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import N_TASKS, made_up, write_study_of

from experiments.figure4.page import NORMALISED, NOT_DIVIDED, write_claims
from experiments.figure4.results import read_results
from experiments.figure4.study import FIGURE_4, Run, Study

#: As many settings as tasks.
SMALL = Study("grid-tag", ("A3C", "KL_2col"), (0.003, 0.01), (1e-3, 2e-3), seeds=(0, 1))


def best_elsewhere_on_each_task(run: Run) -> dict[str, Any]:
    """A3C's best setting is another one on every task."""
    results = made_up(run)
    if run.algorithm == "A3C":
        results["curves"][SMALL.settings.index(run.setting)] = [100.0 + run.seed] * len(results["curves"][0])
    return results


def test_scores_are_divided_by_the_best_a3c_on_each_task(tmp_path: Path) -> None:
    results = read_results(write_study_of(tmp_path, SMALL, best_elsewhere_on_each_task))
    assert results.is_normalised
    # The mean of the two seeds, on every task.
    for name in SMALL.algorithms:
        own = results.algorithms[name]
        for setting, seed in np.ndindex(4, 2):
            raw = best_elsewhere_on_each_task(SMALL.run(name, SMALL.settings[setting], seed))
            assert own.curves[setting, seed] == pytest.approx(np.array(raw["curves"]) / 100.5)
            assert own.distilled_curves[setting, seed] == pytest.approx(np.transpose(raw["distilled_curves"]) / 100.5)
            assert own.distilled[setting, seed] == pytest.approx(np.array(raw["distilled"]) / 100.5)
            assert own.unseen[setting, seed] == pytest.approx(np.array(raw["distilled_unseen"]) / 100.5)
    write_claims(results, tmp_path / "claims.md")
    assert NORMALISED in (tmp_path / "claims.md").read_text()


def without_success_on_one_task(run: Run) -> dict[str, Any]:
    results = made_up(run)
    if run.algorithm == "A3C":
        results["curves"][N_TASKS - 1] = [-0.5] * len(results["curves"][0])
    return results


def test_page_says_that_there_is_nothing_to_divide_by(tmp_path: Path) -> None:
    results = read_results(write_study_of(tmp_path, SMALL, without_success_on_one_task))
    assert not results.is_normalised
    write_claims(results, tmp_path / "claims.md")
    assert NOT_DIVIDED in (tmp_path / "claims.md").read_text()


def test_mazes_are_not_normalised(tmp_path: Path) -> None:
    study = FIGURE_4["grid-mazes"]
    results = read_results(write_study_of(tmp_path, study, is_there=lambda run: run.seed == 0))
    assert not results.is_normalised
    run = study.runs[0]
    assert results.algorithms[run.algorithm].curves[0, 0] == pytest.approx(np.array(made_up(run)["curves"]))
