"""The command line on a first-person suite."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from experiments.common.command import main as study_main
from experiments.mazes import __main__ as command
from experiments.mazes import training
from experiments.mazes.page import draw_study
from experiments.mazes.study import RANDOM, Study, read_results
from sb3_distral import RecurrentDistralA2C
from sb3_distral.cli import main
from sb3_distral.networks.lstm import ImageFeatures
from sb3_distral.tasks.miniworld.mazes import draw_maze


def test_train_and_evaluate_the_papers_columns(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "run"
    options = ["--n-envs-per-task", "1", "--suite-arguments", "n_tasks=2", "--output", str(folder)]
    main(["train", "--suite", "mazes", "--algorithm", "KL+ent_2col", "--total-timesteps", "80", *options])
    model = RecurrentDistralA2C.load(folder / "model.zip")
    column = model.distilled_policy
    assert model.num_timesteps == 80 and model.task_names == ["maze-0", "maze-1"]
    assert isinstance(column.features_extractor, ImageFeatures)
    assert (column.features_extractor.features_dim, column.lstm_actor.hidden_size) == (256, 256)

    main(["evaluate", str(folder), "--n-episodes", "1", "--output", str(tmp_path / "returns.json")])
    results = json.loads((tmp_path / "returns.json").read_text(encoding="utf-8"))["results"]
    assert {policy: sorted(returns) for policy, returns in results.items()} == {
        "task policy": ["maze-0", "maze-1"],
        "distilled policy π0": ["maze-0", "maze-1"],
    }


def test_a_study_of_the_mazes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mazes = {"final": {"n_tasks": 2}, "unseen": {"maze_seed": 1, "n_tasks": 1}}
    for name, value in {"FILM_STEPS": 3, "MAZES": mazes}.items():
        monkeypatch.setattr(training, name, value)
    monkeypatch.setattr(command, "Study", partial(Study, n_episodes=2))
    output, runs = tmp_path / "results", tmp_path / "runs"
    options = ["--total-timesteps", "160", "--n-threads", "1", "--algorithms", "KL+ent_2col"]
    study_main(command.Mazes, draw_study, ["run", "--output", str(output), "--runs", str(runs), *options])
    results = read_results(output)
    assert set(results) == {"KL+ent_2col", RANDOM}
    trained, random = results["KL+ent_2col"], results[RANDOM]
    assert (trained["timesteps"], trained["begun_at"]) == (160, [0])
    assert set(trained["final"]) == {"tasks", "distilled"} and set(trained["unseen"]) == {"distilled"}
    for returns in (*trained["final"].values(), random["final"]["tasks"]):
        assert {maze: len(own) for maze, own in returns.items()} == {"maze-0": 2, "maze-1": 2}
    for returns in (trained["unseen"]["distilled"], random["unseen"]["tasks"]):
        assert {maze: len(own) for maze, own in returns.items()} == {"maze-0": 2}
    pictures = {"agent.gif", "agent.png", "learning_curves.png"}
    assert {path.name for path in output.iterdir()} == pictures | {"returns.md", "runs", "study.json"}


def test_unseen_mazes_of_the_study_are_unseen() -> None:
    unseen = training.MAZES["unseen"]
    trained = [draw_maze(task, 0, 9)[0].tobytes() for task in range(8)]
    for task in range(unseen["n_tasks"]):
        assert draw_maze(task, unseen["maze_seed"], 9)[0].tobytes() not in trained
