"""The study of two rooms: its tables, resuming, files, claims and figure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.runner import run_study
from experiments.common.store import Store
from experiments.two_rooms import measures
from experiments.two_rooms.__main__ import TwoRooms as TwoRoomsOptions
from experiments.two_rooms.figure import paper_curves
from experiments.two_rooms.learning import CORRIDOR, N_BINS, N_PREVIOUS, N_STATES, draw_goals, learn, make_tasks
from experiments.two_rooms.measures import (
    TRAINING,
    _crossing,
    crossing_ratio,
    estimated,
    sideways_probability,
    smoothed,
)
from experiments.two_rooms.page import claims_lines, draw_study
from experiments.two_rooms.study import Results, Study, read_results
from sb3_distral.tasks.grids.two_rooms import CELLS, NEXT_CELL, TwoRooms

TINY = Study((0, 1, 2), n_iterations=3, n_rollouts=2, length=20)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)


def made_up_results(distral: Any, separate: Any, n_seeds: int = 3) -> Results:
    curves = np.broadcast_to(np.array([distral, separate], dtype=float)[:, None], (n_seeds, 2, 2, len(distral)))
    return Results(np.arange(n_seeds), curves, np.full((n_seeds, 4, 5, 5), 0.2), np.zeros((n_seeds, 2, 8), dtype=int))


def test_corridor_by_hand() -> None:
    assert CELLS[CORRIDOR].tolist() == [[3, column] for column in range(6, 10)]


def test_goals_of_test_tasks_are_new() -> None:
    for seed in range(20):
        training, test = draw_goals(seed, 8)
        assert len(training) == len(test) == 8
        assert not set(training) & set(test)


def test_tables_are_the_suite() -> None:
    """Random actions in the suite's own tasks give the states, rewards and ends of the tables."""
    goals = draw_goals(5, 8)[:1]
    tasks, suite = make_tasks(goals), TwoRooms(range(8), goal_seed=5)
    generator, row = np.random.default_rng(0), np.arange(8)
    suite.reset(row, seeds=range(8))
    states = suite.cell * N_PREVIOUS * N_BINS
    assert all(state in tasks.starts[0, task] for task, state in enumerate(states))
    for _ in range(300):
        actions = generator.integers(5, size=8)
        rewards, reached = suite._advance(actions)
        assert rewards.tolist() == tasks.rewards[0, row, states, actions].tolist()
        assert reached.tolist() == tasks.ends[0, row, states, actions].tolist()
        states = tasks.next_state[states, actions]
        wall = rewards == -0.5
        assert states.tolist() == ((suite.cell * N_PREVIOUS + actions + 1) * N_BINS + wall).tolist()
        if reached.any():
            suite._begin_episode(np.flatnonzero(reached))
            states = np.where(reached, suite.cell * N_PREVIOUS * N_BINS, states)
    assert states.max() < N_STATES and len(NEXT_CELL) * N_PREVIOUS * N_BINS == N_STATES


def test_results_are_read_seed_by_seed_as_they_were_learned(tmp_path: Path) -> None:
    for seeds in ((2,), (0, 1)):
        run_study(Study(seeds, n_iterations=3, n_rollouts=2, length=20), tmp_path, learn)
    results = read_results(tmp_path)
    assert results.seeds.tolist() == [0, 1, 2]
    for index, run in enumerate(TINY.runs):
        again = learn(run)
        assert results.returns[index].tolist() == np.float32(again["returns"]).tolist()
        assert results.corridor[index].tolist() == again["corridor"]
        assert results.goals[index].tolist() == again["goals"]
    assert results.returns.dtype == np.float32


def test_a_run_is_the_same_learned_alone_or_after_another() -> None:
    first, second = TINY.runs[:2]
    alone = learn(second)
    learn(first)
    assert learn(second) == alone != learn(first)


def test_run_and_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder, output = tmp_path / "study", tmp_path / "new"
    options = ["--n-seeds", "2", "--first-seed", "4", "--n-iterations", "2", "--n-jobs", "1"]
    main(TwoRoomsOptions, draw_study, ["run", *options, "--output", str(folder)])
    assert read_results(folder).seeds.tolist() == [4, 5]
    (made_by,) = Store(folder).commands
    words = f"--output={folder} --n-seeds=2 --first-seed=4 --n-iterations=2 --n-jobs=1"
    assert made_by["command"] == f"python -m experiments.two_rooms run {words}"
    main(TwoRoomsOptions, draw_study, ["draw", str(folder), "--output", str(output)])
    assert str(output / "two-rooms.png") in capsys.readouterr().out
    for name in ("two-rooms.png", "claims.md"):
        assert (folder / name).read_bytes() == (output / name).read_bytes()


def test_smoothing_and_crossing_by_hand() -> None:
    assert smoothed(np.array([1.0, 5.0, 3.0])).tolist() == [1.0, 5.0, 3.0]
    ramp = np.arange(100.0)
    assert smoothed(ramp).tolist() == (ramp[1:] - 0.5).tolist()
    assert _crossing(ramp, 9.5) == 11
    assert _crossing(ramp, 1000.0) == np.inf


def test_ratio_of_crossings() -> None:
    late, early = np.arange(1.0, 11.0), np.minimum(np.arange(5.0, 55.0, 5.0), 10.0)
    assert crossing_ratio(made_up_results(early, late), TRAINING) == 10 / 2
    assert crossing_ratio(made_up_results(late - 3, late), TRAINING) == 0.0
    assert crossing_ratio(made_up_results(early, late - 5), TRAINING, 9.0) == np.inf
    assert np.isnan(crossing_ratio(made_up_results(early, late), TRAINING, 99.0))


def test_interval_and_page_of_made_up_results() -> None:
    results = made_up_results(np.arange(10.0), np.arange(10.0) / 4)
    assert estimated(results, sideways_probability) == pytest.approx((0.4, 0.4, 0.4))
    text = "\n".join(claims_lines(results))
    assert "| ≤ 5.0% | 40.0% | [40.0%, 40.0%] | **does not hold** |" in text
    assert "| training | 2.25 | 4 | 10 | 2.50 |" in text and "| training | -5.00 | 1 | 1 | 1.00 |" in text


def test_paper_curves() -> None:
    curves = paper_curves()
    assert len(curves) == 21
    assert (curves["iteration"][-1], curves["multi_task_mean"][-1], curves["separately_hi"][-1]) == (990, 0.12, -0.89)
