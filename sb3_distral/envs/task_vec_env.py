"""Tasks side by side in one vectorised environment."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from typing_extensions import override

import sb3_distral.envs.frame_stack
import sb3_distral.envs.normalized_keys  # noqa: F401  (so that VecNormalize takes tasks)
from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.encoding import check_encoding, check_observations
from sb3_distral.envs.entrance import Entrance
from sb3_distral.envs.gymnasium_vec_env import as_vec_env
from sb3_distral.envs.hooks import call_process_hooks
from sb3_distral.envs.link import CLOSE_TIMEOUT
from sb3_distral.envs.masks import Masks, make_action_masks
from sb3_distral.envs.names import Task, Tasks, check_distinct, check_task_names, holds_vec_envs, name_tasks
from sb3_distral.envs.spaces import Kind, check_equal, join_all
from sb3_distral.envs.task_id import has_task_key, with_task, with_task_space
from sb3_distral.envs.vec_envs import make_vec_env
from sb3_distral.envs.workers import WatchedVecEnv, close_within, name_workers
from sb3_distral.errors import UsageError

__all__ = [
    "Task",
    "TaskVecEnv",
    "Tasks",
    "as_task_vec_env",
    "has_tasks",
    "holds_vec_envs",
    "make_task_vec_env",
]


KINDS: tuple[Kind, Kind] = ("observation", "action")


class TaskVecEnv(WatchedVecEnv):
    """
    Tell in each observation which task it belongs to: plain observations become ``Dict(obs=…, task=Discrete(n))``.

    Where a task does not have all actions, or its sub-environments have a method ``action_masks()``, observations also
    hold the mask of the actions that are valid in them, ``action_mask``.

    :param venv: All sub-environments of all tasks, on plain observations
    :param tasks: Task of each sub-environment, integers in [0, n_tasks), shape (n_envs,)
    :param task_names: Name of each task, unique
    :param action_spaces: Actions of each task, where they are not those of ``venv``: fewer discrete ones, which get a
        mask, or a Box of other bounds, to which the task's actions are clipped
    :param action_masks: Valid actions of tasks by name, for tasks in which some never are
    :param action_space: Actions of all, where these are more than those of the tasks: of a π0 that knows more
    :raises UsageError: If tasks, names, spaces, masks and sub-environments do not fit each other
    """

    def __init__(
        self,
        venv: VecEnv,
        tasks: Sequence[int],
        task_names: Sequence[str],
        action_spaces: Sequence[spaces.Space[Any]] | None = None,
        action_masks: Masks | None = None,
        action_space: spaces.Space[Any] | None = None,
    ):
        self.tasks = np.asarray(tasks, dtype=np.int64)
        self.task_names = list(task_names)
        self._check_names(venv)
        call_process_hooks()
        check_observations(f"{', '.join(self.task_names)}", venv.observation_space)
        check_encoding(venv.observation_space)
        own = [venv.action_space] * len(self.task_names) if action_spaces is None else list(action_spaces)
        # What it was made of, for tasks that come and go.
        self.own_action_spaces, self.given_masks = own, dict(action_masks or {})
        self.given_action_space = action_space
        action_space = self._join_actions(action_space)
        self._bounds = bounds_of([own[task] for task in self.tasks], action_space)
        self._masks = make_action_masks(venv, self.tasks, self.task_names, own, action_space, self.given_masks)
        #: Fixed mask of each task, ``None`` where there are no masks
        self.task_masks = None if self._masks is None else self._masks.task_masks
        n_choices = None if self._masks is None else self._masks.n_choices
        super().__init__(venv, with_task_space(venv.observation_space, len(self.task_names), n_choices), action_space)
        self._entrance = Entrance(venv.observation_space, self.tasks)
        self._name_parts()

    def _join_actions(self, given: spaces.Space[Any] | None) -> spaces.Space[Any]:
        if given is None:
            return join_all("action", self.task_names, self.own_action_spaces)
        joined = join_all("action", ["distilled policy", *self.task_names], [given, *self.own_action_spaces])
        if joined != given and not isinstance(given, spaces.Box):
            raise UsageError(
                f"The tasks {self.task_names} have the actions {self.own_action_spaces}, the distilled policy only "
                f"{given}. Tasks may have fewer actions than it knows, not more: wrap the environments."
            )
        return joined

    def _check_names(self, venv: VecEnv) -> None:
        if len(self.tasks) != venv.num_envs or set(self.tasks) != set(range(len(self.task_names))):
            raise UsageError(
                f"{venv.num_envs} sub-environments and the tasks {self.task_names} were given with the task indices "
                f"{self.tasks.tolist()}; expected one index for each sub-environment, and every task at least once."
            )
        check_task_names(self.task_names)

    @override
    def reset(self) -> VecEnvObs:
        with self.closing_where_workers_fail():
            observations = self.venv.reset()
        self._entrance.check_reset(observations, self.task_names)
        return self.named(observations)

    @override
    def step_async(self, actions: np.ndarray) -> None:
        with self.closing_where_workers_fail():
            self.venv.step_async(actions if self._bounds is None else np.clip(actions, *self._bounds))

    @override
    def step_wait(self) -> VecEnvStepReturn:
        with self.closing_where_workers_fail():
            observations, rewards, dones, infos = self.venv.step_wait()
        infos = self._complete(infos)
        self._entrance.check_step(observations, rewards, infos, dones, self.task_names)
        for index in np.flatnonzero(dones):
            info = infos[index]
            if "terminal_observation" in info:
                # Nothing is done in it, and its value does not depend on the mask.
                mask = None if self._masks is None else np.ones(self._masks.n_choices, dtype=np.int8)
                info["terminal_observation"] = with_task(info["terminal_observation"], self.tasks[index], mask)
        return self.named(observations), rewards, dones, infos

    def _complete(self, infos: Any) -> list[dict[str, Any]]:
        if len(infos) == self.num_envs:
            return infos  # type: ignore[no-any-return]
        if len(infos) == 0:
            return [{} for _ in range(self.num_envs)]
        raise UsageError(
            f"{self.venv} gave {len(infos)} infos for {self.num_envs} sub-environments; expected a dict for each. Let "
            "its step_wait return a list of dicts."
        )

    def named(self, observations: VecEnvObs) -> dict[str, Any]:
        """
        Tell of each observation which task it belongs to, and which actions are valid now.

        :param observations: Plain observations of all sub-environments
        :return: They with a task
        """
        with self.closing_where_workers_fail():
            masks = None if self._masks is None else self._masks.current()
        return with_task(observations, self.tasks, masks)

    def rename(self, names: Sequence[str]) -> None:
        """
        Give the tasks other names.

        :param names: Name of each task, unique
        :raises UsageError: If one cannot be the name of a task
        """
        check_task_names(names)
        before, self.task_names = self.task_names, list(names)
        self._check_names(self.venv)
        self._name_parts()
        self._name_envs()
        renamed = dict(zip(before, names, strict=True))
        self.given_masks = {renamed[name]: mask for name, mask in self.given_masks.items()}
        if self._masks is not None:
            self._masks.names = [names[task] for task in self.tasks]

    def _name_parts(self) -> None:
        """Tell environments side by side whose they are, for their errors."""
        inner = self.venv.unwrapped
        if isinstance(inner, ConcatVecEnv):
            parts = [set(self.tasks[start:end]) for start, end in pairwise(inner.offsets)]
            inner.names = [self.task_names[own.pop()] if len(own) == 1 else None for own in parts]
        name_workers(self.venv, [self.task_names[task] for task in self.tasks])

    def _name_envs(self) -> None:
        for index, task in enumerate(self.tasks):
            with suppress(AttributeError, NotImplementedError):  # of VecEnvs that were given
                if self.venv.get_attr("name_of_task", index):
                    self.venv.env_method("set_wrapper_attr", "name_of_task", self.task_names[task], indices=index)

    def get_state(self) -> dict[str, Any]:
        """
        Tell what this layer alone knows of the place where the tasks are.

        :return: Nothing
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """
        Put this layer back.

        :param state: As :meth:`get_state` gave it
        """


