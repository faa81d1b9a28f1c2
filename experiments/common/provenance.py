"""What made a result: versions, machine and date."""

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = ("sb3-distral", "stable-baselines3", "sb3-contrib", "gymnasium", "miniworld", "torch", "numpy")


def provenance() -> dict[str, Any]:
    """
    Say what results depend on.

    :return: Versions of Python and of the packages that are installed, machine and date, for JSON
    """
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "processor": platform.machine()},
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # An extra that this study does without.
            continue
    return found
