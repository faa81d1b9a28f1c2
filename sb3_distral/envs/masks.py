"""Which actions are valid: fixed for a task, or told by its environments at each step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask, leaves_action, own_choices

#: The method of an environment that tells which actions are valid, by the convention of sb3-contrib's MaskablePPO.
METHOD = "action_masks"
Masks = Mapping[str, Sequence[bool]]


def make_action_masks(
    venv: VecEnv,
    tasks: np.ndarray,
    task_names: Sequence[str],
    action_spaces: Sequence[spaces.Space[Any]],
    action_space: spaces.Space[Any],
    given: Masks,
) -> "ActionMasks | None":
    """
    Collect what is known about valid actions.

    :param venv: All sub-environments of all tasks
    :param tasks: Task of each sub-environment, shape (n_envs,)
    :param task_names: Name of each task
    :param action_spaces: Actions of each task
    :param action_space: Actions of all tasks
    :param given: Fixed masks of the user's, by name of the task, for the task's own actions
    :return: The masks; ``None`` if every action of every task is always valid
    :raises UsageError: If a mask does not fit its task
    """
    unknown = sorted(set(given) - set(task_names))
    if unknown:
        raise UsageError(f"action_masks names the tasks {unknown}; the tasks are {list(task_names)}. Use these names.")
    offering = np.flatnonzero(offer_masks(venv))
    if not isinstance(action_space, (spaces.Discrete, spaces.MultiDiscrete)):
        if given or offering.size > 0:
            origin = "action_masks was given" if given else f"Environments have a method {METHOD}()"
            raise UsageError(
                f"{origin}, but the actions are {action_space}; masks are for Discrete and MultiDiscrete actions. "
                "Leave it out, or wrap the environments (MultiBinary(n) is MultiDiscrete([2] * n))."
            )
        return None
    own = [own_choices(space, action_space) for space in action_spaces]
    if not given and offering.size == 0 and all(choices.all() for choices in own):
        return None
    fixed = [choices.copy() for choices in own]
    for name, mask in given.items():
        task = list(task_names).index(name)
        fixed[task][own[task]] = fitting(mask, int(own[task].sum()), f"The mask of task '{name}'")
    task_masks = [TaskMask(*map(np.ndarray.tolist, pair)) for pair in zip(own, fixed, strict=True)]
    return ActionMasks(venv, tasks, task_names, task_masks, offering, action_space)


class ActionMasks:
    """
    Tell which actions are valid in each sub-environment now.

    :param venv: All sub-environments
    :param tasks: Task of each, shape (n_envs,)
    :param task_names: Name of each task
    :param task_masks: Fixed mask of each task
    :param offering: The sub-environments that tell themselves which actions are valid
    :param action_space: Actions of all
    :raises UsageError: If a fixed mask leaves no action
    """

    def __init__(
        self,
        venv: VecEnv,
        tasks: np.ndarray,
        task_names: Sequence[str],
        task_masks: Sequence[TaskMask],
        offering: np.ndarray,
        action_space: spaces.Space[Any],
    ):
        self.venv, self.offering, self.action_space = venv, offering.tolist(), action_space
        self.names = [task_names[task] for task in tasks]
        self.task_masks = list(task_masks)
        self.own = np.array([task_masks[task].own for task in tasks])
        self.fixed = np.array([task_masks[task].valid for task in tasks], dtype=np.int8)
        self.n_choices = self.fixed.shape[1]
        self.check(self.fixed)

    def current(self) -> np.ndarray:
        """
        Ask the environments.

        :return: 1 for each valid choice, ``int8``, shape (n_envs, n_choices); not to be written to
        :raises UsageError: If an environment's mask does not fit its actions or leaves none
        """
        if not self.offering:
            return self.fixed
        masks = self.fixed.copy()
        told = self.venv.env_method(METHOD, indices=self.offering)
        for index, mask in zip(self.offering, told, strict=True):
            own = self.own[index]
            masks[index, own] &= fitting(mask, int(own.sum()), f"{METHOD}() of {self.describe(index)}")
        self.check(masks)
        return masks

    def check(self, masks: np.ndarray) -> None:
        """
        Refuse masks under which nothing can be done.

        :param masks: Shape (n_envs, n_choices)
        :raises UsageError: If a sub-environment has no valid choice for a component of its action
        """
        possible = leaves_action(masks, self.action_space)
        if not possible.all():
            index = int(np.argmin(possible))
            raise UsageError(
                f"No action is valid in {self.describe(index)}, whose mask is {masks[index].tolist()}. Leave at least "
                "one, or end the episode where nothing can be done."
            )

    def describe(self, index: int) -> str:
        """
        Name a sub-environment in a message.

        :param index: The sub-environment
        :return: Its task and its place
        """
        return f"task '{self.names[index]}', sub-environment {index}"


def fitting(mask: Any, n_choices: int, whose: str) -> np.ndarray:
    """
    Read a mask.

    :param mask: What was given
    :param n_choices: How many entries it must have
    :param whose: Its origin, for the message
    :return: The mask, ``bool``, shape (n_choices,)
    :raises UsageError: If it has another number of entries
    """
    entries = np.asarray(mask, dtype=bool).ravel()
    if len(entries) != n_choices:
        raise UsageError(f"{whose} is {mask!r}; expected {n_choices} entries, one for each choice that the task has.")
    return entries


def offer_masks(venv: VecEnv) -> list[bool]:
    """
    Find the sub-environments that tell which actions are valid.

    :param venv: A VecEnv
    :return: Whether each does
    """
    inner = venv.unwrapped
    if isinstance(inner, ConcatVecEnv):
        return [offers for part in inner.venvs for offers in offer_masks(part)]
    try:
        return [bool(offers) for offers in venv.env_method("has_wrapper_attr", METHOD)]
    # A VecEnv whose sub-environments are not gymnasium's, or which has no methods to call.
    except (AttributeError, NotImplementedError, TypeError):
        return [has_masks(venv)] * venv.num_envs


def has_masks(venv: VecEnv) -> bool:
    """
    Tell whether a VecEnv has masks for all of its sub-environments.

    :param venv: A VecEnv
    :return: Whether it has
    """
    try:
        return venv.has_attr(METHOD)
    except NotImplementedError:
        return False
