"""Frames of MiniWorld environments in processes of their own are those of a lone one."""

from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv
from worlds import N_FRAMES, SEED, WORLDS, action

from sb3_distral import RemoteVecEnv, make_task_vec_env
from sb3_distral.envs.concat_vec_env import ConcatVecEnv

rendering = pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)
HALLWAY, FOUR_ROOMS, PICKUP = WORLDS


def make(world: str) -> Any:
    from sb3_distral.tasks.miniworld.rendering import WINDOW

    return gym.make(world, **WINDOW)


def several(worlds: list[str]) -> VecEnv:
    return DummyVecEnv([partial(make, world) for world in worlds])


def steps(venv: VecEnv) -> list[Any]:
    """Observations of all sub-environments as :func:`worlds.frames` plays them."""
    shown = [venv.reset()]
    for step in range(1, N_FRAMES):
        full = np.full(venv.num_envs, action(step))
        shown.append(venv.reset() if step == N_FRAMES // 2 else venv.step(full)[0])
    return shown


@pytest.mark.parametrize(
    ("start_method", "parts"),
    [("forkserver", [[HALLWAY, PICKUP, HALLWAY], [FOUR_ROOMS, PICKUP]]), ("spawn", [[FOUR_ROOMS, HALLWAY]])],
)
def test_several_environments_in_each_of_several_processes(
    start_method: str, parts: list[list[str]], lone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sb3_distral.envs.remote_vec_env.START_METHOD", start_method)
    venv = ConcatVecEnv([RemoteVecEnv(partial(several, worlds)) for worlds in parts])
    beside = make(PICKUP)
    worlds = [world for part in parts for world in part]
    for index, world in enumerate(worlds):
        # Seeds count up within a VecEnv; this sub-environment gets the one whose frames are known.
        venv.seed(SEED - index)
        beside.reset()
        wrong = [step for step, shown in enumerate(steps(venv)) if not np.array_equal(shown[index], lone[world][step])]
        assert not wrong, f"{world} in place {index}: frames {wrong} differ"
    venv.close()
    beside.close()


def test_tasks_see_the_same_whatever_the_kind_of_vec_env() -> None:
    venvs = [
        make_task_vec_env([HALLWAY, FOUR_ROOMS], seed=SEED, vec_env_cls=vec_env_cls)
        for vec_env_cls in (DummyVecEnv, RemoteVecEnv, SubprocVecEnv)
    ]
    shown = [[observations["obs"] for observations in steps(venv)] for venv in venvs]
    for venv in venvs:
        venv.close()
    for one, other in pairwise(shown):
        np.testing.assert_array_equal(one, other)
