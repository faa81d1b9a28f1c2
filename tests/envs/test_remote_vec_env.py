"""A VecEnv in another process against the same one in this process."""

import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from integration.toys import DICT_SPACE, Toy, assert_equal
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from sb3_distral import RemoteVecEnv, make_task_vec_env
from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.remote_vec_env import START_METHOD

GRID = "sb3_distral/GridMaze-0-v0"


class Odd(Toy):
    """It has options and reset infos, tells its process, fails where it is asked to, and leaves a file when closed."""

    render_mode = "rgb_array"
    closes = None

    def __init__(self, wait=0.0, **arguments):
        super().__init__(**arguments)
        self.wait = wait

    @property
    def pid(self):
        return os.getpid()

    def reset(self, *, seed=None, options=None):
        self.options = options
        return super().reset(seed=seed)[0], {"drawn": float(self.np_random.normal())}

    def step(self, action):
        time.sleep(self.wait)
        if action == 1:
            raise UnusualError("no such way", 7)
        return super().step(action)

    def render(self):
        return np.full((4, 6, 3), self.steps, dtype=np.uint8)

    def fail(self, error):
        raise error

    def unsendable(self):
        return lambda: None

    def unreadable(self):
        return UnusualError("no such way", 7)

    def raise_unsendable(self):
        raise RuntimeError("with a function", lambda: None)

    def close(self):
        if self.closes is not None:
            self.closes.write_text("closed")


class UnusualError(Exception):
    """It cannot be rebuilt from its ``args``, as pickle tries to."""

    def __init__(self, text, number):
        super().__init__(text)


def several(n=2, **arguments):
    """Episodes of 3, 4, … steps, so that they do not end together."""
    makers = [partial(Odd, reward=None, length=3 + i, **arguments) for i in range(n)]
    return DummyVecEnv([makers[0], lambda: Monitor(makers[1]())] if n == 2 else makers)


@pytest.fixture
def remote():
    venv = RemoteVecEnv(several)
    yield venv
    venv.close()


