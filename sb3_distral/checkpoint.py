"""What a training needs beside its weights to go on as if never stopped: generators and the place in each task."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor, VecNormalize, VecTransposeImage

from sb3_distral.vec_env import TaskVecEnv

# State of the wrappers that a training can be under; a wrapper that is not here cannot be put back where it was.
WRAPPER_STATE: dict[type[VecEnvWrapper], tuple[str, ...]] = {
    TaskVecEnv: (),
    VecTransposeImage: (),
    VecMonitor: ("episode_returns", "episode_lengths", "episode_count"),
    VecNormalize: ("obs_rms", "ret_rms", "returns", "old_obs", "old_reward"),
}


def random_state() -> dict[str, Any]:
    """
    :return: State of Python's, numpy's and PyTorch's global generators
    """
    cuda = th.cuda.get_rng_state_all() if th.cuda.is_available() else []
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": th.get_rng_state(), "cuda": cuda}


def set_random_state(state: dict[str, Any]) -> None:
    """
    Inverse of :func:`random_state`.

    :param state: As it gave
    """
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    th.set_rng_state(state["torch"])
    if th.cuda.is_available() and len(state["cuda"]) == th.cuda.device_count():
        th.cuda.set_rng_state_all(state["cuda"])


def env_state(venv: VecEnv) -> list[Any] | None:
    """
    State of an environment that can be put back where it was: one with ``get_state`` and ``set_state``.

    :param venv: An environment, wrapped or not
    :return: State of each layer from the outside in, ``None`` if a layer has no state to give
    """
    layers: list[Any] = []
    while isinstance(venv, VecEnvWrapper):
        if type(venv) not in WRAPPER_STATE:
            return None
        names = WRAPPER_STATE[type(venv)]
        layers.append((type(venv).__name__, {name: getattr(venv, name) for name in names if name in vars(venv)}))
        venv = venv.venv
    return [*layers, venv.get_state()] if hasattr(venv, "get_state") else None


def set_env_state(venv: VecEnv, state: list[Any]) -> None:
    """
    Inverse of :func:`env_state`.

    :param venv: An environment with the same layers and tasks
    :param state: As it gave
    :raises ValueError: If the environment is another; it is left as it was
    """
    own = env_state(venv)
    names = [name for name, _ in state[:-1]]
    if own is None or [name for name, _ in own[:-1]] != names:
        raise ValueError(f"The environment {venv} does not have the saved layers {names}. Reset it instead.")
    venv.unwrapped.set_state(state[-1])  # type: ignore[attr-defined]
    for _, values in state[:-1]:
        for name, value in values.items():
            setattr(venv, name, value)
        venv = venv.venv  # type: ignore[attr-defined]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """
    Write a file beside the old one and rename it over that when it is whole.

    An interruption at any point leaves the old file readable, and two processes do not write into each other's file.

    :param path: The file
    :return: Where to write
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield beside
        with beside.open("r+b") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
