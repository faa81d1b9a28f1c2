"""The study of the number of tasks: what is trained, what is recorded, and the command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.curves import N_BINS
from experiments.common.store import Store
from experiments.scaling import training
from experiments.scaling.__main__ import Scaling
from experiments.scaling.optimum import best_mean_return, best_return
from experiments.scaling.page import draw_study
from experiments.scaling.study import Run, Study
from experiments.scaling.training import make_model
from sb3_distral import ALGORITHMS
from sb3_distral.errors import UsageError
from sb3_distral.tasks.grids.layouts import Layout
from sb3_distral.tasks.grids.mazes import make_maze


def test_sub_environments_in_all_and_mazes_are_the_same_for_all_algorithms() -> None:
    for n_tasks in (2, 8):
        model = make_model(Run(n_tasks, "KL_2col", seed=3, timesteps=100, n_envs=16))
        env: Any = model.get_env()
        assert env.num_envs == 16 and model.n_tasks == n_tasks
        walls = env.get_attr("walls")
        for row, task in enumerate(env.tasks):
            np.testing.assert_array_equal(walls[row], make_maze(task, maze_seed=6).walls)


def test_best_return_by_hand() -> None:
    # Two cells side by side: from the other one every step finds the goal. Starts are never at the goal.
    walls = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]], dtype=bool)
    assert best_return(Layout(walls, np.array([1, 1]), np.zeros((2, 1))), n_steps=7) == 7
    # Three cells in a row, the goal at one end: half of the starts need one step, half need two.
    walls = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], dtype=bool)
    maze = Layout(walls, np.array([1, 1]), np.zeros((3, 1)))
    assert [best_return(maze, n_steps) for n_steps in (1, 2)] == [0.5, 0.5 * (1 + 0.5) + 0.5 * 1]
    assert best_mean_return(2, 5) == pytest.approx(
        np.mean([best_return(make_maze(task, maze_seed=5)) for task in (0, 1)])
    )


def test_the_command_runs_grows_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(training, "N_UNSEEN", 2)
    monkeypatch.setattr(training, "N_EPISODES", 2)
    options = ["--n-envs", "4", "--timesteps", "96", "--n-jobs", "1", "--output", str(tmp_path)]
    main(Scaling, draw_study, ["run", "--n-tasks", "2", "--n-seeds", "1", *options])
    assert "7 of 7 runs" in capsys.readouterr().out
    main(Scaling, draw_study, ["run", "--n-tasks", "2", "4", "--n-seeds", "1", *options])
    assert "14 of 14 runs" in capsys.readouterr().out
    assert {"study.json", "runs", "claims.md", "scaling.png"} == {own.name for own in tmp_path.iterdir()}
    results = Store(tmp_path).outcomes(Study((2, 4), (0,), 96, 4)).results
    assert {len(own["curve"]) for own in results.values()} == {N_BINS}
    assert "--n-tasks 2 4 --n-seeds=1" in Store(tmp_path).commands[-1]["command"]
    # π0 of A3C is an untrained network: it has no place among the others.
    distilled = (tmp_path / "claims.md").read_text(encoding="utf-8").split("## π0 in the mazes")[1]
    assert [name for name in ALGORITHMS if f"| {name} |" not in distilled] == ["A3C"]


def test_parts_of_a_study_hold_whole_seeds() -> None:
    runs = Study((4, 16), (0, 1)).runs
    assert [run.seed for run in runs] == [0] * 14 + [1] * 14


def test_uneven_shares_and_empty_bins_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--n-tasks holds \[3\], expected divisors of 256"):
        Study((4, 3), (0,))
    with pytest.raises(UsageError, match="--timesteps is 6143, expected at least 6144"):
        Study((4,), (0,), timesteps=6143)
