"""Processes of environments that die or hang, in every way of running tasks."""

import multiprocessing
import os
import signal
import time
from functools import partial

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv
from integration.toys import Toy
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecNormalize

from sb3_distral import DistralA2C, RemoteVecEnv, make_task_vec_env
from sb3_distral.envs.changing import join_tasks
from sb3_distral.envs.link import WorkerError

from .test_remote_vec_env import interrupted_after, is_done


class Mortal(Toy):
    """It tells its process, may need long for a step or die in it, and leaves a file when it is closed."""

    def __init__(self, closes=None, **arguments):
        super().__init__(**arguments)
        self.closes, self.wait = closes, 0.0

    @property
    def pid(self):
        return os.getpid()

    def be_slow(self, seconds):
        self.wait = seconds

    def step(self, action):
        time.sleep(self.wait)
        if action == 2:
            raise ValueError("no such way")
        return super().step(action)

    def close(self):
        if self.closes is not None:
            (self.closes / str(os.getpid())).touch()


def subproc(*makers):
    return SubprocVecEnv(list(makers), "fork")


#: Two tasks of two sub-environments each, and how many processes there are.
WAYS = {
    "SubprocVecEnv": (
        lambda make: make_task_vec_env(
            {"a": make, "b": make}, 2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "fork"}
        ),
        4,
    ),
    "SubprocVecEnv from a server": (
        lambda make: make_task_vec_env({"a": make, "b": make}, 2, vec_env_cls=SubprocVecEnv),
        4,
    ),
    "RemoteVecEnv": (lambda make: make_task_vec_env({"a": make, "b": make}, 2, vec_env_cls=RemoteVecEnv), 2),
    "one SubprocVecEnv for all tasks": (
        lambda make: make_task_vec_env(subproc(make, make, make, make), task_names=["a", "a", "b", "b"]),
        4,
    ),
    "VecEnvs side by side": (
        lambda make: make_task_vec_env({"a": DummyVecEnv([make, make]), "b": subproc(make, make)}),
        2,
    ),
    "VecEnvs in wrappers": (
        lambda make: VecFrameStack(
            make_task_vec_env(
                {
                    "a": VecNormalize(subproc(make, make)),
                    "b": VecNormalize(RemoteVecEnv(partial(DummyVecEnv, [make] * 2))),
                }
            ),
            2,
        ),
        3,
    ),
    "AsyncVectorEnv": (
        lambda make: make_task_vec_env({"a": AsyncVectorEnv([make] * 2), "b": AsyncVectorEnv([make] * 2)}),
        4,
    ),
    "tasks that were joined": (
        lambda make: join_tasks(make_task_vec_env({"a": subproc(make, make)}), make_task_vec_env({"b": subproc(make)})),
        3,
    ),
}


@pytest.fixture
def before():
    RemoteVecEnv(partial(DummyVecEnv, [Toy])).close()  # starts the server of processes
    return multiprocessing.active_children()


@pytest.fixture(params=WAYS)
def made(request, before, tmp_path):
    """The environment, and the process of the last sub-environment, which is of task b."""
    make, n_processes = WAYS[request.param]
    env = make(partial(Mortal, closes=tmp_path, n_actions=3))
    try:
        env.reset()
        pids = env.get_attr("pid")
        assert len(set(pids) - {os.getpid()}) == n_processes
        yield env, pids
    finally:
        env.close()


def nothing(env):
    return np.zeros(env.num_envs, dtype=int)


def assert_all_is_closed(pids, before, unclosed, folder):
    """All but one have closed their environments before they ended."""
    assert multiprocessing.active_children() == before
    assert all(is_done(pid) for pid in pids if pid != os.getpid())
    closed = {int(path.name) for path in folder.iterdir()} - {os.getpid()}
    assert closed == set(pids) - {unclosed, os.getpid()}


@pytest.mark.parametrize("moment", ["before a step", "amid a step", "before a call"])
def test_a_dead_process_is_an_error_that_names_its_task_and_all_is_closed(made, before, tmp_path, moment):
    env, pids = made
    if moment == "amid a step":
        env.env_method("be_slow", 0.5)
        env.step_async(nothing(env))
    os.kill(pids[-1], signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"^The process of task 'b' has ended by itself with exit code -9"):
        {
            "before a step": lambda: env.step(nothing(env)),
            "amid a step": env.step_wait,
            "before a call": lambda: env.get_attr("pid"),
        }[moment]()
    assert_all_is_closed(pids, before, pids[-1], tmp_path)
    env.close()


def test_a_process_that_does_not_answer_is_an_error_too(made, before, tmp_path):
    env, pids = made
    tasks_of(env).set_timeouts(step=0.5)
    env.step(nothing(env))
    os.kill(pids[-1], signal.SIGSTOP)
    with pytest.raises(WorkerError, match=r"^The process of task 'b' has not answered for 0\.5 s and was killed"):
        env.step(nothing(env))
    assert_all_is_closed(pids, before, pids[-1], tmp_path)


def tasks_of(env):
    return env.venv if isinstance(env, VecFrameStack) else env


