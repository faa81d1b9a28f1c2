"""The long runs on the first-person mazes: what is kept of them, figure, table and command."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3_distral.cli import study_mazes
from sb3_distral.cli.study import Plot
from sb3_distral.cli.study_mazes import StudyMazes
from sb3_distral.experiments.maze_page import draw_curves, returns_text
from sb3_distral.experiments.maze_runs import RANDOM, logged_evaluations, read_results
from sb3_distral.runs import DISTILLED_POLICY, TASK_POLICY

TASKS = ("maze-0", "maze-1")


def write_log(path: Path, evaluations: dict[int, float]) -> None:
    """Write a log as the training does: rows of evaluations and others take turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ["train/loss", "eval/mean_reward", "eval/distilled_mean_reward", "time/total_timesteps"]
    keys += [f"eval/{task}/{kind}" for task in TASKS for kind in ("mean_reward", "distilled_mean_reward")]
    with path.open("w", newline="", encoding="utf-8") as file:
        log = csv.DictWriter(file, keys, restval="")
        log.writeheader()
        for steps, level in evaluations.items():
            log.writerow({"time/total_timesteps": steps - 1, "train/loss": 0.5})
            returns = {"eval/maze-0/mean_reward": level, "eval/maze-1/mean_reward": 3 * level}
            returns |= {"eval/maze-0/distilled_mean_reward": -level, "eval/maze-1/distilled_mean_reward": 0.0}
            log.writerow({"time/total_timesteps": steps, "eval/mean_reward": 2 * level, **returns})


def evaluation(steps: int, level: float) -> dict[str, Any]:
    distilled = {"maze-0": -level, "maze-1": 0.0}
    return {"timesteps": steps, "tasks": {"maze-0": level, "maze-1": 3 * level}, "distilled": distilled}


def around(first: float, second: float) -> dict[str, list[float]]:
    """Returns of two episodes in each maze: means as given, standard errors of 1 and 0."""
    return {"maze-0": [first - 1, first + 1], "maze-1": [second, second]}


def write_evaluation(path: Path, policies: dict[str, dict[str, list[float]]]) -> None:
    results = {
        policy: {task: {"returns": own} for task, own in returns.items()} for policy, returns in policies.items()
    }
    path.write_text(json.dumps({"timesteps": 104, "results": results}), encoding="utf-8")


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyMazes:
    """A study whose trainings leave made-up logs and evaluations."""

    def train(training: Any) -> None:
        if not training.folder.exists():
            write_log(training.folder / "progress.csv", {50: 1.0, 100: 2.0})

    def evaluate(own: Any) -> None:
        if own.suite_arguments:
            write_evaluation(own.output, {DISTILLED_POLICY: around(4.0, 5.0)})
        else:
            write_evaluation(own.output, {TASK_POLICY: around(7.0, 9.0), DISTILLED_POLICY: around(2.0, 3.0)})

    random = {"final": {"tasks": around(0.5, 0.7)}, "unseen": {"tasks": around(0.1, 0.3)}}
    monkeypatch.setattr(study_mazes.Train, "run", train)
    monkeypatch.setattr(study_mazes.Evaluate, "run", evaluate)
    monkeypatch.setattr(StudyMazes, "random_result", lambda _: random)
    algorithms = ("A3C", "A3C_multitask", "KL_2col")
    return StudyMazes(output=tmp_path / "results", runs=tmp_path / "runs", algorithms=algorithms, total_timesteps=100)


def test_a_training_that_went_on_is_put_together(tmp_path: Path) -> None:
    write_log(tmp_path / "progress.csv", {50: 1.0, 100: 2.0, 150: 3.0})
    write_log(tmp_path / "progress_1_from_100.csv", {150: 4.0, 200: 5.0})
    write_log(tmp_path / "progress_10_from_240.csv", {250: 8.0})
    write_log(tmp_path / "progress_2_from_200.csv", {250: 7.0, 300: 9.0})
    levels = {50: 1.0, 100: 2.0, 150: 4.0, 200: 5.0, 250: 8.0}
    assert logged_evaluations(tmp_path) == [evaluation(*own) for own in levels.items()]


def test_the_command_writes_results_figure_and_table(trained: StudyMazes) -> None:
    trained.run()
    assert {path.name for path in trained.output.iterdir()} == {
        "study.json",
        "runs",
        "learning_curves.png",
        "returns.md",
    }
    results = read_results(trained.output)
    assert set(results) == {"A3C", "A3C_multitask", "KL_2col", RANDOM}
    result = results["KL_2col"]
    assert result["evaluations"] == [evaluation(50, 1.0), evaluation(100, 2.0)]
    assert result["final"] == {"tasks": around(7.0, 9.0), "distilled": around(2.0, 3.0)}
    assert result["unseen"] == {"distilled": around(4.0, 5.0)}
    assert (result["timesteps"], result["begun_at"]) == (104, [0])
    assert result["made_by"]["command"] == (
        "sb3-distral study mazes --total-timesteps=100 --seed=0 --n-threads=2 "
        f"--output={trained.output} --runs={trained.runs} --algorithms A3C A3C_multitask KL_2col"
    )
    assert result["made_by"]["machine"]["cores"] >= 1 and result["made_by"]["versions"]["miniworld"]