def is_running(pid):
    """A zombie counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_done(pid):
    """A zombie counts: in a container nobody may be there to bury an orphan."""
    status = Path(f"/proc/{pid}/stat")
    return not is_running(pid) or (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def stream(venv, n_steps=9):
    steps = [venv.reset(), list(venv.reset_infos)]
    for step in range(n_steps):
        if step == 6:
            steps.append(venv.reset())
        observations, rewards, dones, infos = venv.step(np.full(venv.num_envs, 2 * (step % 2)))
        for info in infos:
            info.get("episode", {}).pop("t", None)  # seconds
        steps += [observations, rewards, dones, infos, list(venv.reset_infos)]
    venv.close()
    return steps


@pytest.mark.parametrize("wrap", [lambda venv: venv, VecMonitor])
def test_every_step_equals_that_of_the_same_environments_in_this_process(wrap):
    here, there = wrap(several(n_actions=3)), RemoteVecEnv(lambda: wrap(several(n_actions=3)))
    for name in ("num_envs", "observation_space", "action_space", "render_mode", "metadata"):
        assert getattr(there, name) == getattr(here, name), name
    for venv in (here, there):
        assert list(venv.seed(5)) == [5, 6]
    streams = [stream(venv) for venv in (here, there)]
    assert_equal(*streams)
    assert [part.dtype for part in streams[0] if isinstance(part, np.ndarray)] == [
        part.dtype for part in streams[1] if isinstance(part, np.ndarray)
    ]


def test_a_seed_that_is_drawn_comes_from_the_generator_of_this_process(remote):
    seeds = []
    for venv in (several(), remote):
        np.random.seed(3)
        seeds.append((list(venv.seed()), venv.reset()))
    assert_equal(*seeds)


def test_dict_observations_arrive_whole():
    make = partial(several, observation_space=DICT_SPACE, n_actions=3)
    there = RemoteVecEnv(make)
    here = make()
    for venv in (here, there):
        venv.seed(1)
    assert_equal(stream(here), stream(there))


def test_attributes_and_methods_reach_the_chosen_sub_environments(remote):
    assert remote.get_attr("length") == [3, 4]
    assert remote.get_attr("length", 1) == [4]
    remote.set_attr("reward", 7.0, indices=[1])
    assert remote.get_attr("reward", range(2)) == [None, 7.0]
    assert remote.env_method("name", greeting="x", indices=[1, 0]) == ["x of 4 steps", "x of 3 steps"]
    assert remote.env_method("name", "hello") == ["hello of 3 steps", "hello of 4 steps"]
    assert remote.env_is_wrapped(Monitor) == [False, True]
    assert remote.env_is_wrapped(Monitor, indices=1) == [True]
    assert remote.has_attr("length") and not remote.has_attr("width")


def test_options_reach_their_sub_environment_at_the_next_reset_only(remote):
    remote.set_options([{"n": 0}, {"n": 1}])
    remote.reset()
    assert remote.get_attr("options") == [{"n": 0}, {"n": 1}]
    remote.reset()
    assert remote.get_attr("options") == [None, None]


def test_pictures_are_those_of_this_process(remote):
    here = several()
    for venv in (here, remote):
        venv.reset()
        venv.step(np.zeros(2, dtype=int))
    assert_equal(list(here.get_images()), list(remote.get_images()))
    assert_equal(here.render(), remote.render())


# Errors


def test_an_error_has_its_type_and_the_traceback_of_the_other_process(remote):
    with pytest.raises(KeyError, match="lost") as caught:
        remote.env_method("fail", KeyError("lost"), indices=0)
    assert "in fail" in str(caught.value.__cause__)
    assert remote.get_attr("length") == [3, 4]  # it goes on


def test_errors_that_cannot_be_sent_are_told_of(remote):
    remote.reset()
    with pytest.raises(RuntimeError, match="no such way"):
        remote.step(np.array([0, 1]))
    with pytest.raises(RuntimeError, match="with a function"):
        remote.env_method("raise_unsendable")
    assert remote.get_attr("length") == [3, 4]


@pytest.mark.parametrize("method", ["unsendable", "unreadable"])
def test_a_result_that_cannot_be_sent_is_an_error_and_the_process_goes_on(remote, method):
    """What the error says is pickle's."""
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        remote.env_method(method)
    assert remote.get_attr("length") == [3, 4]


def test_an_error_while_environments_are_made_ends_the_process():
    """The cause names the function; where its source is, only the library knows that sent it to the process."""

    def make():
        raise ZeroDivisionError("no world today")

    before = multiprocessing.active_children()
    with pytest.raises(ZeroDivisionError, match="no world today") as caught:
        RemoteVecEnv(make)
    assert "in make" in str(caught.value.__cause__)
    assert multiprocessing.active_children() == before


def test_after_one_task_failed_the_others_answer_what_they_are_asked():
    venv = ConcatVecEnv([RemoteVecEnv(several), RemoteVecEnv(partial(several, n_actions=3))])
    venv.seed(0)
    first = venv.reset()
    with pytest.raises(RuntimeError, match="no such way"):
        venv.step(np.array([1, 1, 2, 2]))
    venv.seed(0)
    assert_equal(venv.reset(), first)
    assert venv.get_attr("length") == [3, 4, 3, 4]
    venv.close()


def test_a_step_after_one_in_which_a_task_failed_is_the_next_of_the_others():
    here = several(n_actions=3)
    there = ConcatVecEnv([RemoteVecEnv(several), RemoteVecEnv(partial(several, n_actions=3))])
    here.seed(2)
    there.seed(0)
    for venv in (here, there):
        venv.reset()
    here.step(np.array([2, 2]))
    with pytest.raises(RuntimeError, match="no such way"):
        there.step(np.array([1, 1, 2, 2]))
    for _ in range(3):
        steps = [venv.step(np.zeros(venv.num_envs, dtype=int))[:3] for venv in (here, there)]
        assert_equal(steps[0], [part[2:] for part in steps[1]])
    assert there.get_attr("length") == [3, 4, 3, 4]
    there.close()