def bounds_of(
    action_spaces: Sequence[spaces.Space[Any]], action_space: spaces.Space[Any]
) -> tuple[np.ndarray, np.ndarray] | None:
    """
    Give the bounds of the actions of each sub-environment.

    :param action_spaces: Actions of each
    :param action_space: Actions of all
    :return: The lowest and the highest of each, a row for each sub-environment; ``None`` if all have the same bounds
    """
    boxes = [space for space in action_spaces if isinstance(space, spaces.Box)]
    if all(space == action_space for space in action_spaces) or not boxes:
        return None
    return np.stack([box.low for box in boxes]), np.stack([box.high for box in boxes])


def make_task_vec_env(
    tasks: Tasks,
    n_envs_per_task: int = 1,
    seed: int | None = None,
    vec_env_cls: type[VecEnv] = DummyVecEnv,
    vec_env_kwargs: dict[str, Any] | None = None,
    action_masks: Masks | None = None,
    task_names: Sequence[str] | None = None,
    step_timeout: float | None = None,
    close_timeout: float | None = CLOSE_TIMEOUT,
) -> TaskVecEnv:
    """
    Put tasks side by side. Sub-environment j of all is seeded with seed + j, whatever the kind of VecEnv.

    Tasks may differ in bounds and floating type of observations and actions, and in the number of discrete actions. All
    then get the space that holds every task's, and each task only actions of its own.

    :param tasks: Gymnasium ids, callables, environments, VecEnvs, or vector environments of gymnasium or envpool: a
        list, or a dict by name. One alone is one task
    :param n_envs_per_task: Sub-environments of each task, for ids and callables
    :param seed: Seed of the first sub-environment
    :param vec_env_cls: ``DummyVecEnv``, ``RemoteVecEnv`` (a process for each task) or ``SubprocVecEnv`` (one for each
        sub-environment), for all but VecEnvs
    :param vec_env_kwargs: Arguments of ``vec_env_cls``
    :param action_masks: Which actions of a task are valid, by name of the task, for tasks in which some never are: one
        entry for each action of ``Discrete``, for ``MultiDiscrete`` those of all components in their order
    :param task_names: The task of each sub-environment, where ``tasks`` is one VecEnv or vector environment that holds
        those of all, ``gymnasium.make_vec("Meta-World/MT10")`` for example
    :param step_timeout: Seconds that the process of an environment may take for a step, a reset or a call, before it is
        killed and the training ends; ``None``: any time
    :param close_timeout: Seconds that processes get to close their environments; ``None``: any time
    :return: The tasks as one environment
    :raises UsageError: If there is no task, the spaces differ in more, a mask does not fit, or an environment would be
        in two places at once

    >>> env = make_task_vec_env({"first": "CartPole-v1", "second": "CartPole-v1"}, n_envs_per_task=2)
    >>> env.task_names, env.tasks.tolist()
    (['first', 'second'], [0, 0, 1, 1])
    """
    call_process_hooks()  # before processes are forked, so that these know that they were
    if n_envs_per_task < 1:
        raise UsageError(f"n_envs_per_task={n_envs_per_task} was given; every task needs at least one sub-environment.")
    if task_names is not None:
        named_env = with_names(tasks, task_names, seed, action_masks)
        named_env.set_timeouts(step_timeout, close_timeout)
        return named_env
    named = name_tasks(tasks)
    check_distinct(named)
    named = {name: as_vec_env(task) for name, task in named.items()}
    with ExitStack() as made:
        venv = make_vec_env(named, n_envs_per_task, vec_env_cls, vec_env_kwargs or {})
        if not any(isinstance(task, VecEnv) for task in named.values()):
            made.callback(close_within, venv, close_timeout)
            counts = [n_envs_per_task] * len(named)
            observation_spaces, action_spaces = [spaces_of_tasks(venv, kind, list(named)) for kind in KINDS]
        else:
            parts: list[VecEnv] = venv.venvs  # type: ignore[attr-defined]
            counts = [part.num_envs for part in parts]
            observation_spaces, action_spaces = [[getattr(part, f"{kind}_space") for part in parts] for kind in KINDS]
        venv.observation_space = join_all("observation", list(named), observation_spaces)
        indices = np.repeat(np.arange(len(named)), counts).tolist()
        task_env = TaskVecEnv(venv, indices, list(named), action_spaces, action_masks)
        made.pop_all()
    task_env.set_timeouts(step_timeout, close_timeout)
    if seed is not None:
        task_env.seed(seed)
    return task_env


