import json
import os
import shutil

import pytest

from sb3_distral import DistralA2C, DistralPPO
from sb3_distral.cli import main, parse

from .conftest import TINY, letters


@pytest.fixture
def unfinished(finished, tmp_path):
    """Folder of a run that was killed after its last checkpoint."""
    folder = shutil.copytree(finished, tmp_path / "unfinished")
    (folder / "model.zip").unlink()
    return folder


def test_options_reach_the_training(finished):
    options = json.loads((finished / "train.json").read_text())
    assert (options["suite"], options["suite_arguments"], options["beta"]) == ("grid-mazes", {"n_tasks": 2}, 30)
    assert "output" not in options and "resume" not in options
    assert DistralA2C.load(finished / "model.zip").num_timesteps == 2000


def test_a_run_goes_on_and_says_so(unfinished, capsys):
    main(["train", "--output", str(unfinished), "--resume"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Going on from" in said and "1600 of 2000 steps are done" in said
    assert f"The model is {unfinished / 'model.zip'}. Try it with: sb3-distral evaluate {unfinished}" in said
    assert DistralA2C.load(unfinished / "model.zip").num_timesteps == 2000


def test_checkpoints_that_cannot_be_used_are_named_once_each(unfinished, capsys):
    (unfinished / "checkpoints" / "checkpoint_1600_steps.zip").write_bytes(b"")
    main(["train", "--output", str(unfinished), "--resume"])
    said = capsys.readouterr().out
    assert said.count("checkpoint_1600_steps.zip is damaged") == 1 and "1200 of 2000 steps are done" in said


def test_a_finished_run_is_left_alone(finished, capsys):
    main([*TINY, "--output", str(finished), "--resume"])
    assert "is finished" in capsys.readouterr().out


# The last two are the defaults, which the run did not begin with.
@pytest.mark.parametrize("given", [["--total-timesteps", "4000"], ["--beta", "100"], ["--log-freq", "5000"]])
def test_contradicting_options_are_refused(given, unfinished, refused):
    name = given[0].strip("-").replace("-", "_")
    message = refused("train", "--output", unfinished, "--resume", *given)
    assert f"began with {name}=" in message and f"Leave {name} as it was" in message
    assert not (unfinished / "model.zip").exists()


def test_a_changed_options_file_is_refused(unfinished, refused):
    (unfinished / "train.json").write_text("{")
    assert "train.json cannot be read" in refused("train", "--output", unfinished, "--resume")


def test_a_run_of_version_0_1_goes_on(unfinished):
    options = json.loads((unfinished / "train.json").read_text())
    del options["learner"]
    (unfinished / "train.json").write_text(json.dumps(options | {"suite_arguments": ["n_tasks=2"]}))
    main(["train", "--output", str(unfinished), "--resume"])
    assert (unfinished / "model.zip").exists()


def test_ppo(tmp_path):
    folder = tmp_path / "run"
    main([*TINY, "--learner", "ppo", "--total-timesteps", "600", "--output", str(folder)])
    assert DistralPPO.load(folder / "model.zip").learning_rate == 3e-4
    main(["evaluate", str(folder), "--n-episodes", "2"])


def test_default_folder():
    command = parse(["train", "--envs", "sb3_distral/GridMaze-0-v0"])
    assert str(command.folder) == os.path.join("runs", "sb3_distral_GridMaze-0-v0-KL+ent_2col-seed0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--suite maze", "grid-mazes"),
        ("--suite grid-mazes --algorithm PPO", "KL+ent_2col"),
        ("--suite grid-mazes --learner sac", "a2c"),
        ("", "Got no task"),
        ("--suite two-rooms --envs CartPole-v1", "--suite two-rooms together with --envs CartPole-v1"),
        ("--envs CartPol-v1", "CartPol"),
        ("--envs CartPole-v7", "CartPole"),
        ("--envs nowhere/CartPole-v1", "nowhere"),
        ("--envs missing_module:CartPole-v1", "missing_module"),
        ("--envs CartPole-v1 Acrobot-v1", "observation space of task 'Acrobot-v1'"),
        ("--envs CartPole-v1 --suite-arguments maze_seed=1", "without --suite"),
        ("--suite two-rooms --suite-arguments maze_seed=1", "['goal_seed', 'n_tasks']"),
        ("--suite grid-mazes --suite-arguments maze_seed=x", "'maze_seed=x'"),
        ("--suite grid-mazes --suite-arguments maze_seed", "expected NAME=NUMBER"),
        ("--suite grid-mazes --suite-arguments n_tasks=2.5", "'n_tasks=2.5'; expected a natural number"),
        ("--suite grid-likeness --suite-arguments likeness=-1", "'likeness=-1.0'; expected a number"),
        ("--suite grid-likeness --suite-arguments likeness=0.3", "from 0 to 1 in steps of 0.125"),
        ("--suite grid-mazes --suite-arguments size=4", "expected an odd number"),
        ("--suite grid-mazes --policy CnnPolicy", "no images"),
        ("--suite grid-mazes --seed -1", "--seed is -1, expected at least 0"),
        ("--suite grid-mazes --beta nan", "--beta is nan, expected a number above 0"),
    ],
)
def test_wrong_options_are_refused(options, message, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert letters(message) in letters(refused("train", *options.split()))
    assert not list(tmp_path.iterdir())
