"""
Tasks in MiniWorld's first-person 3D worlds.

Importing this package loads MiniWorld and OpenGL, safely for all modules in it. ``sb3_distral.tasks`` does so only when
a world is made.
"""

from sb3_distral.tasks.miniworld import rendering

__all__ = ["rendering"]
