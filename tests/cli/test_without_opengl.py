"""Commands on a first-person suite where MiniWorld or OpenGL is missing, also in the processes that they start."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("miniworld", "Run: pip install 'sb3-distral[miniworld]'"),
        ("pyglet", "On Debian and Ubuntu run: apt-get install"),
    ],
)
@pytest.mark.parametrize("choice", [["--suite", "mazes"], ["--envs", "MiniWorld-Hallway-v0"]], ids=["suite", "envs"])
def test_a_training_ends_with_one_line(module, advice, choice, tmp_path):
    error = "ModuleNotFoundError('none')" if module == "miniworld" else "ImportError('no OpenGL')"
    (tmp_path / "miniworld.py").touch()  # found, so that OpenGL is looked for
    (tmp_path / f"{module}.py").write_text(f"raise {error}\n", encoding="utf-8")
    script = "from sb3_distral.cli import main; main()"
    command = [sys.executable, "-c", script, "train", *choice, "--total-timesteps", "8", "--output", tmp_path / "run"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 2, done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith("sb3-distral: ") and "Traceback" not in done.stderr, done.stderr
    assert f"{' '.join(choice)} cannot be made" in said and advice in said
