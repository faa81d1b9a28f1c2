import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import fields, replace
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import SpaceEnv, assert_equal_parameters, copied_parameters
from stable_baselines3.common.save_util import load_from_zip_file

from sb3_distral import DistralA2C, RecurrentDistralA2C, make_task_vec_env
from sb3_distral.algorithms.recurrent import RecurrentDistralPolicy
from sb3_distral.cli import Evaluate, Train, main, parse
from sb3_distral.runs.choice import TaskChoice
from sb3_distral.runs.models import algorithm_class

from .conftest import TINY

KILLED = """
import os, signal, sys
from pathlib import Path
from sb3_distral import DistralA2C
from sb3_distral.cli import main

own_update, own_replace = DistralA2C._update_info_buffer, Path.replace

def update(model, *args):
    own_update(model, *args)
    if not SAVING and model.num_timesteps >= STEPS:
        os.kill(os.getpid(), signal.SIGKILL)

def replace(path, target):
    if SAVING and target.name == "checkpoint_STEPS_steps.zip":
        os.kill(os.getpid(), signal.SIGKILL)
    own_replace(path, target)

DistralA2C._update_info_buffer, Path.replace = update, replace
main(sys.argv[1:])
"""


def train_until_killed(folder, steps, saving=False):
    script = KILLED.replace("SAVING", str(saving)).replace("STEPS", str(steps))
    process = subprocess.run([sys.executable, "-c", script, *TINY, "--output", str(folder)], capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


@pytest.fixture(scope="module")
def killed_once(tmp_path_factory):
    """Folder of a run that was killed between two checkpoints, in the middle of a roll-out."""
    folder = tmp_path_factory.mktemp("run") / "killed"
    train_until_killed(folder, 1512)
    return folder


@pytest.fixture
def killed(killed_once, tmp_path):
    return shutil.copytree(killed_once, tmp_path / "killed")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_equal(first, second)
    elif isinstance(one, (th.Tensor, np.ndarray)):
        assert one.shape == other.shape and (one == other).all()
    else:
        assert one == other


def assert_same_training(run, other):
    """Weights, optimizer, counters, generators and the place in every task."""
    (data, weights, _), (other_data, other_weights, _) = (load_from_zip_file(r / "model.zip") for r in (run, other))
    assert_equal(weights, other_weights)
    for name in ("num_timesteps", "_n_updates", "_current_progress_remaining", "_resume_state"):
        assert_equal(data[name], other_data[name])
    episodes = [{name: [e["r"] for e in es] for name, es in d["_task_episodes"].items()} for d in (data, other_data)]
    assert episodes[0] == episodes[1]


def evaluations(path):
    return [{key: own for key, own in row.items() if "eval/" in key} for row in rows(path) if row["eval/mean_reward"]]


def test_evaluations_leave_the_training_as_it_is_and_go_on_as_if_never_stopped(finished, tmp_path):
    main([*TINY, "--eval-freq", "1000", "--n-eval-episodes", "2", "--output", str(tmp_path / "run")])
    assert_same_training(finished, tmp_path / "run")
    logged = evaluations(tmp_path / "run" / "progress.csv")
    assert len(logged) == 2 and logged[0] != logged[1]
    assert {"eval/maze-1/mean_reward", "eval/maze-1/distilled_mean_reward", "eval/mean_reward"} <= logged[0].keys()
    (tmp_path / "run" / "model.zip").unlink()
    main(["train", "--output", str(tmp_path / "run"), "--resume"])
    assert_same_training(finished, tmp_path / "run")
    assert evaluations(tmp_path / "run" / "progress_1_from_1600.csv") == logged[1:]


def test_files_of_a_run(finished):
    assert [name for name in names(finished) if not name.startswith("events.")] == [
        "checkpoints",
        "model.zip",
        "progress.csv",
        "train.json",
    ]
    assert len(list(finished.glob("events.out.tfevents.*"))) == 1
    assert names(finished / "checkpoints") == ["checkpoint_1200_steps.zip", "checkpoint_1600_steps.zip"]
    assert [int(row["time/total_timesteps"]) for row in rows(finished / "progress.csv")] == list(range(200, 2001, 200))
    assert "rollout/maze-1/ep_rew_mean" in rows(finished / "progress.csv")[-1]
    assert DistralA2C.load(finished / "model.zip").num_timesteps == 2000


def test_options_reach_the_model_and_are_saved(finished):
    options = json.loads((finished / "train.json").read_text())
    assert options["suite"] == "grid-mazes" and options["suite_arguments"] == ["n_tasks=2"] and options["beta"] == 30
    assert "output" not in options and "resume" not in options
    model = DistralA2C.load(finished / "model.zip")
    assert (model.alpha, model.beta, model.learning_rate, model.n_envs) == (0.5, 30, 2e-3, 4)
    assert model.task_names == ["maze-0", "maze-1"]


def test_the_seed_decides(finished, tmp_path):
    main([*TINY, "--output", str(tmp_path / "same")])
    assert_same_training(finished, tmp_path / "same")
    main([*TINY, "--output", str(tmp_path / "other"), "--seed", "1"])
    with pytest.raises(AssertionError):
        assert_same_training(finished, tmp_path / "other")


def test_a_killed_run_goes_on_as_if_never_stopped(finished, killed, capsys):
    assert names(killed / "checkpoints") == ["checkpoint_1200_steps.zip", "checkpoint_800_steps.zip"]
    before = (killed / "progress.csv").read_text()
    main(["train", "--output", str(killed), "--resume"])
    assert "1200 of 2000 steps are done" in capsys.readouterr().out
    assert_same_training(killed, finished)
    assert (killed / "progress.csv").read_text() == before
    joined = [row for row in rows(killed / "progress.csv") if int(row["time/total_timesteps"]) <= 1200]
    joined += rows(killed / "progress_1_from_1200.csv")
    assert len(joined) == 10
    for row, expected in zip(joined, rows(finished / "progress.csv"), strict=True):
        for key in ("time/total_timesteps", "train/value_loss", "train/policy_loss", "rollout/ep_rew_mean"):
            assert row[key] == expected[key]


def test_a_run_killed_while_it_saves_goes_on(finished, tmp_path):
    folder = tmp_path / "run"
    train_until_killed(folder, 1200, saving=True)
    saved = names(folder / "checkpoints")
    assert saved[0].startswith("checkpoint_1200_steps.zip.") and saved[0].endswith(".part")
    assert saved[1:] == ["checkpoint_400_steps.zip", "checkpoint_800_steps.zip"]
    main(["train", "--output", str(folder), "--resume"])
    assert_same_training(folder, finished)
    assert not list(folder.rglob("*.part"))


def test_without_a_checkpoint_a_run_begins_again_and_says_so(finished, killed, capsys):
    shutil.rmtree(killed / "checkpoints")
    before = (killed / "progress.csv").read_text()
    main(["train", "--output", str(killed), "--resume"])
    assert "starting from the beginning" in capsys.readouterr().out
    assert_same_training(killed, finished)
    assert (killed / "progress.csv").read_text() == before
    assert len(rows(killed / "progress_1_from_0.csv")) == 10


def test_resume_in_a_new_folder_begins(tmp_path, capsys):
    folder = tmp_path / "new"
    main([*TINY, "--total-timesteps", "20", "--output", str(folder), "--resume"])
    assert "starting from the beginning" in capsys.readouterr().out
    assert (folder / "model.zip").exists()


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_checkpoint_is_passed_over(damage, finished, killed, capsys):
    newest = killed / "checkpoints" / "checkpoint_1200_steps.zip"
    content = newest.read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    newest.write_bytes({"truncated": content[:middle], "changed": changed, "empty": b""}[damage])
    main(["train", "--output", str(killed), "--resume"])
    output = capsys.readouterr().out
    assert "checkpoint_1200_steps.zip is damaged" in output and "800 of 2000 steps are done" in output
    assert_same_training(killed, finished)


def test_damaged_checkpoints_alone_are_refused(killed, refused):
    for path in (killed / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert "None of the 2 checkpoints" in refused("train", "--output", killed, "--resume")
    assert len(names(killed / "checkpoints")) == 2


def test_a_finished_run_is_left_alone(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    main([*TINY, "--output", str(finished), "--resume"])
    assert "is finished" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}


def test_a_folder_with_a_run_is_refused(finished, refused):
    message = refused(*TINY, "--output", finished)
    assert "holds a run already" in message and "--resume" in message and "--output" in message


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_folder_with_other_things_is_refused(resume, tmp_path, refused):
    (tmp_path / "thesis.tex").write_text("all of it")
    assert "is not empty but holds no run" in refused(*TINY, "--output", tmp_path, *resume)
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize(
    "given",
    # The last two are the defaults, which the run did not begin with.
    [
        ["--total-timesteps", "4000"],
        ["--seed", "1"],
        ["--algorithm", "KL_2col"],
        ["--beta", "100"],
        ["--log-freq", "5000"],
    ],
)
def test_contradicting_options_are_refused(given, killed, refused):
    name = given[0].strip("-").replace("-", "_")
    message = refused("train", "--output", killed, "--resume", *given)
    assert f"began with {name}=" in message and f"Leave {name} as it was" in message
    assert "model.zip" not in names(killed)


def test_a_run_may_go_on_with_more_threads(killed):
    begun = Train.read(killed)
    replace(begun, n_threads=3, resume=True, output=killed).check_folder()


def test_a_changed_options_file_is_refused(killed, refused):
    (killed / "train.json").write_text("{")
    assert "train.json cannot be read" in refused("train", "--output", killed, "--resume")


def test_gymnasium_ids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = ["--n-envs-per-task", "2", "--total-timesteps", "100", "--log-freq", "20", "--checkpoint-freq", "40"]
    main(["train", "--envs", "CartPole-v0", "CartPole-v1", "--algorithm", "A3C", *sizes])
    folder = tmp_path / "runs" / "CartPole-v0+1-A3C-seed0"
    model = DistralA2C.load(folder / "model.zip")
    assert model.task_names == ["CartPole-v0", "CartPole-v1"] and model.ent_coef == 0.01
    assert len(rows(folder / "progress.csv")) == 5
    (folder / "model.zip").unlink()
    main(["train", "--output", str(folder), "--resume"])
    assert DistralA2C.load(folder / "model.zip").num_timesteps == 100


def test_default_folder_of_an_id_with_a_slash():
    command = parse(["train", "--envs", "sb3_distral/GridMaze-0-v0"])
    assert str(command.folder) == os.path.join("runs", "sb3_distral_GridMaze-0-v0-KL+ent_2col-seed0")


def letters(text):
    """Letters and digits alone: the parser breaks lines, indents them and draws boxes as it likes."""
    return re.sub(r"[\W_]", "", text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--suite maze", "grid-mazes"),
        ("--suite grid-mazes --algorithm PPO", "KL+ent_2col"),
        ("", "Got no task"),
        ("--suite two-rooms --envs CartPole-v1", "--suite two-rooms together with --envs CartPole-v1"),
        ("--envs CartPol-v1", "CartPol"),
        ("--envs missing_module:CartPole-v1", "missing_module"),
        ("--envs CartPole-v1 Acrobot-v1", "observation space of task 'Acrobot-v1'"),
        ("--envs CartPole-v1 --suite-arguments maze_seed=1", "without --suite"),
        ("--suite two-rooms --suite-arguments maze_seed=1", "['goal_seed', 'n_tasks']"),
        ("--suite grid-mazes --suite-arguments maze_seed=x", "'maze_seed=x'"),
        ("--suite grid-mazes --suite-arguments size=4", "expected an odd number"),
        ("--suite grid-mazes --seed -1", "--seed is -1, expected at least 0"),
        ("--suite grid-mazes --total-timesteps 0", "--total-timesteps is 0, expected at least 1"),
        ("--suite grid-mazes --n-threads 0", "--n-threads is 0, expected at least 1"),
        ("--suite grid-mazes --learning-rate 0", "--learning-rate is 0.0, expected a number above 0"),
        ("--suite grid-mazes --beta nan", "--beta is nan, expected a number above 0"),
    ],
)
def test_wrong_options_are_refused(options, message, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert letters(message) in letters(refused("train", *options.split()))
    assert not names(tmp_path)


def test_errors_of_the_file_system_have_no_traceback(tmp_path, refused):
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(*TINY, "--output", tmp_path / "file")


def test_true_errors_have_a_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(DistralA2C, "learn", lambda *args, **kwargs: np.zeros(3).reshape(2))
    with pytest.raises(ValueError):
        main([*TINY, "--output", str(tmp_path / "run")])


def test_an_interruption_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(DistralA2C, "learn", interrupt)
    with pytest.raises(SystemExit) as stop:
        main([*TINY, "--output", str(tmp_path / "run")])
    assert stop.value.code == 130
    assert "--resume" in capsys.readouterr().err


def test_help_of_the_module():
    process = subprocess.run([sys.executable, "-m", "sb3_distral.cli", "--help"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "train" in process.stdout and "evaluate" in process.stdout


def test_the_script_is_installed():
    (script,) = entry_points(group="console_scripts", name="sb3-distral")
    assert script.load() is main


@pytest.mark.parametrize("command", [Train, Evaluate])
def test_every_option_has_a_help_text(command, capsys):
    with pytest.raises(SystemExit):
        main([command.__name__.lower(), "--help"])
    said = letters(capsys.readouterr().out)
    for option in fields(command):
        text = re.search(rf":param {option.name}: (.+)", f"{command.__doc__}{TaskChoice.__doc__}")[1]
        assert letters(text) in said


def test_a_policy_with_memory_is_trained_resumed_and_evaluated(tmp_path, capsys):
    """The class follows the policy, when the run begins, when it goes on and when its model is evaluated."""
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    tiny = [*TINY, "--total-timesteps", "800", "--policy", "MlpLstmPolicy"]
    main([*tiny, "--output", str(straight)])
    model = RecurrentDistralA2C.load(straight / "model.zip")
    assert (model.n_steps, type(model.policy)) == (20, RecurrentDistralPolicy)
    shutil.copytree(straight, resumed)
    (resumed / "model.zip").unlink()
    (resumed / "checkpoints" / "checkpoint_800_steps.zip").unlink(missing_ok=True)
    main(["train", "--resume", "--output", str(resumed)])
    assert "Going on from" in capsys.readouterr().out
    again = RecurrentDistralA2C.load(resumed / "model.zip")
    assert_equal_parameters(copied_parameters(again.policy), copied_parameters(model.policy))
    main(["evaluate", str(straight), "--n-episodes", "2"])
    assert "distilled policy" in capsys.readouterr().out


def test_images_are_seen_by_a_policy_with_memory():
    plain = make_task_vec_env([lambda: SpaceEnv(spaces.Box(0.0, 1.0, (4,)))])
    image = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    images = make_task_vec_env([lambda: SpaceEnv(image)])
    beside = make_task_vec_env([lambda: SpaceEnv(spaces.Dict({"image": image, "speed": spaces.Box(0.0, 1.0, (1,))}))])
    assert [algorithm_class("auto", env) for env in (plain, images, beside)] == [
        DistralA2C,
        RecurrentDistralA2C,
        RecurrentDistralA2C,
    ]
    assert algorithm_class("CnnPolicy", images) is DistralA2C
