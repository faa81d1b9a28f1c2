"""The command line on a first-person suite."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from sb3_distral import RecurrentDistralA2C
from sb3_distral.cli import main
from sb3_distral.recurrent.networks import ImageFeatures


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
