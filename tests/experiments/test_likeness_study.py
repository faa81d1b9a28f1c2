"""The study of how alike the tasks are: what is trained, what can be reached, and the command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.curves import N_BINS
from experiments.common.store import Store
from experiments.likeness.__main__ import Likeness
from experiments.likeness.optimum import best_returns
from experiments.likeness.page import best_along, draw_study
from experiments.likeness.study import ALGORITHMS, Run, Study, read_results
from experiments.likeness.training import make_model
from sb3_distral.errors import UsageError
from sb3_distral.tasks.grids.likeness import GridLikeness


def test_a_run_trains_on_the_maze_of_its_seed_with_its_likeness() -> None:
    model = make_model(Run(0.25, "A3C", seed=3, timesteps=100, n_tasks=4, n_envs_per_task=2))
    payoffs = np.array(model.get_env().get_attr("payoffs"))  # type: ignore[union-attr]
    np.testing.assert_array_equal(payoffs, GridLikeness([0, 0, 1, 1, 2, 2, 3, 3], 0.25, 3).payoffs)


def test_a_random_policy_for_all_tasks_gets_the_computed_nothing() -> None:
    env = GridLikeness(list(range(8)) * 50, likeness=0.0)
    env.reset(np.arange(400), range(400))
    generator, totals = np.random.default_rng(0), np.zeros(400)
    for _ in range(200):
        # Tasks 2j and 2j + 1 take the same actions.
        totals += env.step(np.repeat(generator.integers(4, size=200), 2))[1]
    assert best_returns(0.0).one_for_all == 0
    assert abs(totals.mean()) < 1 < best_returns(0.0).own / 10


def test_the_command_runs_grows_and_draws(tmp_path: Path, capsys: Any) -> None:
    options = ["--timesteps", "1536", "--n-jobs", "1", "--output", str(tmp_path)]
    main(Likeness, draw_study, ["run", "--likeness", "0", "--n-seeds", "1", *options])
    assert "6 of 6 runs" in capsys.readouterr().out
    main(Likeness, draw_study, ["run", "--likeness", "0", "1", "--n-seeds", "1", *options])
    assert "12 of 12 runs" in capsys.readouterr().out
    assert {"study.json", "runs", "claims.md", "likeness.png"} == {own.name for own in tmp_path.iterdir()}
    results = Store(tmp_path).outcomes(Study((0.0, 1.0), (0,), 1536)).results
    assert {len(own["curve"]) for own in results.values()} == {N_BINS}
    study, sweep = read_results(tmp_path)
    assert (study.likeness, sweep.algorithms) == ((0, 1), ALGORITHMS)
    own, one_for_all = best_along(study, sweep)
    assert own[0] == pytest.approx(own[1]) and one_for_all == pytest.approx([0, own[0]])


def test_a_curve_with_empty_bins_is_refused() -> None:
    with pytest.raises(UsageError, match="--timesteps is 1535, expected at least 1536"):
        Study((0.0,), (0,), timesteps=1535)