@contextmanager
def interrupted_after(seconds):
    """What is done meanwhile has to end with a ``KeyboardInterrupt``, as after Ctrl-C."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_after_an_interrupt_amid_a_step_every_answer_is_to_its_own_question(remote):
    remote.reset()
    remote.set_attr("wait", 3.0, indices=0)
    remote.step_async(np.zeros(2, dtype=int))
    with interrupted_after(0.1):
        remote.step_wait()
    assert remote.reset().shape == (2, 3)
    remote.set_attr("wait", 0.0)
    here = several()
    for venv in (here, remote):
        venv.seed(4)
    assert_equal(stream(here), stream(remote))


@pytest.mark.parametrize("moment", ["before a step", "amid a step"])
def test_a_killed_process_is_an_error_and_no_hang(remote, moment):
    remote.reset()
    if moment == "amid a step":
        remote.set_attr("wait", 60.0)
        remote.step_async(np.zeros(2, dtype=int))
    os.kill(remote.process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"has ended by itself with exit code -9"):
        remote.step_wait() if moment == "amid a step" else remote.step(np.zeros(2, dtype=int))
    with pytest.raises(RuntimeError, match=r"has ended by itself"):
        remote.reset()


# The end


def test_closing_closes_the_environments_and_leaves_no_process(remote, tmp_path):
    pid = remote.process.pid
    remote.set_attr("closes", tmp_path / "file", indices=0)
    remote.close()
    assert (tmp_path / "file").read_text() == "closed"
    assert not is_running(pid)
    remote.close()
    with pytest.raises(RuntimeError, match="closed"):
        remote.reset()


def test_closing_does_not_wait_for_a_step_that_takes_too_long(remote, monkeypatch):
    monkeypatch.setattr(remote.link, "close_timeout", 0.2)
    remote.reset()
    remote.set_attr("wait", 60.0)
    remote.step_async(np.zeros(2, dtype=int))
    pid, start = remote.process.pid, time.monotonic()
    remote.close()
    assert time.monotonic() - start < 10 and not is_running(pid)


SCRIPT = """
import os, signal, sys, time
{top}
from sb3_distral import RemoteVecEnv
from stable_baselines3.common.vec_env import DummyVecEnv
import gymnasium as gym

