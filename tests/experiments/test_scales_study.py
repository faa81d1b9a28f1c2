"""The study of scales: goals from rewards, what is measured on curves whose numbers are known, and the command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.curves import EPISODE, N_BINS
from experiments.common.store import Store
from experiments.scales.__main__ import Scales
from experiments.scales.measures import AREA, BEST, CLAIMS, FINAL, lowest, measured
from experiments.scales.page import claims_lines, draw_study
from experiments.scales.study import WAYS, Results, Run, Study, Way, read_results
from experiments.scales.training import make_model, train
from experiments.transfer import measures
from sb3_distral.tasks.grids.scales import goal_rewards


def results_of(goals: dict[Way, list[float]], n_seeds: int = 3) -> Results:
    """Goals that are the same at all times, by task; 5 where nothing is given."""
    curves = {way: np.array(goals.get(way, [5.0] * 5))[:, None] * np.ones((n_seeds, 5, N_BINS)) for way in WAYS}
    return Results(Study(tuple(range(n_seeds)), n_tasks=5), "all", n_seeds, curves)


def test_measures_by_hand() -> None:
    results, rows = results_of({BEST: [2, 4, 6, 8, 10]}), np.arange(3)
    assert measured(AREA, results, BEST, rows) == measured(FINAL, results, BEST, rows) == 6
    assert lowest(results, BEST) == 2


def test_claims_of_known_curves() -> None:
    better: dict[Way, list[float]] = {way: [7.0] * 5 for way in WAYS if way[1]}
    good = results_of(better | {BEST: [9.0] * 5})
    assert [claim.judge(good).verdict for claim in CLAIMS] == ["holds"] * 3
    bad = results_of({BEST: [1.0] * 5})
    assert [claim.judge(bad).verdict for claim in CLAIMS] == ["does not hold"] * 3


def test_tasks_of_the_same_reward_are_in_one_column() -> None:
    row = next(
        line for line in claims_lines(results_of({BEST: [2, 4, 6, 8, 10]})) if line.startswith(f"| {BEST[0]}, n")
    )
    assert row.split("|")[-5:-1] == [" 6.00 ", " 4.00 ", " 6.00 ", " 8.00 "]


def test_goals_are_rewards_by_the_reward_of_a_goal() -> None:
    run = Run("A3C", True, 0, 100 * N_BINS, 2, 1, 1000)
    goals = np.array(train(run)["goals"])
    assert goals.shape == (2, N_BINS)
    # A bin is 50 steps of each task.
    np.testing.assert_allclose(goals % (EPISODE / 50), 0.0, atol=1e-6)
    assert goals.max() < 40


def test_a_run_normalises_or_not() -> None:
    for normalizes in (True, False):
        model = make_model(Run("KL+ent_2col", normalizes, 0, 1000, 5, 1, 1000))
        assert (model.return_scales is not None) is normalizes
        env: Any = model.get_env()
        np.testing.assert_allclose(env.get_attr("goal_reward"), goal_rewards(range(5), 1000))


def test_seeds_that_are_not_whole_are_left_out(tmp_path: Path) -> None:
    study, store = Study((0, 1)), Store(tmp_path)
    store.begin(study, "test")
    for run in study.runs[:-1]:
        store.write(run, {"results": {"goals": [[float(run.seed)] * N_BINS] * 8}})
    results = read_results(tmp_path)
    assert results.n_seeds == 1
    assert results.curves[BEST].shape == (1, 8, N_BINS)


def test_the_command_runs_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)
    options = ["--n-seeds", "1", "--timesteps", "3840", "--n-jobs", "1"]
    main(Scales, draw_study, ["run", "--output", str(tmp_path), *options])
    assert "8 of 8 runs" in capsys.readouterr().out
    assert {"study.json", "runs", "claims.md", "scales.png"} == {own.name for own in tmp_path.iterdir()}
