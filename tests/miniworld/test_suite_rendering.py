"""The suites' frames and memory, whatever runs beside them."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

import gymnasium as gym
from stable_baselines3.common.vec_env import DummyVecEnv
from worlds import fresh, output

import sb3_distral
from sb3_distral import RemoteVecEnv

IDS = ("Mazes-0", "Mazes-5", "Navigation-3", "LaserTag-1", "LaserTag-7")
N_STEPS = 30


def make(name: str, **arguments: Any) -> gym.Env[Any, Any]:
    return gym.make(f"{sb3_distral.__name__}/{name}-v0", **arguments)


def lone_frames(name: str) -> np.ndarray:
    """In a process where nothing else draws."""
    venv = RemoteVecEnv(partial(DummyVecEnv, [partial(make, name)]))
    venv.seed(3)
    frames = [venv.reset(), *(venv.step(np.array([step % 4]))[0] for step in range(N_STEPS))]
    venv.close()
    return np.concatenate(frames)


def test_frames_beside_other_suites_are_those_of_a_lone_environment() -> None:
    others = [make(name) for name in reversed(IDS)]
    for env in others:
        env.reset(seed=4)
    others[0].close()
    envs = {name: make(name) for name in IDS}
    frames = {name: [env.reset(seed=3)[0]] for name, env in envs.items()}
    for step in range(N_STEPS):
        for name, env in envs.items():
            frames[name].append(env.step(step % 4)[0])
        others[1 + step % (len(IDS) - 1)].step(0)
    for name in IDS:
        assert len(np.unique(frames[name], axis=0)) > N_STEPS / 4
        np.testing.assert_array_equal(frames[name], lone_frames(name), err_msg=name)
    for env in (*others[1:], *envs.values()):
        env.close()


MEMORY = """
import itertools
import sys
import gymnasium as gym
import sb3_distral

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

def play(n):
    for seed in itertools.islice(seeds, n):
        for env in envs:
            env.reset(seed=seed)
            for action in (0, 1, 2, 3, 0):
                env.step(action)

envs = [gym.make(f"sb3_distral/{name}-v0") for name in sys.argv[1:]]
seeds = itertools.count()
# The heap grows by some MiB until its holes are of the sizes that worlds need.
play(100)
before = resident()
play(200)
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
def test_memory_does_not_grow_with_episodes() -> None:
    assert float(output(fresh(MEMORY, "Mazes-0", "Navigation-3", "LaserTag-7"))) < 12.0