if __name__ == "__main__":
    venv = RemoteVecEnv(lambda: DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    venv.reset()
{rest}
"""


def run_script(folder, rest="", top=""):
    """In a process group of its own, which it may send signals to."""
    path = folder / "script.py"
    path.write_text(SCRIPT.format(top=top, rest=textwrap.indent(textwrap.dedent(rest), "    ")))
    arguments = [sys.executable, path]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=300, start_new_session=True)


def complaints(script):
    """What Python says of errors and of what was left behind; a warning of a library is none of it."""
    return re.findall("Traceback|Exception ignored|Fatal|leaked", script.stderr)


def test_a_script_may_end_without_closing(tmp_path):
    script = run_script(tmp_path)
    assert script.returncode == 0 and not complaints(script), script.stderr


def test_ctrl_c_reaches_all_processes_and_ends_none_by_itself(tmp_path):
    interrupted = """
    try:
        os.killpg(0, signal.SIGINT)
        time.sleep(60)
    except KeyboardInterrupt:
        print(venv.step([0])[0].shape)
    venv.close()
    """
    # Tests that run in the background of a shell inherit that SIGINT is ignored.
    script = run_script(tmp_path, interrupted, "signal.signal(signal.SIGINT, signal.default_int_handler)")
    assert (script.returncode, script.stdout) == (0, "(1, 4)\n") and not complaints(script), script.stderr


@pytest.mark.skipif(START_METHOD != "forkserver", reason="nothing is imported before a process starts")
def test_the_fork_server_imports_this_package_but_not_the_main_module(tmp_path):
    """The main module sees in the script's process that the package is new, and in the other that it was there."""
    script = run_script(tmp_path, top='print("sb3_distral.envs.remote_vec_env" in sys.modules, flush=True)')
    assert script.stdout.split() == ["False", "True"], script.stderr


def test_the_process_ends_when_the_one_that_made_it_is_killed(tmp_path):
    script = run_script(tmp_path, "print(venv.process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    assert script.returncode == -signal.SIGKILL, script.stderr
    deadline = time.monotonic() + 30
    while not is_done(int(script.stdout)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert is_done(int(script.stdout))


# A process for each task


class Meeting(Toy):
    """An environment that is made, and steps, when all tasks do."""

    def __init__(self, folder, name, n_tasks):
        super().__init__()
        self.folder, self.name, self.n_tasks = folder, name, n_tasks
        self.meet("making")

    def meet(self, occasion):
        (self.folder / occasion).mkdir(exist_ok=True)
        (self.folder / occasion / self.name).touch()
        deadline = time.monotonic() + 60
        while len(list((self.folder / occasion).iterdir())) < self.n_tasks:
            assert time.monotonic() < deadline, f"the others are not {occasion} meanwhile"
            time.sleep(0.01)

    def step(self, action):
        self.meet("stepping")
        return super().step(action)


def test_tasks_are_made_and_step_at_the_same_time(tmp_path):
    tasks = {name: partial(Meeting, tmp_path, name, 3) for name in ("one", "two", "three")}
    venv = make_task_vec_env(tasks, vec_env_cls=RemoteVecEnv)
    venv.reset()
    venv.step(np.zeros(3, dtype=int))
    venv.close()


class Hanging(Toy):
    def __init__(self):
        super().__init__()
        time.sleep(60)


def test_an_interrupt_while_tasks_are_made_ends_their_processes(monkeypatch):
    RemoteVecEnv(several).close()  # the server of processes takes seconds to start, too
    monkeypatch.setattr("sb3_distral.envs.link.CLOSE_TIMEOUT", 0.5)
    before = multiprocessing.active_children()
    begun = time.monotonic()
    with interrupted_after(5.0):
        make_task_vec_env([Toy, Hanging, Hanging], vec_env_cls=RemoteVecEnv)
    assert time.monotonic() - begun < 50
    assert multiprocessing.active_children() == before


class Broken(Toy):
    def __init__(self):
        raise ValueError("no world today")


def test_where_one_task_cannot_be_made_the_processes_of_the_others_end():
    before = multiprocessing.active_children()
    with pytest.raises(ValueError, match="no world today"):
        make_task_vec_env([Toy, Broken, Toy], vec_env_cls=RemoteVecEnv)
    assert multiprocessing.active_children() == before


def test_each_task_has_a_process_and_its_stream():
    tasks = {"short": partial(Odd, reward=None, length=2), "long": partial(Odd, reward=None, length=3)}
    here, there = (
        make_task_vec_env(tasks, n_envs_per_task=2, seed=8, vec_env_cls=vec_env_cls)
        for vec_env_cls in (DummyVecEnv, RemoteVecEnv)
    )
    pids = there.get_attr("pid")
    assert pids[0] == pids[1] != pids[2] == pids[3] and os.getpid() not in pids
    assert (there.task_names, there.tasks.tolist()) == (["short", "long"], [0, 0, 1, 1])
    streams = [[venv.reset(), *(venv.step(np.zeros(4, dtype=int))[:3] for _ in range(7))] for venv in (here, there)]
    assert_equal(*streams)
    there.close()


def test_tasks_of_different_spaces_are_refused_and_their_processes_ended():
    before = multiprocessing.active_children()
    with pytest.raises(ValueError, match="observation space of task 'task-1'"):
        make_task_vec_env([Toy, partial(Toy, size=4)], vec_env_cls=RemoteVecEnv)
    assert multiprocessing.active_children() == before


def test_ids_can_have_processes_too():
    here, there = (
        make_task_vec_env([GRID, GRID], 2, seed=0, vec_env_cls=vec_env_cls)
        for vec_env_cls in (DummyVecEnv, RemoteVecEnv)
    )
    assert_equal(here.reset(), there.reset())
    assert there.env_is_wrapped(Monitor) == [True] * 4
    there.close()
