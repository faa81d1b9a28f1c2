"""``sb3-distral doctor`` where all is well, and where something is missing."""

import subprocess
import sys
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest

from sb3_distral import tasks
from sb3_distral.cli import doctor, main
from sb3_distral.tasks.suites import WorldSuite

WORLD_SUITES = {name: suite for name, suite in tasks.SUITES.items() if isinstance(suite, WorldSuite)}
WITHOUT = """
import sys
{missing}
from sb3_distral.cli import doctor, main
doctor.SECONDS = 0.01
doctor.RemoteVecEnv = doctor.DummyVecEnv  # what is missing here is there in another process
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


def test_where_all_is_well_the_exit_code_is_0(capsys, monkeypatch):
    pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)
    for name, suite in WORLD_SUITES.items():
        monkeypatch.setitem(tasks.SUITES, name, replace(suite, n_tasks=1))
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
        (NO_OPENGL + NO_MINIWORLD, "Run: pip install 'sb3-distral[miniworld]'"),
        (NO_OPENGL, "On Debian and Ubuntu run: apt-get install libegl1"),
    ],
)
def test_what_is_missing_is_said_and_the_exit_code_is_1(missing, advice):
    script = [sys.executable, "-c", WITHOUT.replace("{missing}", missing)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=900)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert advice in done.stdout
    assert "grid-mazes" in done.stdout
    assert all(f"{suite} " in done.stdout for suite in WORLD_SUITES)
    assert done.stdout.count("not available") == 1 + len(WORLD_SUITES)  # one is for rendering


def test_a_driver_that_loads_but_cannot_draw_is_no_traceback(capsys, monkeypatch):
    rendering = pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

    def no_frame_buffer(*args, **kwargs):
        raise AssertionError("no frame buffer")

    monkeypatch.setattr(rendering, "own_init", no_frame_buffer)
    monkeypatch.setattr(doctor, "print_speeds", lambda: "")
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    assert stop.value.code == 1
    assert "fail (AssertionError('no frame buffer'))" in capsys.readouterr().out


def test_a_process_that_dies_is_no_traceback(capsys, monkeypatch):
    def dies(*args, **kwargs):
        raise RuntimeError("the process has ended")

    monkeypatch.setattr(doctor, "check_rendering", lambda: "")
    monkeypatch.setattr(doctor, "make_task_vec_env", dies)
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    assert stop.value.code == 1
    shown = capsys.readouterr().out
    assert "the process has ended" in shown and "LIBGL_ALWAYS_SOFTWARE=1" in shown
    assert shown.count("not available") == len(WORLD_SUITES)


def test_each_task_of_a_first_person_suite_has_a_speed(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "make_task_vec_env", lambda task_id, *args, **kwargs: task_id)
    monkeypatch.setattr(doctor, "speed", lambda venv: 1234.5 if venv == "sb3_distral/Mazes-7-v0" else 1.0)
    assert doctor.print_speeds() == ""
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "mazes, maze-7" in line)
    assert "1,234" in row
    assert all(shown.count(f"{name}, ") == suite.n_tasks for name, suite in WORLD_SUITES.items())


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
