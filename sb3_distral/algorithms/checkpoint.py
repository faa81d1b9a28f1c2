"""What a training needs beside its weights to go on as if never stopped: generators and the place in each task."""

import random
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor, VecNormalize, VecTransposeImage
from typing_extensions import override

from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError

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
        raise UsageError(f"The environment {venv} does not have the saved layers {names}. Reset it instead.")
    venv.unwrapped.set_state(state[-1])  # type: ignore[attr-defined]
    for _, values in state[:-1]:
        for name, value in values.items():
            setattr(venv, name, value)
        venv = venv.venv  # type: ignore[attr-defined]


class RolloutCheckpointCallback(CheckpointCallback):
    """
    Save checkpoints between roll-outs, from which a training goes on bit for bit.

    :class:`CheckpointCallback` saves in the middle of a roll-out, whose first part is then lost.

    :param save_freq: Calls of the callback (steps of all sub-environments at once) between checkpoints; a checkpoint is
        written at the first roll-out that starts after them
    :param save_path: Folder of the checkpoints
    :param name_prefix: Beginning of their names
    """

    def __init__(self, save_freq: int, save_path: str, name_prefix: str = "checkpoint"):
        super().__init__(save_freq, save_path, name_prefix)
        self.last_save = 0

    @override
    def _on_step(self) -> bool:
        return True

    @override
    def _on_rollout_start(self) -> None:
        if self.n_calls - self.last_save >= self.save_freq:
            self.last_save = self.n_calls
            self.model.save(self._checkpoint_path(extension="zip"))