def with_names(tasks: Any, names: Sequence[str], seed: int | None, action_masks: Masks | None) -> TaskVecEnv:
    """
    Tell in the observations of an environment that holds all tasks which of them each belongs to.

    :param tasks: A VecEnv or vector environment
    :param names: Name of the task of each sub-environment
    :param seed: As :func:`make_task_vec_env`
    :param action_masks: As :func:`make_task_vec_env`
    :return: The tasks
    :raises UsageError: If it is something else, or of another number of sub-environments
    """
    venv = as_vec_env(tasks)
    if not isinstance(venv, VecEnv) or venv.num_envs != len(names):
        what = f"{venv.num_envs} sub-environments" if isinstance(venv, VecEnv) else f"{tasks!r}"
        raise UsageError(
            f"{len(names)} task_names were given for {what}; expected one VecEnv or vector environment that holds all "
            "tasks, and a name for each of its sub-environments, the same where two are of one task."
        )
    distinct = list(dict.fromkeys(names))
    task_env = TaskVecEnv(venv, [distinct.index(name) for name in names], distinct, action_masks=action_masks)
    if seed is not None:
        task_env.seed(seed)
    return task_env


def spaces_of_tasks(venv: VecEnv, kind: Kind, task_names: Sequence[str]) -> list[spaces.Space[Any]]:
    """
    Ask all sub-environments for a space: a VecEnv takes that of its first and never looks at the others.

    :param venv: As many sub-environments of each task, side by side
    :param kind: Which of their spaces
    :param task_names: Name of each task
    :return: The space of each task
    :raises UsageError: If it differs within a task
    """
    own = venv.get_attr(f"{kind}_space")
    size = len(own) // len(task_names)
    return [check_equal(kind, name, own[i * size : (i + 1) * size]) for i, name in enumerate(task_names)]


def has_tasks(env: Any) -> bool:
    """
    Tell whether something is a vectorised environment whose observations name their task.

    :param env: Anything
    :return: Whether it is
    """
    # Observations may have a key of this name themselves.
    return isinstance(env, VecEnv) and has_task_key(env.observation_space) and hasattr(env, "task_names")


def as_task_vec_env(env: Any, n_envs_per_task: int = 1) -> VecEnv:
    """
    Put tasks side by side where they are not yet.

    :param env: Tasks in any form, made or to be made
    :param n_envs_per_task: Sub-environments of each, where ids or callables are given
    :return: An environment whose observations name their task
    :raises UsageError: If it is made already and ``n_envs_per_task`` asks for another number
    """
    if not has_tasks(env):
        return make_task_vec_env(env, n_envs_per_task)
    if n_envs_per_task != 1:
        raise UsageError(
            f"n_envs_per_task={n_envs_per_task} was given with an environment that holds {env.num_envs} "
            "sub-environments already. Leave n_envs_per_task out, or give it to make_task_vec_env."
        )
    return env  # type: ignore[no-any-return]