def test_policies_that_are_none_of_their_own_are_left_out(trained: StudyMazes) -> None:
    trained.run()
    results = read_results(trained.output)
    for name in ("A3C", "A3C_multitask"):
        for returns in (*results[name]["evaluations"], results[name]["final"], results[name]["unseen"]):
            assert "distilled" not in returns
    # π0 of A3C is never trained; that of A3C_multitask is the one network that all tasks have.
    assert results["A3C"]["final"] == {"tasks": around(7.0, 9.0)} and results["A3C"]["unseen"] == {}
    assert results["A3C_multitask"]["final"] == {"tasks": around(2.0, 3.0)}
    assert results["A3C_multitask"]["unseen"] == {"tasks": around(4.0, 5.0)}


def test_the_table(trained: StudyMazes) -> None:
    trained.run()
    assert (trained.output / "returns.md").read_text(encoding="utf-8").splitlines() == [
        "| maze | KL_2col, task policies | KL_2col, π0 | A3C | A3C_multitask | random actions |",
        "|---|---:|---:|---:|---:|---:|",
        "| maze-0 | 7.0 ± 1.0 | 2.0 ± 1.0 | 7.0 ± 1.0 | 2.0 ± 1.0 | 0.5 ± 1.0 |",
        "| maze-1 | 9.0 ± 0.0 | 3.0 ± 0.0 | 9.0 ± 0.0 | 3.0 ± 0.0 | 0.7 ± 0.0 |",
        "| mean of these | 8.0 ± 0.5 | 2.5 ± 0.5 | 8.0 ± 0.5 | 2.5 ± 0.5 | 0.6 ± 0.5 |",
        "| unseen maze-0 | – | 4.0 ± 1.0 | – | 4.0 ± 1.0 | 0.1 ± 1.0 |",
        "| unseen maze-1 | – | 5.0 ± 0.0 | – | 5.0 ± 0.0 | 0.3 ± 0.0 |",
    ]


def test_the_curves(trained: StudyMazes) -> None:
    trained.run()
    of_tasks, of_distilled = draw_curves(read_results(trained.output)).axes
    for axis, level in ((of_tasks, 2.0), (of_distilled, -0.5)):
        lines = {line.get_label(): line.get_xydata() for line in axis.lines}
        assert set(lines) == {"KL_2col", RANDOM} | ({"A3C", "A3C_multitask"} if axis is of_tasks else set())
        np.testing.assert_allclose(lines["KL_2col"], [[0.05, level], [0.1, 2 * level]])


def test_plot_draws_anew_from_the_results_alone(trained: StudyMazes, tmp_path: Path) -> None:
    trained.run()
    Plot(folder=trained.output, output=tmp_path / "again").run()
    for name in ("returns.md", "learning_curves.png"):
        assert (tmp_path / "again" / name).read_bytes() == (trained.output / name).read_bytes()


def test_what_is_done_is_not_done_again(trained: StudyMazes, monkeypatch: pytest.MonkeyPatch) -> None:
    trained.run()
    files = {path: path.read_bytes() for path in sorted(trained.output.rglob("*.json"))}
    for name in ("training", "evaluate", "random_result"):
        monkeypatch.setattr(StudyMazes, name, lambda *_, name=name: pytest.fail(f"{name} again"))
    trained.run()
    assert {path: path.read_bytes() for path in sorted(trained.output.rglob("*.json"))} == files


def test_an_interrupted_study_goes_on(trained: StudyMazes, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(trained, algorithms=("A3C",)).run()
    (trained.output / "runs" / "random-actions.json").unlink()
    trained.run()
    assert set(read_results(trained.output)) == {"A3C", "A3C_multitask", "KL_2col", RANDOM}


def test_a_damaged_result_is_named(trained: StudyMazes) -> None:
    trained.run()
    path = trained.output / "runs" / "A3C.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"A3C\.json is damaged.*Delete it and start the study again"):
        read_results(trained.output)


def test_a_folder_of_another_study_is_refused_before_anything_is_trained(
    trained: StudyMazes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_mazes.Train, "run", lambda _: pytest.fail("trained"))
    trained.output.mkdir()
    (trained.output / "study.json").write_text('{"kind": "figure4"}', encoding="utf-8")
    with pytest.raises(ValueError, match="holds the study figure4"):
        trained.run()


@pytest.mark.parametrize("other", [{"total_timesteps": 200}, {"seed": 1}])
def test_results_of_other_settings_are_refused(trained: StudyMazes, other: dict[str, int]) -> None:
    trained.run()
    name = next(iter(other))
    with pytest.raises(ValueError, match=f"began with {name}={getattr(trained, name)}.*{name}={other[name]}"):
        replace(trained, **other).run()  # type: ignore[arg-type]


def test_a_table_without_random_actions_or_unseen_mazes() -> None:
    own = {"final": {"tasks": {"maze-0": [0.0, 2.0]}, "distilled": {"maze-0": [2.0, 2.0]}}, "unseen": {}}
    assert returns_text({"KL_2col": own}).splitlines()[2:] == [
        "| maze-0 | 1.0 ± 1.0 | 2.0 ± 0.0 |",
        "| mean of these | 1.0 ± 1.0 | 2.0 ± 0.0 |",
    ]
