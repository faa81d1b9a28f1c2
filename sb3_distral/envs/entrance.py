"""Where observations and rewards of tasks enter: nothing that is not finite passes, whatever wraps the tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

from sb3_distral.envs.task_id import OBSERVATION_KEY
from sb3_distral.errors import UsageError


class Entrance:
    """
    Check observations and rewards of all sub-environments.

    :param space: Space of their plain observations
    :param tasks: Task of each sub-environment, shape (n_envs,)
    """

    def __init__(self, space: spaces.Space[Any], tasks: np.ndarray):
        self.tasks = tasks
        #: Steps since the environment was reset
        self.n_steps = 0
        # Integers, as of images, are always finite.
        self.keys = [key for key, own in parts_of(space).items() if np.issubdtype(own.dtype, np.floating)]

    def check_reset(self, observations: VecEnvObs, task_names: Sequence[str]) -> None:
        """
        Check the first observations of all episodes.

        :param observations: Plain observations
        :param task_names: Name of each task
        :raises UsageError: If one is not finite
        """
        self.n_steps = 0
        self._check_observations(observations, task_names)

    def check_step(
        self,
        observations: VecEnvObs,
        rewards: np.ndarray,
        infos: Sequence[Any],
        dones: np.ndarray,
        names: Sequence[str],
    ) -> None:
        """
        Check what a step has given.

        :param observations: Plain observations
        :param rewards: Reward of each sub-environment, shape (n_envs,)
        :param infos: Its infos, which may hold the last observation of an episode
        :param dones: Whether its episode has ended, shape (n_envs,)
        :param names: Name of each task
        :raises UsageError: If something is not finite; the message names task, sub-environment and step
        """
        self.n_steps += 1
        if not is_single(rewards):
            index = int(np.flatnonzero(~finite_rows(rewards))[0])
            raise UsageError(
                f"Task '{names[self.tasks[index]]}' gave the reward {rewards[index]} in {self._place(index)}; "
                "expected a finite number (of single precision). Check the task's reward function (a division by zero, "
                "a logarithm of zero)."
            )
        self._check_observations(observations, names)
        for index in np.flatnonzero(dones).tolist() if self.keys else ():
            last = infos[index].get("terminal_observation")
            parts = {} if last is None else parts_of(last)
            for key in [key for key in self.keys if key in parts and not is_single(parts[key])]:
                raise self._observation_error("the last observation of an episode", key, parts[key], index, names)

    def _check_observations(self, observations: Any, names: Sequence[str]) -> None:
        parts = parts_of(observations)
        for key in [key for key in self.keys if not is_single(parts[key])]:
            index = int(np.flatnonzero(~finite_rows(parts[key]))[0])
            raise self._observation_error("an observation", key, parts[key][index], index, names)

    def _observation_error(self, what: str, key: str, values: Any, index: int, names: Sequence[str]) -> UsageError:
        wrong = np.ravel(values)[~finite_rows(np.ravel(values))]
        return UsageError(
            f"Task '{names[self.tasks[index]]}' gave {what} with the number {wrong[0]} ({len(wrong)} of "
            f"{np.size(values)} under the key '{key}') in {self._place(index)}; expected finite numbers (of single "
            "precision). Check the task's observations, or clip them by gymnasium.wrappers.TransformObservation."
        )

    def _place(self, index: int) -> str:
        step = f"at step {self.n_steps} after the reset" if self.n_steps else "at the reset"
        return f"sub-environment {index} {step}"


def parts_of(whole: Any) -> Any:
    """
    Take observations apart, or their space.

    :param whole: Observations or a space
    :return: Its parts by key; a single one is called ``obs``
    """
    if isinstance(whole, spaces.Dict):
        return whole.spaces
    return whole if isinstance(whole, Mapping) else {OBSERVATION_KEY: whole}


def is_single(numbers: np.ndarray) -> bool:
    """
    Look for numbers that are NaN, infinite or too large for single precision.

    :param numbers: Numbers
    :return: Whether there are none
    """
    return bool(np.isfinite(as_single(numbers)).all())


def finite_rows(numbers: np.ndarray) -> np.ndarray:
    """
    Find rows that can be learned from.

    :param numbers: Shape (n_rows, …)
    :return: Whether all numbers of each row are finite in single precision, shape (n_rows,)
    """
    finite: np.ndarray = np.isfinite(as_single(numbers)).reshape(len(numbers), -1).all(axis=1)
    return finite


def as_single(numbers: np.ndarray) -> np.ndarray:
    """
    Bring numbers to the precision of networks.

    :param numbers: Numbers
    :return: The same, infinite where they are too large
    """
    with np.errstate(over="ignore"):
        return np.asarray(numbers).astype(np.float32, copy=False)
