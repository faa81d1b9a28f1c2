"""The options of a run that may be anybody's."""

import json
import os
import shutil
import sys
from functools import partial

import gymnasium as gym
import pytest
from envs.messages import refuses

from sb3_distral import DistralA2C, save_policy
from sb3_distral.runs import TaskChoice, Training, evaluate

WRONG = [
    ([], "holds a list"),
    ({}, "'envs'"),
    ({"suite": 7}, "its option suite is 7, which is of the wrong type"),
    ({"envs": "CartPole-v1"}, "its option envs is 'CartPole-v1'"),
    ({"envs": [1]}, "its option envs is [1]"),
    ({"suite_arguments": {"n_tasks": "2"}}, "its option suite_arguments is"),
    ({"suite_arguments": ["n_tasks"]}, "not enough values"),
    ({"envs": ["CartPole-v1"] * 1001}, "it names 1001 environments"),
    ({"suite_arguments": None}, "its option suite_arguments is None"),
    ({"seed": 1.5}, "its option seed is 1.5"),
    ({"seed": True}, "its option seed is True"),
    ({"beta": "\x1b[2J\n"}, r"its option beta is '\x1b[2J\n'"),
    ({"learning_rate": [1]}, "its option learning_rate is [1]"),
    ({"output": "/etc"}, "the unknown option 'output'"),
    ({"command": "rm"}, "the unknown option 'command'"),
    ("[" * 100_000, "recursion"),
    ("\ud800", "unterminated"),
]


@pytest.fixture
def run(finished, tmp_path):
    """A folder of a run that may be changed."""
    return shutil.copytree(finished, tmp_path / "run")


def change(run, **options):
    path = run / "train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | options))


@pytest.mark.parametrize(("given", "message"), WRONG, ids=range(len(WRONG)))
def test_options_of_the_wrong_kind_are_refused_in_one_line(given, message, run):
    path = run / "train.json"
    if isinstance(given, dict):
        given = json.loads(path.read_text()) | given if given else given
    path.write_bytes((given if isinstance(given, str) else json.dumps(given)).encode(errors="surrogatepass"))
    message = "can't decode" if message == "unterminated" else message
    for use in (evaluate, Training.read):
        with refuses(f"{path} cannot be read (", message, "expected the options of a training as JSON") as error:
            use(run)
        assert f"{error.value}".isprintable()


def test_every_option_comes_back(tmp_path):
    values = {"learning_rate": 1, "suite_arguments": {"n_tasks": 2, "likeness": 0.5}, "held_out": {"maze_seed": 1}}
    training = Training(suite="grid-likeness", beta=float("inf"), eval_freq=5, output=tmp_path, **values)
    (tmp_path / "train.json").write_text(json.dumps(training.options()))
    assert Training.read(tmp_path) == training


@pytest.mark.parametrize(("name", "most"), [("n_tasks", 1000), ("size", 999)])
def test_arguments_that_take_memory_have_a_limit(name, most, run):
    change(run, suite_arguments={name: 10**9 + 1})
    with refuses(f"--suite-arguments got '{name}=1000000001'; expected at most {name}={most}"):
        evaluate(run)


def test_a_model_of_other_tasks_is_not_taken_for_that_of_the_run(run):
    change(run, suite_arguments={"n_tasks": 3})
    with refuses(
        "train.json", "['maze-0', 'maze-1', 'maze-2']", "the model has ['maze-0', 'maze-1']", "--suite or --envs"
    ):
        evaluate(run, n_episodes=1)


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A run whose options name a module that leaves a trace when it is imported."""
    (tmp_path / "strangers_tasks.py").write_text(
        "import gymnasium, pathlib\n"
        "pathlib.Path(__file__).with_name('trace').touch()\n"
        "gymnasium.register('Stranger-v0', 'gymnasium.envs.classic_control:CartPoleEnv', max_episode_steps=5)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    options = Training(envs=("strangers_tasks:Stranger-v0",)).options()
    (run / "train.json").write_text(json.dumps(options))
    model = DistralA2C({"strangers_tasks:Stranger-v0": partial(gym.make, "CartPole-v1")})
    save_policy(model, run / "policies.zip")
    yield run
    sys.modules.pop("strangers_tasks", None)


def test_a_module_that_a_run_names_is_imported_only_with_trust(stranger):
    with refuses(
        "train.json", "'strangers_tasks:Stranger-v0'", "module 'strangers_tasks' would be imported", "--trust", "--envs"
    ):
        evaluate(stranger, n_episodes=1)
    assert not (stranger.parent / "trace").exists()
    assert evaluate(stranger, TaskChoice(envs=("CartPole-v1",)), n_episodes=1).returns
    assert not (stranger.parent / "trace").exists()
    assert len(evaluate(stranger, n_episodes=1, trust=True).returns) == 2
    assert (stranger.parent / "trace").exists()


def test_a_pickle_in_a_run_is_run_only_with_trust(run):
    """Of each file that an evaluation may read."""

    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(run / "trace"),)

    model = DistralA2C.load(run / "model.zip")
    model.tensorboard_log = Malicious()
    for name in ("model.zip", "checkpoints/checkpoint_1600_steps.zip", "policies.zip", "best_policies.zip"):
        model.save(run / name)
        with refuses(name, "a pickle", "runs whatever code", "policies.zip, which" if name[0] in "mc" else "ask for"):
            evaluate(run / name)
    with refuses("policies.zip", "could run code"):
        evaluate(run, trust=True)
    assert not (run / "trace").exists()
