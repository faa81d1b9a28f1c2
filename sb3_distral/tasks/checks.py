"""What suites refuse, in the same words everywhere."""

from typing import Any

import numpy as np
from gymnasium import spaces

from sb3_distral.errors import UsageError


def check_render_mode(render_mode: str | None) -> str | None:
    """
    Refuse a render mode that no suite has.

    :param render_mode: ``None`` or ``"rgb_array"``
    :return: ``render_mode``
    :raises ValueError: for any other value
    """
    if render_mode not in (None, "rgb_array"):
        raise UsageError(f"render_mode is {render_mode!r}, expected None or 'rgb_array'; pass one of these.")
    return render_mode


def check_seed(name: str, seed: Any) -> None:
    """
    Refuse a seed that is no seed.

    :param name: the argument's name
    :param seed: its value
    :raises ValueError: if it is not an integer >= 0
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"{name} is {seed!r}, expected an integer >= 0; pass for example {name}=1.")


def check_actions(actions: np.ndarray[Any, Any], n_envs: int, space: spaces.Discrete | spaces.Box) -> None:
    """
    Refuse actions that a batch of tasks cannot take.

    Numbers beyond the bounds of a Box pass: what a motor makes of them is part of the task.

    :param actions: one action for each sub-environment
    :param n_envs: number of sub-environments
    :param space: the action space of one of them
    :raises ValueError: if an action is missing, outside a Discrete space or not finite
    """
    if isinstance(space, spaces.Discrete):
        # A negative index into a table would be a silent error.
        is_valid = actions.shape == (n_envs,) and actions.min() >= 0 and actions.max() < space.n
        expected = f"{n_envs} integers from 0 to {space.n - 1}"
    else:
        is_valid = actions.shape == (n_envs, *space.shape) and bool(np.isfinite(actions).all())
        expected = f"finite numbers of shape {(n_envs, *space.shape)}"
    if not is_valid:
        raise UsageError(
            f"actions are {actions!r}, expected {expected}; pass one action of the action space for each "
            "sub-environment."
        )
