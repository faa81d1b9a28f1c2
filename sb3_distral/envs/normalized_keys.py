"""Stable-Baselines3's ``VecNormalize`` around tasks: it normalises what they show, and leaves the task as it is."""

from functools import wraps

from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize

from sb3_distral.envs.task_id import has_task_key
from sb3_distral.errors import UsageError

_own_checks = VecNormalize._sanity_checks


@wraps(_own_checks)
def check_keys(layer: VecNormalize) -> None:
    """
    Choose what is normalised, or check the user's choice, before Stable-Baselines3 does.

    :param layer: A layer that is being made
    :raises UsageError: If a key of observations with a task cannot be normalised
    """
    space = layer.observation_space
    if isinstance(space, spaces.Dict) and has_task_key(space):
        able = [key for key, own in space.items() if isinstance(own, spaces.Box)]
        wanted = able if layer.norm_obs_keys is None else layer.norm_obs_keys
        if not able or not set(wanted) <= set(able):
            raise UsageError(
                f"VecNormalize(…, norm_obs_keys={layer.norm_obs_keys}) was given around tasks; expected keys out of "
                f"{able}, the Box observations of {space}. Leave norm_obs_keys out"
                + (", which takes all of them." if able else " and give norm_obs=False.")
            )
        layer.norm_obs_keys = wanted
    _own_checks(layer)


# VecNormalize has no argument for it.
VecNormalize._sanity_checks = check_keys  # type: ignore[assignment,method-assign]
