"""The study of what π0 sees: the views, and the command."""

from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.store import Store
from experiments.transfer import measures
from experiments.view.__main__ import View
from experiments.view.page import draw_study
from experiments.view.study import RETURNS, VIEWS, Study
from sb3_distral.tasks.grids.mazes import make_maze


def test_what_is_hidden_is_row_and_column() -> None:
    view = VIEWS["no place"][1]
    assert view is not None
    features = make_maze(0).features
    hidden = features[:, ~np.array(view[: features.shape[1]])]
    # One-hot row and column, and nothing else is in every cell.
    assert hidden.shape[1] == 26
    np.testing.assert_array_equal(hidden.sum(axis=1), 2.0)
    assert all(view[features.shape[1] :]) and len(view) == features.shape[1] + 5


def test_the_command_runs_and_draws(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)
    monkeypatch.setattr("experiments.view.training.N_EPISODES", 1)
    main(View, draw_study, ["run", "--output", str(tmp_path), "--n-seeds=1", "--timesteps=640", "--n-jobs=1"])
    assert f"{len(VIEWS)} of {len(VIEWS)} runs" in capsys.readouterr().out
    assert {"study.json", "runs", "claims.md", "view.png"} == {own.name for own in tmp_path.iterdir()}
    results = Store(tmp_path).outcomes(Study((0,), 640)).results
    assert all(np.shape(own[name]) == (8,) for own in results.values() for name in RETURNS)
