import re

import pytest

from sb3_distral.cli import main

# Roll-outs of 20 steps: a row of the logs each 200 steps, checkpoints at 400, 800, 1200 and 1600.
TINY = [
    *("train", "--suite", "grid-mazes", "--suite-arguments", "n_tasks=2", "--n-envs-per-task", "2", "--beta", "30"),
    *("--total-timesteps", "2000", "--checkpoint-freq", "400", "--log-freq", "200"),
]


def letters(text):
    """Letters and digits alone: the parser breaks lines, indents them and draws boxes as it likes."""
    return re.sub(r"[\W_]", "", text)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folder of a run that was never interrupted."""
    folder = tmp_path_factory.mktemp("run") / "finished"
    main([*TINY, "--output", str(folder)])
    return folder


@pytest.fixture
def refused(capsys):
    """Run a command that must end with exit code 2, and return what it says."""

    def run(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        assert stop.value.code == 2
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.out + captured.err

    return run
