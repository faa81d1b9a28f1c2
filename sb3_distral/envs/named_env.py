"""Whatever goes wrong in an environment names its task."""

from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from typing_extensions import override

from sb3_distral.errors import UsageError


def name_task(error: BaseException, task_name: str) -> None:
    """
    Add the name of a task to an error, once.

    :param error: What was raised
    :param task_name: Name of the task in which it was
    """
    note = f"This was in task '{task_name}'."
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note) if hasattr(error, "add_note") else add_to_message(error, note)


def add_to_message(error: BaseException, note: str) -> None:
    """
    Add to the message of an error, where Python (3.10) has no notes.

    :param error: The error
    :param note: A sentence
    """
    if error.args and isinstance(error.args[0], str) and note not in error.args[0]:
        error.args = (f"{error.args[0]} {note}", *error.args[1:])


class NamedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """
    Name the task of an environment in the errors of its steps and resets.

    An observation of another shape than its space is one: buffers would stretch or cut it without a word.

    :param env: The environment
    :param task_name: Name of its task
    """

    def __init__(self, env: gym.Env[Any, Any], task_name: str):
        super().__init__(env)
        self.name_of_task = task_name
        space = env.observation_space
        self._shape = space.shape if isinstance(space, spaces.Box) else None
        parts = space.items() if isinstance(space, spaces.Dict) else []
        self._shapes = {key: own.shape for key, own in parts if isinstance(own, spaces.Box)}

    @override
    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        # What was given and no more: many environments take no options.
        try:
            observation, info = self.env.reset(**arguments)
            self._check_shape(observation)
        except Exception as error:
            self._name(error)
        return observation, info

    @override
    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        try:
            step = self.env.step(action)
            self._check_shape(step[0])
        except Exception as error:
            self._name(error)
        return step

    def _name(self, error: Exception) -> NoReturn:
        name_task(error, self.name_of_task)
        raise error

    def _check_shape(self, observation: Any) -> None:
        if self._shape is not None and np.shape(observation) != self._shape:
            raise self._shape_error("", np.shape(observation), self._shape)
        for key, shape in self._shapes.items():
            if np.shape(observation[key]) != shape:
                raise self._shape_error(f" under the key '{key}'", np.shape(observation[key]), shape)

    def _shape_error(self, where: str, given: Any, expected: Any) -> UsageError:
        return UsageError(
            f"Task '{self.name_of_task}' gave an observation{where} of the shape {given}; expected {expected}, as its "
            "observation space says. Let the environment give what its space says."
        )
