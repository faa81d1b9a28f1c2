"""Tasks that join others or leave them, while those that stay go on where they are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, VecTransposeImage

from sb3_distral.envs.rows import around, check_follows, select_rows, side_by_side
from sb3_distral.envs.spaces import join_actions, join_all
from sb3_distral.envs.state import layers_of
from sb3_distral.envs.task_id import keys_in, plain_observation, with_task, without_task
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError


class Changed(NamedTuple):
    """
    An environment whose tasks have changed.

    :param env: It; those of the tasks that stay are first in it
    :param rows: Which sub-environments of the old one these are, shape (n_kept,)
    :param left: Environments of no use any more, to be closed
    """

    env: VecEnv
    rows: np.ndarray
    left: list[Any]


def join_tasks(first: TaskVecEnv, second: TaskVecEnv) -> TaskVecEnv:
    """
    Put the tasks of two environments side by side in one.

    It is what a model has after ``add_tasks``, for the load of one that was saved then::

        env = join_tasks(tasks.make("grid-mazes", 8), make_task_vec_env({"new": GridMazeEnv}, 8))
        model = DistralA2C.load("model", env=env)

    :param first: Tasks, as ``make_task_vec_env`` and ``tasks.make`` give them
    :param second: More tasks, of other names
    :return: All of them, in this order; the two must not be used any more
    :raises UsageError: If they are wrapped, names repeat or their spaces do not fit each other
    """
    return change(check_bare(first), first.task_names, check_bare(second)).env  # type: ignore[return-value]


def select_tasks(env: TaskVecEnv, names: Sequence[str]) -> TaskVecEnv:
    """
    Take some tasks out of an environment; the others are closed.

    :param env: Tasks, as ``make_task_vec_env`` and ``tasks.make`` give them
    :param names: Names of those that stay
    :return: Those, in the order in which they were; ``env`` must not be used any more
    :raises UsageError: If it is wrapped, there is no such task, or tasks cannot be taken apart

    >>> from sb3_distral import tasks
    >>> select_tasks(tasks.make("grid-mazes", n_tasks=3), ["maze-2"]).task_names
    ['maze-2']
    """
    changed = change(check_bare(env), names)
    for part in changed.left:
        part.close()
    return changed.env  # type: ignore[return-value]


def check_bare(env: VecEnv) -> TaskVecEnv:
    """
    Refuse tasks in a wrapper.

    :param env: An environment
    :return: The same
    :raises UsageError: If it is no ``TaskVecEnv`` itself
    """
    if not isinstance(env, TaskVecEnv):
        raise UsageError(
            f"A {type(env).__name__} was given; expected a TaskVecEnv, as make_task_vec_env and tasks.make give it. "
            "Join, choose or add tasks first and wrap them then."
        )
    return env


def change(
    env: VecEnv,
    names: Sequence[str],
    new: TaskVecEnv | None = None,
    action_space: spaces.Space[Any] | None = None,
) -> Changed:
    """
    Let tasks leave an environment, and others join it.

    :param env: Tasks, wrapped or not; it must not be used any more
    :param names: Names of those that stay
    :param new: Those that join
    :param action_space: Actions of all, where these are more than those of the tasks
    :return: The environment, in the same wrappers
    :raises UsageError: If there is no such task, names repeat, spaces do not fit or a wrapper cannot follow
    """
    *layers, inner = layers_until_tasks(env)
    for layer in layers:
        check_follows(layer)
    kept = indices_of(inner, names)
    rows = np.flatnonzero(np.isin(inner.tasks, kept))
    left: list[Any] = []
    changed: VecEnv = _change_inner(inner, kept, rows, new, action_space, left)
    for layer in reversed(layers):
        changed = around(layer, changed, rows)
    return Changed(changed, rows, left)


def with_actions(env: VecEnv, action_space: spaces.Space[Any]) -> VecEnv:
    """
    Let tasks of fewer actions be tasks of a model that knows more, under fixed masks.

    :param env: Tasks, wrapped or not, which must not be used any more
    :param action_space: Actions that the model knows
    :return: The tasks with these actions; ``env`` itself where it has them, or has others
    """
    own = env.action_space
    if own == action_space or isinstance(own, spaces.Box) or join_actions(own, action_space) != action_space:
        return env
    return change(env, layers_until_tasks(env)[-1].task_names, None, action_space).env


def layers_until_tasks(env: VecEnv) -> list[Any]:
    """
    List an environment and what it wraps, as far as the layer that names tasks.

    :param env: Tasks, wrapped or not
    :return: The layers, from the outside in; the last is the ``TaskVecEnv``
    :raises UsageError: If there is none
    """
    layers = layers_of(env)
    places = [place for place, layer in enumerate(layers) if isinstance(layer, TaskVecEnv)]
    if not places:
        raise UsageError(f"{env} holds no TaskVecEnv, whose tasks could change. Make it with make_task_vec_env.")
    return layers[: places[0] + 1]


def indices_of(env: TaskVecEnv, names: Sequence[str]) -> list[int]:
    """
    Find tasks by their names.

    :param env: Tasks
    :param names: Names of some
    :return: Their indices, in ascending order
    :raises UsageError: If there is no such task, or none was named
    """
    unknown = [name for name in names if name not in env.task_names]
    if unknown or not names:
        raise UsageError(f"The tasks {list(names)} were named; expected at least one of {env.task_names}.")
    return sorted({env.task_names.index(name) for name in names})


def _change_inner(
    env: TaskVecEnv,
    kept: list[int],
    rows: np.ndarray,
    new: TaskVecEnv | None,
    action_space: spaces.Space[Any] | None,
    left: list[Any],
) -> TaskVecEnv:
    venv = select_rows(env.venv, rows, left)
    tasks = np.searchsorted(kept, env.tasks[rows]).tolist()
    names = [env.task_names[task] for task in kept]
    own = [env.own_action_spaces[task] for task in kept]
    masks = {name: mask for name, mask in env.given_masks.items() if name in names}
    if new is not None:
        ends = [env.task_names[0], new.task_names[0]]
        space = join_all("observation", ends, [env.venv.observation_space, new.venv.observation_space])
        venv = side_by_side([venv, new.venv], space)
        tasks += (new.tasks + len(names)).tolist()
        names, own = names + new.task_names, own + new.own_action_spaces
        masks |= new.given_masks
    changed = TaskVecEnv(venv, tasks, names, own, masks, action_space or env.given_action_space)
    changed.set_timeouts(env.step_timeout, env.close_timeout)
    return changed


def first_observations(
    changed: Changed, new: TaskVecEnv | None, observations: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """
    Give the observations with which a changed environment goes on; tasks that have joined begin their first episodes.

    :param changed: The change
    :param new: The tasks that have joined
    :param observations: The last observations before it
    :return: Observations of all sub-environments
    """
    *layers, inner = layers_until_tasks(changed.env)
    plain = {key: own[changed.rows] for key, own in without_task(observations).items()}
    if new is not None:
        joined = with_task(new.venv.reset(), new.tasks)
        for layer in reversed(layers):
            joined = seen_through(layer, joined)
        plain = {key: np.concatenate([own, joined[key]]) for key, own in plain.items()}
    task_key = keys_in(observations).task
    named: dict[str, np.ndarray] = inner.named(plain_observation({**plain, task_key: inner.tasks}))
    return named


def seen_through(layer: VecEnv, observations: dict[str, Any]) -> dict[str, Any]:
    """
    Give observations as a wrapper hands them on.

    :param layer: One of those that can follow
    :param observations: Observations of what it wraps
    :return: What it makes of them
    """
    if isinstance(layer, VecTransposeImage):
        return layer.transpose_observations(observations)  # type: ignore[return-value]
    return layer.normalize_obs(observations) if isinstance(layer, VecNormalize) else observations  # type: ignore[return-value]
