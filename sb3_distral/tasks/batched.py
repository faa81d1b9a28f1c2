"""Tasks side by side as one array program; ``adapters.py`` turns it into environments."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from typing_extensions import Self

from sb3_distral.errors import UsageError
from sb3_distral.tasks.checks import check_actions

Array = npt.NDArray[Any]


class BatchedTasks(ABC):
    """
    ``n_envs`` sub-environments side by side, advanced together by array operations.

    Every sub-environment draws from a generator of its own, so its stream depends on its seed alone,
    never on the number or the actions of its neighbours. What a suite takes beside ``tasks`` it keeps in
    attributes of the same names.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``, integers >= 0
    :raises ValueError: if ``tasks`` is empty, not a flat sequence of integers, or has a negative entry
    """

    max_episode_steps: int
    observation_space: spaces.Box
    action_space: spaces.Discrete | spaces.Box
    #: What a single task is called, before its index.
    task_name: ClassVar[str]
    #: How many tasks the suite has unless told otherwise.
    n_tasks: ClassVar[int] = 8
    #: Arrays of shape ``(n_envs, ...)`` that, with the generators, are the whole state.
    state_arrays: ClassVar[tuple[str, ...]]
    #: Attributes of shape ``(n_envs, ...)`` whose row j belongs to sub-environment j.
    row_attributes: ClassVar[tuple[str, ...]]

    def __init__(self, tasks: Sequence[int]) -> None:
        self.tasks = np.array(tasks)
        if self.tasks.ndim != 1 or not np.issubdtype(self.tasks.dtype, np.integer) or (self.tasks < 0).any():
            raise UsageError(
                f"tasks is {tasks!r}, expected the task index (an integer >= 0) of each of at least one "
                "sub-environment; pass for example tasks=[0, 0, 1, 1]."
            )
        self.n_envs = len(self.tasks)
        self.generators = [np.random.default_rng() for _ in range(self.n_envs)]

    @abstractmethod
    def _begin_episode(self, rows: Array) -> None:
        """Draw the start of a new episode in each of ``rows``."""

    @abstractmethod
    def _observe(self, rows: Array | slice) -> Array:
        """Return the current observations of ``rows`` as a new array."""

    @abstractmethod
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        """Take one valid action in every sub-environment and return ``(rewards, terminated)``."""

    @abstractmethod
    def render(self, row: int) -> npt.NDArray[np.uint8]:
        """
        Draw one sub-environment.

        :param row: index of the sub-environment
        :return: RGB picture, ``uint8``, shape ``(height, width, 3)``
        """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """What the tasks are, in short: equal if and only if the same actions have the same effects."""

    def reset(self, rows: Array, seeds: Iterable[int | None] | None = None) -> Array:
        """
        Begin a new episode in some sub-environments; the others are left alone.

        :param rows: indices of the sub-environments, shape ``(k,)``
        :param seeds: a seed for each of ``rows``; where it is ``None`` (default: everywhere) the generator continues
        :return: first observations, a new array of shape ``(k, *observation_space.shape)``
        """
        if seeds is not None:
            for row, seed in zip(rows, seeds, strict=True):
                if seed is not None:
                    self.generators[row] = np.random.default_rng(seed)
        self._begin_episode(rows)
        return self._observe(rows)

    def step(self, actions: Array) -> tuple[Array, Array, Array]:
        """
        Take one action in every sub-environment. Nothing is reset: this is up to the caller.

        :param actions: shape ``(n_envs, *action_space.shape)``: integers from 0 to ``action_space.n - 1``, or numbers,
            of which the task clips those beyond the bounds of a Box
        :return: new arrays ``(observations, rewards, terminated)``: ``(n_envs, *observation_space.shape)``,
            ``float64`` of shape ``(n_envs,)``, ``bool`` of shape ``(n_envs,)``
        :raises ValueError: if an action is missing, outside a Discrete space or not finite
        """
        actions = np.asarray(actions)
        check_actions(actions, self.n_envs, self.action_space)
        rewards, terminated = self._advance(actions)
        return self._observe(slice(None)), rewards, terminated

    def get_state(self) -> dict[str, Any]:
        """
        Copy everything that decides what happens next.

        :return: arrays by name, and under ``"generators"`` the state of each sub-environment's generator
        """
        state: dict[str, Any] = {name: getattr(self, name).copy() for name in self.state_arrays}
        generators = [generator.bit_generator.state for generator in self.generators]
        return {**state, "fingerprint": self.fingerprint, "generators": generators}

    def select(self, rows: Array) -> Self:
        """
        Take some sub-environments out, each where it is.

        :param rows: indices of the sub-environments, shape ``(k,)``
        :return: a batch of those alone
        """
        parameters = [name for name in signature(type(self)).parameters if name != "tasks"]
        selected = type(self)(self.tasks[rows].tolist(), **{name: getattr(self, name) for name in parameters})
        state = self.get_state()
        own: dict[str, Any] = {name: state[name][rows] for name in self.state_arrays}
        generators = [state["generators"][row] for row in rows]
        selected.set_state({**own, "fingerprint": selected.fingerprint, "generators": generators})
        return selected

    def set_state(self, state: dict[str, Any]) -> None:
        """
        Restore, bit for bit, what :meth:`get_state` returned.

        :param state: a state of the same suite with the same ``tasks``
        :raises ValueError: if the state has another number of sub-environments, or is one of other tasks
        """
        if len(state["generators"]) != self.n_envs:
            raise UsageError(
                f"The state holds {len(state['generators'])} sub-environments, expected {self.n_envs}; "
                "restore it into an environment built with the same tasks and n_envs_per_task."
            )
        if state["fingerprint"] != self.fingerprint:
            raise UsageError(
                f"The state is one of other tasks than {type(self).__name__} was built with here; "
                "restore it into an environment built with the same arguments."
            )
        for name in self.state_arrays:
            getattr(self, name)[...] = state[name]
        for generator, generator_state in zip(self.generators, state["generators"], strict=True):
            generator.bit_generator.state = generator_state
