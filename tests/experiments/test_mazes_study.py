"""The long runs on the first-person mazes: what is kept of them, figure, table and command."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.store import Store
from experiments.mazes import training
from experiments.mazes.__main__ import Mazes
from experiments.mazes.log import LOG, EvaluationLog, read_log
from experiments.mazes.page import draw_curves, draw_study, returns_lines
from experiments.mazes.study import RANDOM, read_results
from experiments.mazes.training import MazeWork
from sb3_distral.runs import DISTILLED_POLICY, TASK_POLICY, TaskChoice, Training


def evaluation(steps: int, level: float) -> dict[str, Any]:
    distilled = {"maze-0": -level, "maze-1": 0.0}
    return {"timesteps": steps, "tasks": {"maze-0": level, "maze-1": 3 * level}, "distilled": distilled}


def around(first: float, second: float) -> dict[str, list[float]]:
    """Returns of two episodes in each maze: means as given, standard errors of 1 and 0."""
    return {"maze-0": [first - 1, first + 1], "maze-1": [second, second]}


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mazes:
    """A study whose trainings leave made-up logs and evaluations."""

    def train(own: Training, resume: bool) -> Path:
        assert resume
        own.folder.mkdir(parents=True)
        log = {"begun_at": [0], "evaluations": [evaluation(50, 1.0), evaluation(100, 2.0)]}
        (own.folder / LOG).write_text(json.dumps(log), encoding="utf-8")
        return own.folder / "model.zip"

    def evaluate(model: Path, tasks: TaskChoice, n_episodes: int, seed: int, trust: bool) -> Any:
        assert trust and (n_episodes, seed) == (16, 10_000) and model.parent.parent == tmp_path / "runs"
        if tasks.suite_arguments:
            return SimpleNamespace(returns={DISTILLED_POLICY: around(4.0, 5.0)})
        returns = {TASK_POLICY: around(7.0, 9.0), DISTILLED_POLICY: around(2.0, 3.0)}
        return SimpleNamespace(returns=returns, timesteps=104)

    random = {"final": {"tasks": around(0.5, 0.7)}, "unseen": {"tasks": around(0.1, 0.3)}}
    monkeypatch.setattr(training.MazeTraining, "train", train)
    monkeypatch.setattr(training, "evaluate", evaluate)
    monkeypatch.setattr(training, "_random_results", lambda run: random)
    algorithms = ("A3C", "A3C_multitask", "KL_2col")
    return Mazes(output=tmp_path / "results", runs=tmp_path / "runs", algorithms=algorithms, total_timesteps=100)


@pytest.fixture
def results(options: Mazes) -> dict[str, dict[str, Any]]:
    options.run(draw_study)
    return read_results(options.output)


def logged(training_folder: Path, start: int, steps: list[int], n_kept: int = 0) -> None:
    """Stand for a part of a training that evaluates after these steps; the first results are those of before it."""
    evaluations = SimpleNamespace(results=[])
    log: Any = EvaluationLog(evaluations, training_folder)  # type: ignore[arg-type]
    log.num_timesteps = start
    log._on_training_start()
    for n_steps in steps:
        returns = {"maze-0": [n_steps - 1.0, n_steps + 1.0], "maze-1": [3.0 * n_steps]}
        distilled = {"maze-0": [-float(n_steps)], "maze-1": [0.0]}
        evaluations.results.append({"timesteps": n_steps, "tasks": returns, "distilled": distilled})
        log._on_step()
        log._on_step()


def test_a_training_that_went_on_is_put_together(tmp_path: Path) -> None:
    for start, steps in ((0, [50, 100, 150]), (100, [150, 200]), (200, [250, 300]), (240, [290]), (150, [200])):
        logged(tmp_path, start, steps)
    log = read_log(tmp_path)
    assert log["begun_at"] == [0, 100, 200, 240, 150]
    assert log["evaluations"] == [evaluation(steps, steps) for steps in (50, 100, 150, 200)]


def test_what_a_training_evaluates_is_logged(tmp_path: Path) -> None:
    """The callback beside the one that evaluates, in a true training on the grid."""
    arguments: dict[str, Any] = {"suite": "grid-mazes", "suite_arguments": {"n_tasks": 2}, "n_envs_per_task": 1}
    arguments |= {"total_timesteps": 40, "eval_freq": 20, "n_eval_episodes": 1, "output": tmp_path / "run"}
    training.MazeTraining(**arguments).train()
    log = read_log(tmp_path / "run")
    assert log["begun_at"] == [0]
    assert [own["timesteps"] for own in log["evaluations"]] == [20, 40]
    assert {policy: set(returns) for policy, returns in log["evaluations"][0].items() if policy != "timesteps"} == {
        "tasks": {"maze-0", "maze-1"},
        "distilled": {"maze-0", "maze-1"},
    }


def test_the_command_writes_results_figure_and_table(options: Mazes, results: dict[str, dict[str, Any]]) -> None:
    written = {path.name for path in options.output.iterdir()}
    assert written == {"study.json", "runs", "learning_curves.png", "returns.md"}
    assert set(results) == {"A3C", "A3C_multitask", "KL_2col", RANDOM}
    result = results["KL_2col"]
    assert result["evaluations"] == [evaluation(50, 1.0), evaluation(100, 2.0)]
    assert result["final"] == {"tasks": around(7.0, 9.0), "distilled": around(2.0, 3.0)}
    assert result["unseen"] == {"distilled": around(4.0, 5.0)}
    assert (result["timesteps"], result["begun_at"]) == (104, [0])
    (made_by,) = Store(options.output).commands
    words = f"--output={options.output} --runs={options.runs} --algorithms A3C A3C_multitask KL_2col"
    assert made_by["command"] == f"python -m experiments.mazes run {words} --total-timesteps=100 --seed=0 --n-threads=2"
    assert made_by["versions"]["miniworld"]


def test_policies_that_are_none_of_their_own_are_left_out(results: dict[str, dict[str, Any]]) -> None:
    for name in ("A3C", "A3C_multitask"):
        for returns in (*results[name]["evaluations"], results[name]["final"], results[name]["unseen"]):
            assert "distilled" not in returns
    # π0 of A3C is never trained; that of A3C_multitask is the one network that all tasks have.
    assert results["A3C"]["final"] == {"tasks": around(7.0, 9.0)} and results["A3C"]["unseen"] == {}
    assert results["A3C_multitask"]["final"] == {"tasks": around(2.0, 3.0)}
    assert results["A3C_multitask"]["unseen"] == {"tasks": around(4.0, 5.0)}


def test_the_table(results: dict[str, dict[str, Any]]) -> None:
    assert returns_lines(results) == [
        "| maze | KL_2col, task policies | KL_2col, π0 | A3C | A3C_multitask | random actions |",
        "|---|---:|---:|---:|---:|---:|",
        "| maze-0 | 7.0 ± 1.0 | 2.0 ± 1.0 | 7.0 ± 1.0 | 2.0 ± 1.0 | 0.5 ± 1.0 |",
        "| maze-1 | 9.0 ± 0.0 | 3.0 ± 0.0 | 9.0 ± 0.0 | 3.0 ± 0.0 | 0.7 ± 0.0 |",
        "| mean of these | 8.0 ± 0.5 | 2.5 ± 0.5 | 8.0 ± 0.5 | 2.5 ± 0.5 | 0.6 ± 0.5 |",
        "| unseen maze-0 | – | 4.0 ± 1.0 | – | 4.0 ± 1.0 | 0.1 ± 1.0 |",
        "| unseen maze-1 | – | 5.0 ± 0.0 | – | 5.0 ± 0.0 | 0.3 ± 0.0 |",
    ]


def test_the_curves(results: dict[str, dict[str, Any]]) -> None:
    of_tasks, of_distilled = draw_curves(results).axes
    for axis, level in ((of_tasks, 2.0), (of_distilled, -0.5)):
        lines = {line.get_label(): line.get_xydata() for line in axis.lines}
        assert set(lines) == {"KL_2col", RANDOM} | ({"A3C", "A3C_multitask"} if axis is of_tasks else set())
        np.testing.assert_allclose(lines["KL_2col"], [[0.05, level], [0.1, 2 * level]])


@pytest.mark.usefixtures("results")
def test_draw_draws_anew_from_the_results_alone(options: Mazes, tmp_path: Path) -> None:
    main(Mazes, draw_study, ["draw", str(options.output), "--output", str(tmp_path / "again")])
    for name in ("returns.md", "learning_curves.png"):
        assert (tmp_path / "again" / name).read_bytes() == (options.output / name).read_bytes()


@pytest.mark.usefixtures("results")
def test_more_algorithms_are_added_to_what_is_done(options: Mazes, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(MazeWork, "__call__", lambda self, run: begun.append(run.name))
    replace(options, algorithms=("KL_2col", "KL_1col")).run(lambda *_: "")
    assert begun == ["KL_1col"]


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("other", [{"total_timesteps": 200}, {"seed": 1}])
def test_results_of_other_settings_are_refused(options: Mazes, other: dict[str, int]) -> None:
    name = next(iter(other))
    with pytest.raises(ValueError, match=f"a study with {name}={getattr(options, name)}, .*{name}={other[name]}"):
        replace(options, **other).run(draw_study)  # type: ignore[arg-type]


def test_a_table_without_random_actions_or_unseen_mazes() -> None:
    own = {"final": {"tasks": {"maze-0": [0.0, 2.0]}, "distilled": {"maze-0": [2.0, 2.0]}}, "unseen": {}}
    assert returns_lines({"KL_2col": own})[2:] == [
        "| maze-0 | 1.0 ± 1.0 | 2.0 ± 0.0 |",
        "| mean of these | 1.0 ± 1.0 | 2.0 ± 0.0 |",
    ]
