"""Names that files of earlier versions know modules by."""

import sys
from importlib import import_module

#: Where a module of an earlier version is now
FORMER_MODULES = {
    "sb3_distral.buffers": "sb3_distral.algorithms.buffers",
    "sb3_distral.recurrent": "sb3_distral.algorithms.recurrent",
    "sb3_distral.recurrent.buffers": "sb3_distral.algorithms.recurrent_buffers",
    "sb3_distral.recurrent.policies": "sb3_distral.policies.recurrent",
}


def know_former_names() -> None:
    """Let pickles of earlier versions find their classes."""
    for former, present in FORMER_MODULES.items():
        sys.modules.setdefault(former, import_module(present))
