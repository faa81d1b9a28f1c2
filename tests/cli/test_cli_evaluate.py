import json
import shutil

import numpy as np
import pytest

from sb3_distral import DistralA2C, tasks
from sb3_distral.cli import main

FEW = ["--n-episodes", "2"]


def evaluate(capsys, *args):
    capsys.readouterr()
    main(["evaluate", *(str(arg) for arg in args)])
    return capsys.readouterr().out


@pytest.fixture
def model_file(tmp_path):
    """A model without a run."""
    model = DistralA2C(
        tasks.make("two-rooms", n_tasks=2), seed=0, alpha=0.0, beta=float("inf"), architecture="one_column"
    )
    model.save(tmp_path / "rooms")
    return tmp_path / "rooms.zip"


def test_table_and_json(finished, tmp_path, capsys):
    output = evaluate(capsys, finished, *FEW, "--output", tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["tasks"] == {
        "suite": "grid-mazes",
        "suite_arguments": {"size": 13, "maze_seed": 0, "n_tasks": 2},
        "envs": [],
    }
    assert (results["timesteps"], results["n_episodes"], results["seed"]) == (2000, 2, 0)
    assert list(results["results"]) == ["task policy", "distilled policy π0"]
    for by_task in results["results"].values():
        assert list(by_task) == ["maze-0", "maze-1"]
        for entry in by_task.values():
            assert len(entry["returns"]) == 2
            assert entry["mean"] == np.mean(entry["returns"]) and entry["std"] == np.std(entry["returns"])
    for task in ("maze-0", "maze-1"):
        cells = [results["results"][policy][task] for policy in ("task policy", "distilled policy π0")]
        line = next(line for line in output.splitlines() if task in line)
        assert [cell.strip() for cell in line.split("│")[2:4]] == [f"{c['mean']:.2f} ± {c['std']:.2f}" for c in cells]
    assert "mean of tasks" in output and "π0 acts alone" not in output


# Action 0 stays where it is, for 0.1 in each of 100 steps; action 1 runs up, for 0.5 a step at the wall.
def test_each_column_is_of_its_own_policy(model_file, tmp_path, capsys):
    model = DistralA2C.load(model_file)
    model.distilled_policy.action_net.bias.data[0] = 1e4
    model.policy.task_columns.action_net.bias.data[1, 0, 1] = 1e4
    model.save(model_file)
    arguments = ["--suite", "two-rooms", "--suite-arguments", "n_tasks=2", "--output", tmp_path / "results.json"]
    evaluate(capsys, model_file, "--deterministic", *arguments)
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results["distilled policy π0"]["two-rooms-1"]["returns"] == pytest.approx([-10.0] * 20)
    assert min(results["task policy"]["two-rooms-1"]["returns"]) < -40


def test_evaluation_repeats(finished, tmp_path, capsys):
    def results(name, *args):
        evaluate(capsys, finished, "--n-episodes", "10", "--output", tmp_path / name, *args)
        return json.loads((tmp_path / name).read_text())["results"]

    assert results("a.json") == results("b.json")
    assert results("a.json") != results("c.json", "--seed", "5")
    assert results("a.json") != results("d.json", "--deterministic")


def test_unseen_tasks_are_for_the_distilled_policy(finished, tmp_path, capsys):
    arguments = ["--suite-arguments", "maze_seed=1", "n_tasks=3", "--output", tmp_path / "results.json"]
    output = evaluate(capsys, finished, *FEW, *arguments)
    assert "task policy" not in output.splitlines()[2] and "maze-2" in output
    assert "π0 acts alone: each task policy belongs to a task of the training" in output
    assert list(json.loads((tmp_path / "results.json").read_text())["results"]) == ["distilled policy π0"]


def test_tasks_of_the_training_may_be_spelled_out(finished, capsys):
    arguments = ["--suite", "grid-mazes", "--suite-arguments", "maze_seed=0", "n_tasks=2", "size=13"]
    assert "task policy" in evaluate(capsys, finished, *FEW, *arguments)


def test_an_unfinished_run_is_evaluated_at_its_newest_checkpoint(finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "model.zip").unlink()
    assert "checkpoint_1600_steps.zip after 1600 steps" in evaluate(capsys, folder, *FEW)


@pytest.mark.parametrize("file", ["model.zip", "checkpoints/checkpoint_1200_steps.zip"])
def test_files_of_a_run_know_their_tasks(file, finished, capsys):
    output = evaluate(capsys, finished / file, *FEW)
    assert "maze-1" in output and "task policy" in output


def test_a_model_without_a_run(model_file, capsys, refused):
    assert "Pass --suite or --envs" in refused("evaluate", model_file)
    output = evaluate(capsys, model_file, *FEW, "--suite", "two-rooms", "--suite-arguments", "n_tasks=2")
    assert "task policy" in output and "taken for those it was trained on" in output
    assert "π0 was never trained" in output
    assert "π0 acts alone" in evaluate(capsys, model_file, *FEW, "--suite", "two-rooms")


def test_gymnasium_ids(model_file, capsys):
    output = evaluate(capsys, model_file, *FEW, "--envs", "sb3_distral/TwoRooms-0-v0")
    assert "sb3_distral/TwoRooms-0-v0" in output and "π0 acts alone" in output


def test_tasks_of_other_spaces_are_refused(finished, refused):
    message = refused("evaluate", finished, "--suite", "two-rooms")
    assert "the observation space Box" in message and "(60,)" in message and "(81,)" in message


def test_missing_and_wrong_files_are_refused(tmp_path, refused):
    assert "There is no" in refused("evaluate", tmp_path / "missing")
    assert "neither model.zip nor a checkpoint" in refused("evaluate", tmp_path)
    (tmp_path / "text.zip").write_text("no zip")
    assert "is damaged or no model" in refused("evaluate", tmp_path / "text.zip")


def test_wrong_options_are_refused(finished, refused):
    assert "--n-episodes is 0, expected at least 1" in refused("evaluate", finished, "--n-episodes", "0")
    assert "--seed is -1" in refused("evaluate", finished, "--seed", "-1")
