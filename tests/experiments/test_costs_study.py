"""The study of costs: what is measured on curves whose numbers are known, what a run holds, and the command."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.curves import N_BINS
from experiments.common.store import Store
from experiments.costs.__main__ import Costs
from experiments.costs.measures import claims_of, gain_of_the_worst, share_of_the_best, worst_final
from experiments.costs.page import claims_lines, draw_study
from experiments.costs.study import Results, Run, Study, read_results
from experiments.costs.training import CostRecorder, make_model
from experiments.transfer import measures
from sb3_distral import CostController
from sb3_distral.errors import UsageError

ALGORITHMS, RATES, INVERSE_BETAS = ("KL+ent_2col", "KL_2col"), (4e-3, 2e-3), (0.01, 0.001, 0.1, 0.3, 0.003, 0.03)
SETTINGS = Study((0,), ALGORITHMS, RATES, INVERSE_BETAS).settings
SETTING, CLAIMS = SETTINGS[0], claims_of(SETTINGS)
RUN = Run("KL+ent_2col", 2e-3, 0.03, True, 0, 50 * N_BINS, 2, 1)


def results_of(fixed: list[float], controlled: list[float], n_seeds: int = 3) -> Results:
    """Returns that are the same at all times, by 1/β in order; in every setting alike, and for every seed."""
    curves = {
        (setting, is_controlled): np.array(own)[:, None, None] * np.ones((n_seeds, N_BINS))
        for setting, (is_controlled, own) in product(SETTINGS, ((False, fixed), (True, controlled)))
    }
    costs = {part: np.full((len(INVERSE_BETAS), n_seeds, 2, N_BINS), 0.01) for part in curves}
    study = Study(tuple(range(n_seeds)), ALGORITHMS, RATES, INVERSE_BETAS)
    return Results(study, "all", n_seeds, sorted(INVERSE_BETAS), curves, costs)


def test_measures_by_hand() -> None:
    results, rows = results_of([1, 2, 4, 8, 3, 0.5], [6, 7, 7, 7, 7, 5]), np.arange(3)
    assert worst_final(results, SETTING, rows) == 5
    assert gain_of_the_worst(results, SETTING, rows) == 4.5
    # The best fixed one is the fourth of six: a factor of ten below is the second, above the last.
    assert share_of_the_best(0.1, results, SETTING, rows) == pytest.approx(7 / 8)
    assert share_of_the_best(10.0, results, SETTING, rows) == pytest.approx(5 / 8)


def test_of_a_start_beyond_the_axis_nothing_is_known() -> None:
    results = results_of([8, 2, 4, 1, 3, 0.5], [6, 7, 7, 7, 7, 5])
    assert np.isnan(share_of_the_best(0.1, results, SETTING, np.arange(3)))
    assert [claim.judge(results).verdict for claim in CLAIMS][1] == "undecided"


def test_claims_of_known_curves() -> None:
    good, bad = results_of([1, 2, 10, 10, 3, 1], [9.5] * 6), results_of([9, 9, 10, 10, 9, 9], [8] * 6)
    assert [claim.judge(good).verdict for claim in CLAIMS] == ["holds"] * 4
    assert [claim.judge(bad).verdict for claim in CLAIMS] == ["does not hold"] * 4
    lines = claims_lines(good)
    assert any("**holds**" in line for line in lines)
    assert sum(line.startswith("| KL") for line in lines) == 4 * 2 * 6


def test_one_seed_decides_nothing() -> None:
    assert {claim.judge(results_of([1] * 6, [9.5] * 6, n_seeds=1)).verdict for claim in CLAIMS} == {"undecided"}


def test_a_run_begins_with_its_costs_and_keeps_them_where_they_are_fixed() -> None:
    controlled, fixed = (make_model(Run("KL_2col", 4e-3, 0.03, own, 0, 1000, 2, 1)) for own in (True, False))
    assert controlled.costs.kl.tolist() == fixed.costs.kl.tolist() == pytest.approx([0.03] * 2)
    assert controlled.cost_controller == CostController(beta=1 / 0.03)
    assert fixed.cost_controller is None
    assert controlled.lr_schedule(1.0) == 4e-3


def test_costs_are_recorded_at_their_time() -> None:
    recorder = CostRecorder(RUN)
    model = make_model(RUN)
    first = float(model.costs.kl.mean())
    model.learn(RUN.timesteps, callback=recorder)
    costs = recorder.means()
    assert costs.shape == (2, N_BINS)
    assert costs[0, 0] == pytest.approx(first, rel=0.05)
    assert costs[0, -1] == pytest.approx(float(model.costs.kl.mean()), rel=0.05)
    assert costs[0, -1] != pytest.approx(costs[0, 0], rel=0.05)


def test_seeds_that_are_not_whole_are_left_out(tmp_path: Path) -> None:
    study, store = Study((0, 1), ALGORITHMS, RATES, INVERSE_BETAS), Store(tmp_path)
    store.begin(study, "test")
    with pytest.raises(UsageError, match="No run"):
        read_results(tmp_path)
    for run in study.runs[:-1]:
        store.write(run, {"results": {"curve": [float(run.seed)] * N_BINS, "costs": [[0.1] * N_BINS] * 2}})
    results = read_results(tmp_path)
    assert results.n_seeds == 1
    assert results.curves[SETTING, True].shape == (len(INVERSE_BETAS), 1, N_BINS)
    assert not results.curves[SETTING, True].any()


def test_the_command_runs_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)
    options = [
        "--n-seeds",
        "1",
        "--timesteps",
        "3840",
        "--n-jobs",
        "1",
        "--rates",
        "4e-3",
        "--inverse-betas",
        "0.01",
        "0.1",
    ]
    main(Costs, draw_study, ["run", "--output", str(tmp_path), *options])
    assert "8 of 8 runs" in capsys.readouterr().out
    assert {"study.json", "runs", "claims.md", "costs.png"} == {own.name for own in tmp_path.iterdir()}
