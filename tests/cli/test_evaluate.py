import json
import shutil
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from helpers import save_diverged
from stable_baselines3 import A2C

from sb3_distral import DistralA2C, save_policy
from sb3_distral.cli import main

FEW = ["--n-episodes", "2"]


def evaluate(capsys, *args):
    capsys.readouterr()
    main(["evaluate", *(str(arg) for arg in args)])
    return capsys.readouterr().out


def test_table_and_json(finished, tmp_path, capsys):
    output = evaluate(capsys, finished, *FEW, "--output", tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["timesteps"], results["n_episodes"], results["seed"]) == (2000, 2, 0)
    assert output.startswith(f"{finished / 'policies.zip'} after 2000 steps: mean ± std of 2 returns")
    for task in ("maze-0", "maze-1"):
        cells = [results["results"][policy][task] for policy in ("task policy", "distilled policy π0")]
        line = next(line for line in output.splitlines() if task in line)
        assert [cell.strip() for cell in line.split("│")[2:4]] == [f"{c['mean']:.2f} ± {c['std']:.2f}" for c in cells]
    assert "mean of tasks" in output and "π0 acts alone" not in output


@pytest.mark.parametrize("place", ["print_table", "print"])
def test_an_evaluation_that_cannot_be_printed_is_written_all_the_same(finished, tmp_path, monkeypatch, place):
    def fail(*_):
        raise BrokenPipeError("nobody reads it")

    monkeypatch.setattr(f"sb3_distral.cli.evaluate.{place}", fail, raising=False)
    with pytest.raises(SystemExit):
        main(["evaluate", str(finished), *FEW, "--output", str(tmp_path / "results.json")])
    assert json.loads((tmp_path / "results.json").read_text())["n_episodes"] == 2


