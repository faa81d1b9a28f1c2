"""What all commands do: help, errors of the user and of the program, interruptions."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import entry_points

import numpy as np
import pytest

from sb3_distral import DistralA2C
from sb3_distral.cli import Evaluate, Train, main
from sb3_distral.runs import TaskChoice, Training

from .conftest import TINY, letters


@pytest.mark.parametrize("module", ["sb3_distral", "sb3_distral.cli"])
def test_help_of_the_modules(module):
    process = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "train" in process.stdout and "evaluate" in process.stdout


ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}


@pytest.mark.parametrize(
    "words",
    [["sb3_distral", "train", "--help"], ["sb3_distral", "evaluate", "--help"], ["experiments.view", "run", "-h"]],
)
def test_help_on_a_terminal_that_has_only_ascii(words):
    process = subprocess.run([sys.executable, "-m", *words], capture_output=True, env=os.environ | ASCII)
    assert process.returncode == 0, process.stderr
    assert "usage" in process.stdout.decode("ascii")


def test_an_evaluation_on_a_terminal_that_has_only_ascii(finished):
    command = [sys.executable, "-m", "sb3_distral", "evaluate", str(finished), "--n-episodes", "2"]
    process = subprocess.run(command, capture_output=True, env=os.environ | ASCII)
    assert process.returncode == 0, process.stderr
    said = process.stdout.decode("ascii")
    assert "distilled policy ?0" in said and "maze-1" in said and " ? " in said


def test_the_script_is_installed():
    (script,) = entry_points(group="console_scripts", name="sb3-distral")
    assert script.load() is main


@pytest.mark.parametrize("command", [Train, Evaluate])
def test_every_option_has_a_help_text(command, capsys):
    with pytest.raises(SystemExit):
        main([command.__name__.lower(), "--help"])
    said = letters(capsys.readouterr().out)
    for option in fields(command):
        text = re.search(rf":param {option.name}: (.+)", f"{command.__doc__}{Training.__doc__}{TaskChoice.__doc__}")[1]
        assert letters(text) in said


def test_errors_of_the_file_system_have_no_traceback(tmp_path, refused):
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(*TINY, "--output", tmp_path / "file")


@pytest.mark.parametrize("error", [lambda: np.zeros(-1), lambda: {}["task"], lambda: int("x")])
def test_true_errors_have_a_traceback(error, tmp_path, monkeypatch):
    """A ``ValueError`` too, unless the package raised it for the user."""
    monkeypatch.setattr(DistralA2C, "learn", lambda *args, **kwargs: error())
    with pytest.raises((KeyError, ValueError)):
        main([*TINY, "--output", str(tmp_path / "run")])


def test_a_training_that_diverges_ends_with_one_line(tmp_path):
    command = [sys.executable, "-m", "sb3_distral", *TINY, "--learning-rate", "1e38", "--algorithm", "A3C"]
    done = subprocess.run([*command, "--output", tmp_path / "run"], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    message = done.stderr
    assert message.startswith("sb3-distral: ") and "the training diverged" in message.lower(), message
    assert message.count("\n") == 1, message
    assert not (tmp_path / "run" / "model.zip").exists()


def test_an_interruption_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(DistralA2C, "learn", interrupt)
    with pytest.raises(SystemExit) as stop:
        main([*TINY, "--output", str(tmp_path / "run")])
    assert stop.value.code == 130
    assert "--resume" in capsys.readouterr().err
