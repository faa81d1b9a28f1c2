"""``sb3-distral doctor``."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from sb3_distral import tasks
from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.task_vec_env import make_task_vec_env

WORLDS = ("MiniWorld-Hallway-v0", "MiniWorld-FourRooms-v0")
N_FRAMES, N_ENVS, SECONDS = 20, 4, 0.5


@dataclass
class Doctor:
    """
    Check PyTorch, rendering and the speed of the tasks.

    Where something is missing or wrong it says what to do, and the exit code is 1.
    """

    def run(self) -> None:
        """Print what there is, and what is to be done."""
        print_pytorch()
        rendering, speeds = check_rendering(), print_speeds()
        if advice := rendering or speeds:
            print(f"\nTo do: {advice}")
            raise SystemExit(1)
        print("\nAll is well.")


def print_pytorch() -> None:
    """Print PyTorch's version, threads and device."""
    device = get_device("auto")
    name = th.cuda.get_device_name() if device.type == "cuda" else "no GPU is used"
    print(f"PyTorch: {th.__version__}, {th.get_num_threads()} threads, device {device} ({name})")


def check_rendering() -> str:
    """
    Print which OpenGL there is, and compare the frames of environments side by side with those of a lone one.

    :return: What to do; empty if all is well
    """
    try:
        from sb3_distral.tasks.miniworld import rendering
        from sb3_distral.tasks.miniworld.stock import make_stock
    except ImportError as error:
        print("Rendering: not available; the grid suites need none")
        return str(error)
    opengl = rendering.gl.gl_info
    print(f"Rendering: {opengl.get_renderer()}, OpenGL {opengl.get_version()}")
    makers: list[Callable[[], gym.Env[Any, Any]]] = [partial(make_stock, world) for world in WORLDS]
    try:
        lone = first_frames(RemoteVecEnv(partial(DummyVecEnv, makers[:1])))
        together = first_frames(DummyVecEnv(makers))
    except Exception as error:  # of a driver that loads but cannot draw: of any type, or its process has died
        return cannot_draw(error)
    n_wrong = int((lone != together).any(axis=(1, 2, 3)).sum())
    print(f"Frames of an environment beside another: {N_FRAMES - n_wrong} of {N_FRAMES} are those of a lone one")
    if n_wrong == 0:
        return ""
    return (
        f"{n_wrong} of {N_FRAMES} frames are wrong when two environments share a process. Draw in software "
        "(LIBGL_ALWAYS_SOFTWARE=1) or give each environment a process (vec_env_cls=SubprocVecEnv)."
    )


def cannot_draw(error: Exception) -> str:
    """
    Say what to do about an error of the graphics.

    :param error: Raised where MiniWorld's environments were made or used
    :return: What to do
    """
    if isinstance(error, ImportError):
        return str(error)
    return (
        f"MiniWorld's environments fail ({error!r}). Draw in software (LIBGL_ALWAYS_SOFTWARE=1), or mend the graphics "
        "driver."
    )


def first_frames(venv: VecEnv) -> np.ndarray:
    """
    Play the first steps of an environment.

    :param venv: MiniWorld's environments; closed afterwards
    :return: Frames of the first of them, walking ahead and turning, shape (N_FRAMES, height, width, 3)
    """
    with closing(venv):
        venv.seed(0)
        frames = [np.asarray(venv.reset())[0]]
        for step in range(1, N_FRAMES):
            frames.append(np.asarray(venv.step(np.full(venv.num_envs, 2 if step % 3 else 0))[0])[0])
    return np.array(frames)


def print_speeds() -> str:
    """
    Print a table of the suites that can be made here; each task of MiniWorld draws another world.

    :return: What to do; empty if all is well
    """
    print(f"Steps per second of one task in {N_ENVS} environments, with random actions and without a learner:")
    table, advice = Table("task"), ""
    table.add_column("steps/s", justify="right")
    for name, suite in tasks.SUITES.items():
        if suite.is_array_program:
            table.add_row(name, f"{speed(tasks.make(name, N_ENVS, n_tasks=1)):,.0f}")
            continue
        try:
            for task, task_id in enumerate(suite.ids):
                rate = speed(make_task_vec_env(task_id, N_ENVS, vec_env_cls=RemoteVecEnv))
                table.add_row(f"{name}, {suite.task_name}-{task}", f"{rate:,.0f}")
        except Exception as error:  # of any type, as above
            table.add_row(name, "not available")
            advice = cannot_draw(error)
    Console().print(table)
    return advice


def speed(venv: VecEnv) -> float:
    """
    Measure how fast environments are stepped.

    :param venv: Environments; closed afterwards
    :return: Steps per second of all together, without a learner
    """
    venv.action_space.seed(0)
    actions = [np.array([venv.action_space.sample() for _ in range(venv.num_envs)]) for _ in range(1000)]
    with closing(venv):
        venv.reset()
        n_steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            venv.step(actions[n_steps % len(actions)])
            n_steps += venv.num_envs
        return n_steps / (time.perf_counter() - start)
