"""
Where suites of tasks tell what their environments need, so that nothing else here knows any suite.

The hooks travel with what makes the environments: they hold in other processes too, whatever these have imported.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym

#: Called in each process that holds environments, before they are made and again when they are. A hook is quick where
#: nothing is to be done, may be called any number of times, and can be imported by its name.
process_hooks: list[Callable[[], None]] = []

#: Make the environment of a gymnasium id, or return ``None`` where the id is not theirs. Each can be imported by its
#: name.
id_makers: list[Callable[[str], gym.Env[Any, Any] | None]] = []


def call_process_hooks() -> None:
    """Prepare this process for environments."""
    for hook in process_hooks:
        hook()
