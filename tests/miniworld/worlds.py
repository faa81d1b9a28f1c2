"""Frames of MiniWorld's own tasks, and how plain MiniWorld draws them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from inspect import getsource
from typing import Any

#: They share some textures and have others of their own; keys, balls and boxes are not part of the static world.
WORLDS = ("MiniWorld-Hallway-v0", "MiniWorld-FourRooms-v0", "MiniWorld-PickupObjects-v0")
SEED, N_FRAMES = 9, 24


def frames(env: Any, seed: int, n_frames: int) -> Iterator[Any]:
    """The beginning of an episode with a known seed, and of the next one."""
    yield env.reset(seed=seed)[0]
    for step in range(1, n_frames):
        if step == n_frames // 2:
            yield env.reset()[0]
        else:
            observation, _, terminated, _, _ = env.step(action(step))
            assert not terminated, "a VecEnv would begin a new episode here"
            yield observation


def action(step: int) -> int:
    return 0 if step % 3 == 0 else 2


PLAIN = f"""
import sys
from collections.abc import Iterator
from typing import Any
import gymnasium as gym
import miniworld
import numpy as np

{getsource(action)}
{getsource(frames)}
np.save(sys.argv[2], np.array(list(frames(gym.make(sys.argv[1]), {SEED}, {N_FRAMES}))))
"""


def fresh(script: str, *args: Any, **environment: str) -> subprocess.Popen[str]:
    """Run a script in a new process that has no display and none of pyglet's settings."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "PYGLET_HEADLESS")}
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(command, env=kept | environment, stdout=-1, stderr=-1, text=True)


def output(process: subprocess.Popen[str]) -> str:
    """What a script printed; it must have succeeded."""
    stdout, stderr = process.communicate(timeout=900)
    assert process.returncode == 0, stderr
    return stdout