@pytest.mark.parametrize("moment", ["after a step", "amid a step"])
def test_closing_does_not_wait_for_a_process_that_hangs(made, before, tmp_path, moment):
    env, pids = made
    tasks_of(env).set_timeouts(close=1.0)
    os.kill(pids[-1], signal.SIGSTOP)
    if moment == "amid a step":
        env.step_async(nothing(env))
    env.close()
    assert_all_is_closed(pids, before, pids[-1], tmp_path)


def test_after_an_interrupt_amid_a_step_all_is_closed(made, before, tmp_path):
    env, pids = made
    env.env_method("be_slow", 1.0)
    env.step_async(nothing(env))
    with interrupted_after(0.2):
        env.step_wait()
    env.close()
    assert_all_is_closed(pids, before, None, tmp_path)


class KillLast(BaseCallback):
    """Kill the process of the last sub-environment in the middle of a roll-out."""

    def _on_step(self):
        if self.n_calls == 3:
            os.kill(self.training_env.get_attr("pid")[-1], signal.SIGKILL)
        return True


@pytest.mark.parametrize("vec_env_cls", [SubprocVecEnv, RemoteVecEnv])
def test_a_dead_process_ends_the_training(before, vec_env_cls):
    env = make_task_vec_env({"a": Mortal, "b": Mortal}, vec_env_cls=vec_env_cls)
    with pytest.raises(WorkerError, match="of task 'b' has ended"):
        DistralA2C(env).learn(100, callback=KillLast())
    assert multiprocessing.active_children() == before


def test_an_exception_in_a_process_of_stable_baselines3_names_the_task(before):
    env = make_task_vec_env({"a": Mortal, "b": partial(Mortal, n_actions=3)}, vec_env_cls=SubprocVecEnv)
    env.reset()
    with pytest.raises(WorkerError, match=r"of task 'b' .* exit code 1 .*Look at its error output"):
        env.step(np.array([0, 2]))
    assert multiprocessing.active_children() == before


class Unmade(Toy):
    def __init__(self):
        raise ValueError("no world today")


@pytest.mark.parametrize("tasks", [{"bad": Unmade, "good": Toy}, {"good": Toy, "bad": Unmade}])
def test_a_process_that_cannot_make_its_environment_names_the_task_and_leaves_none(before, tasks):
    with pytest.raises(WorkerError, match=r"of task 'bad' has ended by itself with exit code 1"):
        make_task_vec_env(tasks, vec_env_cls=SubprocVecEnv)
    assert multiprocessing.active_children() == before


def test_processes_are_named_after_a_change_of_names(before):
    env = make_task_vec_env({"a": Mortal, "b": Mortal}, vec_env_cls=RemoteVecEnv, step_timeout=30.0, close_timeout=5.0)
    env.rename(["c", "d"])
    joined = join_tasks(env, make_task_vec_env({"e": Mortal}))
    assert (joined.step_timeout, joined.close_timeout) == (30.0, 5.0)
    os.kill(joined.get_attr("pid")[1], signal.SIGKILL)
    with pytest.raises(WorkerError, match="of task 'd'"):
        joined.reset()


def test_one_process_of_several_tasks_names_all_of_them(before):
    venv = RemoteVecEnv(partial(DummyVecEnv, [Mortal, Mortal]))
    env = make_task_vec_env(venv, task_names=["a", "b"])
    os.kill(venv.process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="of tasks 'a', 'b' has ended"):
        env.reset()


def raise_timeout(*_):
    raise TimeoutError("of the user")


@pytest.mark.parametrize("vec_env_cls", [SubprocVecEnv, RemoteVecEnv])
def test_the_timeout_of_a_signal_handler_is_not_taken_for_a_dead_process(before, vec_env_cls):
    env = make_task_vec_env({"a": Mortal, "b": Mortal}, vec_env_cls=vec_env_cls)
    env.reset()
    env.env_method("be_slow", 1.0)
    handler = signal.signal(signal.SIGALRM, raise_timeout)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeoutError, match="of the user"):
            env.step(nothing(env))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    if vec_env_cls is RemoteVecEnv:  # which goes on
        assert env.env_method("be_slow", 0.0) == [None, None]
        assert env.step(nothing(env))[1].tolist() == [1.0, 1.0]
    env.close()
    assert multiprocessing.active_children() == before


@pytest.fixture
def amid_an_answer(before):
    """Tasks whose processes are amid sending large observations; and the process of the last one."""
    large = partial(Mortal, size=1_000_000)  # more than fits into a pipe
    env = make_task_vec_env({"a": subproc(large), "b": subproc(large)}, close_timeout=0.5)
    env.reset()
    env.step_async(nothing(env))
    time.sleep(0.3)
    yield env, env.venv.venvs[1].processes[0].pid
    env.close()


def test_closing_does_not_wait_for_a_process_that_was_stopped_amid_an_answer(amid_an_answer, before):
    env, pid = amid_an_answer
    os.kill(pid, signal.SIGSTOP)
    env.close()
    assert multiprocessing.active_children() == before


def test_a_process_that_was_killed_amid_an_answer_is_dead_too(amid_an_answer, before):
    env, pid = amid_an_answer
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="of task 'b' has ended by itself with exit code -9"):
        env.step_wait()
    assert multiprocessing.active_children() == before
