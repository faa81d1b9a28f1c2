"""The study of two rooms: its tables, resuming, files, claims and figure."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3_distral.cli.study_two_rooms import StudyTwoRooms, plot_two_rooms
from sb3_distral.experiments import two_rooms, two_rooms_claims, two_rooms_figure
from sb3_distral.experiments.two_rooms import (
    CORRIDOR,
    N_BINS,
    N_PREVIOUS,
    N_STATES,
    Results,
    draw_goals,
    make_tasks,
    read_results,
)
from sb3_distral.experiments.two_rooms_claims import (
    TRAINING,
    Claim,
    crossing,
    crossing_ratio,
    interval,
    sideways_probability,
    smoothed,
)
from sb3_distral.experiments.two_rooms_figure import paper_curves
from sb3_distral.experiments.two_rooms_page import claims_text
from sb3_distral.tasks.grids.two_rooms import CELLS, NEXT_CELL, TwoRooms

N_ITERATIONS = 3


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_rooms_claims, "N_RESAMPLES", 20)
    monkeypatch.setattr(two_rooms_figure, "N_RESAMPLES", 20)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_rooms_figure, "write_figure", lambda folder, results: None)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_rooms, "SEEDS_AT_ONCE", 2)
    monkeypatch.setattr(two_rooms, "N_ROLLOUTS", 2)
    monkeypatch.setattr(two_rooms, "LENGTH", 20)


def study(folder: Path, n_seeds: int = 4, first_seed: int = 0, n_iterations: int = N_ITERATIONS) -> StudyTwoRooms:
    return StudyTwoRooms(n_seeds=n_seeds, first_seed=first_seed, n_iterations=n_iterations, output=folder)


def made_up_results(distral: Any, separate: Any, n_seeds: int = 3) -> Results:
    curves = np.broadcast_to(np.array([distral, separate], dtype=float)[:, None], (n_seeds, 2, 2, len(distral)))
    return Results(np.arange(n_seeds), curves, np.full((n_seeds, 4, 5, 5), 0.2), np.zeros((n_seeds, 2, 8), dtype=int))


def test_corridor_by_hand() -> None:
    assert CELLS[CORRIDOR].tolist() == [[3, column] for column in range(6, 10)]


def test_goals_of_test_tasks_are_new() -> None:
    for seed in range(20):
        training, test = draw_goals(seed)
        assert len(training) == len(test) == 8
        assert not set(training) & set(test)


def test_tables_are_the_suite() -> None:
    """Random actions in the suite's own tasks give the states, rewards and ends of the tables."""
    goals = draw_goals(5)[:1]
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


@pytest.mark.usefixtures("tiny")
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path / "whole").run()
    run_seeds = two_rooms.run_seeds

    def interrupted(seeds: list[int], *arguments: Any) -> Results:
        if 2 in seeds:
            raise KeyboardInterrupt
        return run_seeds(seeds, *arguments)

    monkeypatch.setattr(two_rooms, "run_seeds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "parts").run()
    assert read_results(tmp_path / "parts").seeds.tolist() == [0, 1]  # type: ignore[union-attr]
    monkeypatch.setattr(two_rooms, "run_seeds", run_seeds)
    study(tmp_path / "parts").run()
    for name in ("results.npz", "claims.md", "two-rooms.png"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.usefixtures("tiny", "undrawn")
def test_done_seeds_are_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path, n_seeds=1, first_seed=3).run()
    study(tmp_path, n_seeds=2, first_seed=2).run()
    runs = json.loads((tmp_path / "study.json").read_text())["runs"]
    assert [run["seeds"] for run in runs] == [[3], [2]]
    command = "sb3-distral study two-rooms --n-seeds=2 --first-seed=2 --n-iterations=3"
    assert runs[1]["command"] == f"{command} --output={tmp_path}"
    monkeypatch.setattr(two_rooms, "run_seeds", None)
    (tmp_path / "claims.md").unlink()
    study(tmp_path, n_seeds=2, first_seed=2).run()
    assert (tmp_path / "claims.md").exists()
    with pytest.raises(ValueError, match=r"--n-iterations is 4, but .* holds results of 3 iterations"):
        study(tmp_path, n_iterations=4).run()


@pytest.mark.usefixtures("tiny")
def test_folder_of_another_study_is_refused_before_anything_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.json").write_text('{"kind": "figure4", "commands": []}')
    monkeypatch.setattr(two_rooms, "run_seeds", None)
    with pytest.raises(ValueError, match=r"holds the study figure4, expected two-rooms or an empty folder"):
        study(tmp_path).run()
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(ValueError, match=r"study\.json cannot be read"):
        study(tmp_path).run()


@pytest.mark.usefixtures("tiny", "undrawn")
def test_damaged_results_are_said_and_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path, n_seeds=1).run()
    whole = (tmp_path / "results.npz").read_bytes()
    (tmp_path / "results.npz").write_bytes(whole[:-200])
    with pytest.raises(ValueError, match=r"no readable results\.npz"):
        plot_two_rooms(tmp_path, tmp_path)
    study(tmp_path, n_seeds=1).run()
    assert "is damaged" in capsys.readouterr().out
    assert (tmp_path / "results.npz").read_bytes() == whole


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--n-seeds is 0, expected at least 1"):
        study(tmp_path, n_seeds=0).run()


def test_smoothing_and_crossing_by_hand() -> None:
    assert smoothed(np.array([1.0, 5.0, 3.0])).tolist() == [1.0, 5.0, 3.0]
    ramp = np.arange(100.0)
    assert smoothed(ramp).tolist() == (ramp[1:] - 0.5).tolist()
    assert crossing(ramp, 9.5) == 11
    assert crossing(ramp, 1000.0) == np.inf


def test_ratio_of_crossings() -> None:
    late, early = np.arange(1.0, 11.0), np.minimum(np.arange(5.0, 55.0, 5.0), 10.0)
    assert crossing_ratio(made_up_results(early, late), TRAINING) == 10 / 2
    assert crossing_ratio(made_up_results(late - 3, late), TRAINING) == 0.0
    assert crossing_ratio(made_up_results(early, late - 5), TRAINING, 9.0) == np.inf
    assert np.isnan(crossing_ratio(made_up_results(early, late), TRAINING, 99.0))


def test_verdicts() -> None:
    above, below = Claim("", sideways_probability, 2.4), Claim("", sideways_probability, 0.05, is_above=False)
    assert [above.verdict(2.4, 3), above.verdict(2, 2.3), above.verdict(2, 3)] == [
        "holds",
        "does not hold",
        "undecided",
    ]
    assert [below.verdict(0, 0.05), below.verdict(0.06, 1), below.verdict(0, 1)] == [
        "holds",
        "does not hold",
        "undecided",
    ]
    assert above.verdict(np.nan, np.nan) == "undecided"


def test_interval_and_page_of_made_up_results() -> None:
    results = made_up_results(np.arange(10.0), np.arange(10.0) / 4)
    assert interval(results, sideways_probability) == pytest.approx((0.4, 0.4))
    text = claims_text(results)
    assert "| 40.0% | 40.0% to 40.0% | ≤ 5.0% | **does not hold** |" in text
    assert "| training | 2.25 | 4 | 10 | 2.50 |" in text and "| training | -5.00 | 1 | 1 | 1.00 |" in text


def test_paper_curves() -> None:
    curves = paper_curves()
    assert len(curves) == 21
    assert (curves["iteration"][-1], curves["multi_task_mean"][-1], curves["separately_hi"][-1]) == (990, 0.12, -0.89)
