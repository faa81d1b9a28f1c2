"""``sb3-distral doctor`` where all is well, and where something is missing."""

import subprocess
import sys
from itertools import count
from types import SimpleNamespace

import pytest

from sb3_distral import tasks
from sb3_distral.cli import doctor, main

WITHOUT = """
import sys
{missing}
from sb3_distral.cli import doctor, main
doctor.SECONDS = 0.01
main(["doctor"])
"""
NO_MINIWORLD = "sys.modules['miniworld'] = None"
NO_OPENGL = """
import pyglet
def load_library(*names, **kwargs):
    raise ImportError(f'Library "{names[0]}" not found.')
pyglet.lib.load_library = load_library
"""


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(doctor, "SECONDS", 0.01)


def test_where_all_is_well_the_exit_code_is_0(capsys):
    pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)
    main(["doctor"])
    shown = capsys.readouterr().out
    assert "PyTorch: " in shown and "threads, device" in shown
    assert ", OpenGL " in shown and "20 of 20 are those of a lone one" in shown
    assert all(suite in shown for suite in tasks.SUITES)
    assert "not available" not in shown and "All is well." in shown


def test_wrong_frames_are_found(capsys, monkeypatch):
    rendering = pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

    def one_list():
        rendering.gl.current_context.static_world = 1
        return 1

    monkeypatch.setattr(rendering, "display_list", one_list)
    monkeypatch.setattr(doctor, "print_speeds", lambda: None)
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    assert stop.value.code == 1
    assert "frames are wrong when two environments share a process" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        (NO_MINIWORLD, "Run: pip install 'sb3-distral[miniworld]'"),
        (NO_OPENGL, "On Debian and Ubuntu run: apt-get install libegl1"),
    ],
)
def test_what_is_missing_is_said_and_the_exit_code_is_1(missing, advice):
    script = [sys.executable, "-c", WITHOUT.replace("{missing}", missing)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=900)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert advice in done.stdout
    assert "grid-mazes" in done.stdout and "not available" in done.stdout


def test_speed_counts_the_steps_of_all_environments(monkeypatch):
    # A millisecond passes from one look at the clock to the next, however busy the machine is.
    clock = count()
    monkeypatch.setattr(doctor, "time", SimpleNamespace(perf_counter=lambda: next(clock) / 1000))
    env = tasks.make("two-rooms", n_envs_per_task=3, n_tasks=1)
    counted = []
    step = env.step
    env.step = lambda actions: counted.append(len(actions)) or step(actions)
    rate = doctor.speed(env)
    assert counted == [3] * len(counted) and len(counted) > 5
    assert rate == pytest.approx(sum(counted) / (len(counted) + 2) * 1000)
