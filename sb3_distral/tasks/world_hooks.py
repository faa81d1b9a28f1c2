"""What MiniWorld's environments need wherever they are made; none of it loads MiniWorld before one is."""

import sys
from typing import Any

import gymnasium as gym

from sb3_distral.envs import hooks


def make_miniworld_safe() -> None:
    """Where MiniWorld is in use: without this its environments in one process draw each other's walls."""
    if "miniworld.miniworld" in sys.modules:
        import sb3_distral.tasks.miniworld.rendering  # noqa: F401


def make_stock_id(env_id: str) -> gym.Env[Any, Any] | None:
    """
    Make a task that comes with MiniWorld; its own tasks need no import before.

    :param env_id: A gymnasium id
    :return: The task; ``None`` if the id is not one of MiniWorld's
    """
    if not env_id.removeprefix("miniworld:").startswith("MiniWorld-"):
        return None
    from sb3_distral.tasks.miniworld.stock import make_stock  # needs OpenGL

    return make_stock(env_id)


def register() -> None:
    """Tell :mod:`sb3_distral.envs` of them, once."""
    if make_miniworld_safe not in hooks.process_hooks:
        hooks.process_hooks.append(make_miniworld_safe)
        hooks.id_makers.append(make_stock_id)
