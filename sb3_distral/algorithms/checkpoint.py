"""What a training needs beside its weights to go on as if never stopped: generators and the place in each task."""

import random
import warnings
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import override

from sb3_distral.envs.state import env_state, put_back

__all__ = ["RolloutCheckpointCallback", "env_state", "random_state", "set_env_state", "set_random_state"]


def random_state() -> dict[str, Any]:
    """
    Tell where the global generators of random numbers are.

    :return: State of those of Python, numpy and PyTorch
    """
    cuda = th.cuda.get_rng_state_all() if th.cuda.is_available() else []
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": th.get_rng_state(), "cuda": cuda}


def set_random_state(state: dict[str, Any]) -> None:
    """
    Put the global generators back, the inverse of :func:`random_state`.

    :param state: As it gave
    """
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    th.set_rng_state(state["torch"])
    if th.cuda.is_available() and len(state["cuda"]) == th.cuda.device_count():
        th.cuda.set_rng_state_all(state["cuda"])


def set_env_state(venv: VecEnv, state: Any) -> bool:
    """
    Put an environment back where it was, the inverse of :func:`env_state`.

    Where this is not possible in all of its layers a warning says why, and the environment has to be reset. Statistics
    (of ``VecNormalize``) are put back all the same.

    :param venv: An environment
    :param state: As :func:`env_state` gave it
    :return: Whether it is completely where it was
    """
    if isinstance(state, list):  # as version 0.1.0 wrote it: the outer layers, then the state of the innermost
        inner = (type(venv.unwrapped).__name__, state[-1])
        state = {"num_envs": venv.num_envs, "layers": [*state[:-1], inner]}
    problems = put_back(venv, state)
    if problems:
        warnings.warn(
            f"The environment is reset and its episodes begin anew: {'; '.join(problems)}. To go on from where it was, "
            "make the environment as it was, of layers that have methods get_state() and set_state(state).",
            stacklevel=2,
        )
    return not problems


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
