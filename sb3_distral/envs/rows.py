"""Some of the sub-environments of a VecEnv as a VecEnv of their own, which go on where they are."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecEnvWrapper,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.task_id import has_task_key, keys_in, without_task
from sb3_distral.envs.vec_envs import already_made
from sb3_distral.errors import UsageError

#: Wrappers that can follow, and what they hold a row of for each sub-environment. All else they know is of all.
FOLLOWING: dict[type[VecEnvWrapper], tuple[str, ...]] = {
    VecTransposeImage: (),
    VecMonitor: ("episode_returns", "episode_lengths"),
    VecNormalize: ("returns",),
}


def select_rows(venv: VecEnv, rows: np.ndarray, left: list[Any]) -> VecEnv:
    """
    Take some sub-environments out of a VecEnv, which must not be used any more.

    A VecEnv says by a method ``select(rows)`` that it can do this itself.

    :param venv: A VecEnv
    :param rows: Indices of sub-environments, in ascending order
    :param left: What is of no use any more, to be closed by the caller; appended to
    :return: A VecEnv of those alone, each where it was
    :raises UsageError: If the sub-environments cannot be taken apart
    """
    if len(rows) == venv.num_envs:
        return venv
    if isinstance(venv, ConcatVecEnv):
        return _select_parts(venv, rows, left)
    if hasattr(type(venv), "select"):
        return venv.select(rows)  # type: ignore[no-any-return, attr-defined]
    if type(venv) is DummyVecEnv:
        left += [env for row, env in enumerate(venv.envs) if row not in rows]
        selected = DummyVecEnv([partial(already_made, venv.envs[row]) for row in rows])
        # Seeds and options of the next reset.
        selected._seeds = [venv._seeds[row] for row in rows]
        selected._options = [venv._options[row] for row in rows]
        return selected
    if isinstance(venv, VecEnvWrapper):
        check_follows(venv)
        return around(venv, select_rows(venv.venv, rows, left), rows)
    raise UsageError(
        f"Some of the {venv.num_envs} sub-environments of a {type(venv).__name__} were to be removed, but it cannot be "
        "taken apart. Make a VecEnv for each task, and give a dict of these."
    )


def _select_parts(venv: ConcatVecEnv, rows: np.ndarray, left: list[Any]) -> VecEnv:
    parts = []
    for part, start in zip(venv.venvs, venv.offsets, strict=False):
        own = rows[(rows >= start) & (rows < start + part.num_envs)] - start
        if len(own) > 0:
            parts.append(select_rows(part, own, left))
        else:
            left.append(part)
    return side_by_side(parts, venv.observation_space)


def side_by_side(venvs: Sequence[VecEnv], observation_space: spaces.Space[Any]) -> ConcatVecEnv:
    """
    Put VecEnvs side by side, those that are several already as their parts.

    :param venvs: VecEnvs
    :param observation_space: Space of the observations of all
    :return: One VecEnv
    """
    joined = ConcatVecEnv(
        [part for venv in venvs for part in (venv.venvs if isinstance(venv, ConcatVecEnv) else [venv])]
    )
    joined.observation_space = observation_space
    return joined


def check_follows(layer: VecEnv) -> None:
    """
    Refuse a wrapper that cannot be put around other sub-environments.

    :param layer: A wrapper
    :raises UsageError: If it is not one of Stable-Baselines3's that are known here
    """
    if type(layer) not in FOLLOWING:
        name = type(layer).__name__
        raise UsageError(
            f"The tasks are in a {name}, which cannot follow where tasks come and go; "
            f"{', '.join(kind.__name__ for kind in FOLLOWING)} can. Give each task a {name} of its own (a dict of "
            "VecEnvs), or begin a new model: its argument distilled_policy takes π0 along."
        )


def around(layer: VecEnvWrapper, venv: VecEnv, rows: np.ndarray) -> VecEnvWrapper:
    """
    Put a wrapper around some of its sub-environments and new ones behind them.

    :param layer: A wrapper, which must not be used any more
    :param venv: The environment that it shall wrap
    :param rows: Which of the wrapper's sub-environments are the first of it, shape (n_kept,)
    :return: A wrapper that knows of these what it knew, and of the others nothing
    """
    other = object.__new__(type(layer))
    vars(other).update(vars(layer))
    other.venv, other.num_envs, other.action_space = venv, venv.num_envs, venv.action_space
    other.reset_infos = [{} for _ in range(venv.num_envs)]
    for name in FOLLOWING[type(layer)]:
        own = vars(layer)[name]
        vars(other)[name] = np.concatenate([own[rows], np.zeros(venv.num_envs - len(rows), own.dtype)])
    if has_task_key(venv.observation_space):
        other.observation_space = _with_task_keys(layer.observation_space, venv.observation_space)
    # The last observations before the change.
    vars(other).pop("old_obs", None)
    return other


def _with_task_keys(own: Any, inner: Any) -> spaces.Dict:
    """Plain observations as a layer gives them, beside the task and the mask of what it wraps."""
    keys = keys_in(inner.spaces)
    return spaces.Dict({**without_task(own.spaces), **{key: inner[key] for key in keys if key in inner.spaces}})