def test_options_reach_the_evaluation(finished, tmp_path, capsys):
    options = ["--suite-arguments", "maze_seed=1", "n_tasks=3", "--seed", "4", "--deterministic"]
    output = evaluate(capsys, finished, *FEW, *options, "--output", tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["tasks"]["suite_arguments"] == {"maze_seed": 1, "n_tasks": 3, "size": 13}
    assert (results["seed"], results["deterministic"]) == (4, True)
    assert "task policy" not in output.splitlines()[2] and "maze-2" in output
    assert "π0 acts alone: each task policy belongs to a task of the training" in output


def test_gymnasium_ids(tmp_path, capsys):
    save_policy(DistralA2C(["CartPole-v1"]), tmp_path / "model.zip")
    assert "CartPole-v1" in evaluate(capsys, tmp_path / "model.zip", *FEW, "--envs", "CartPole-v1")


def test_pictures(finished, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the extra pictures is not installed")
    output = evaluate(capsys, finished, *FEW, "--pictures", tmp_path / "new" / "pictures")
    assert {path.name for path in (tmp_path / "new" / "pictures").iterdir()} == {"returns.png", "episode.gif"}
    assert f"Film: {tmp_path / 'new' / 'pictures' / 'episode.gif'}" in output


class Invisible(gym.Env):
    """A task that cannot be drawn."""

    observation_space, action_space = gym.spaces.Box(0, 1, (2,)), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 1.0, False, False, {}


def test_tasks_that_cannot_be_drawn_give_bars_alone(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the extra pictures is not installed")
    gym.register("Invisible-v0", Invisible, max_episode_steps=3)
    save_policy(DistralA2C(["Invisible-v0"]), tmp_path / "model.zip")
    arguments = ["--envs", "Invisible-v0", "--pictures", tmp_path / "pictures"]
    output = evaluate(capsys, tmp_path / "model.zip", *FEW, *arguments)
    assert "There is no film: not all of the tasks have the render mode 'rgb_array'" in output
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["returns.png"]


def test_pictures_without_matplotlib_are_refused_before_the_evaluation(tmp_path, refused, monkeypatch):
    monkeypatch.setattr("sb3_distral.cli.evaluate.find_spec", lambda name: None)
    assert "pip install 'sb3-distral[pictures]'" in refused("evaluate", tmp_path / "missing", "--pictures", tmp_path)


def test_missing_and_wrong_files_are_refused(finished, tmp_path, refused):
    assert "There is no" in refused("evaluate", tmp_path / "missing")
    assert "neither policies.zip nor model.zip nor a checkpoint" in refused("evaluate", tmp_path)
    (tmp_path / "text.zip").write_text("no zip")
    assert "cannot be read as a policy" in refused("evaluate", tmp_path / "text.zip")
    model = DistralA2C.load(finished / "model.zip")
    with th.no_grad():
        model.distilled_policy.value_net.bias[0] = th.nan
    save_diverged(model, tmp_path / "diverged.zip")
    assert "its training diverged" in refused("evaluate", tmp_path / "diverged.zip", "--trust")


def test_wrong_options_are_refused(finished, refused):
    assert "--n-episodes is 0, expected at least 1" in refused("evaluate", finished, "--n-episodes", "0")
    assert "--seed is -1" in refused("evaluate", finished, "--seed", "-1")
    assert "--n-threads is 0" in refused("evaluate", finished, "--n-threads", "0")
    assert "the observation space" in refused("evaluate", finished, "--suite", "two-rooms")


# Strange files


def strange_files(finished, folder):
    """Files and folders by what they are."""
    model = (finished / "model.zip").read_bytes()
    A2C("MlpPolicy", "CartPole-v1").save(folder / "a2c.zip")
    with zipfile.ZipFile(finished / "model.zip") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(parts["data"])
    contents = {
        "no data": {name: own for name, own in parts.items() if name != "data"},
        "a list": parts | {"data": b"[]"},
        "no names": parts | {"data": json.dumps({**data, "task_names": None}).encode()},
        "few names": parts | {"data": json.dumps({**data, "task_names": ["maze-0"]}).encode()},
        "a bomb": parts | {"policy.pth": b"\0" * 10**8},
    }
    for name, own in contents.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for part, content in own.items():
                archive.writestr(part, content)
    (folder / "text.zip").write_text("text")
    (folder / "empty.zip").touch()
    (folder / "truncated.zip").write_bytes(model[: len(model) // 2])
    save_policy(DistralA2C.load(finished / "model.zip").distilled_policy, folder / "pi0.zip")
    return {
        "a2c.zip": "a model of an algorithm of Stable-Baselines3's own",
        "no data.zip": "",
        "a list.zip": "data is a list and no object",
        "no names.zip": "task_names are None",
        "few names.zip": "names the tasks ['maze-0'], but holds the policies of 2 tasks",
        "a bomb.zip": "would unpack to",
        "text.zip": "not a zip file",
        "empty.zip": "not a zip file",
        "truncated.zip": "",
        "pi0.zip": "holds a single policy (Column); expected the policies of a whole model",
    }


def test_strange_files_are_refused_in_one_line(finished, tmp_path, refused):
    for name, message in strange_files(finished, tmp_path).items():
        for options in ([], ["--trust"]):
            said = refused("evaluate", tmp_path / name, "--suite", "grid-mazes", *options)
            assert said.startswith("sb3-distral: ") and said.count("\n") == 1 and str(tmp_path / name) in said, said
        assert message in said


def test_a_pickle_needs_a_word(finished, capsys, refused):
    said = refused("evaluate", finished / "model.zip", *FEW)
    assert "runs whatever code its author has put there" in said and "pass --trust" in said
    assert "task policy" in evaluate(capsys, finished / "model.zip", *FEW, "--trust")


def test_a_run_with_strange_options_is_refused_in_one_line(finished, tmp_path, refused):
    folder = shutil.copytree(finished, tmp_path / "run")
    for options in (
        '{"suite": 1}',
        "[]",
        "{",
        '{"envs": [], "suite_arguments": {"n_tasks": 1e9}, "suite": "grid-mazes"}',
    ):
        (folder / "train.json").write_text(options)
        for command in (["evaluate", folder], ["train", "--resume", "--output", folder]):
            said = refused(*command)
            assert said.startswith("sb3-distral: ") and said.count("\n") == 1, said
