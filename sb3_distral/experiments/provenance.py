"""What made a result: versions, machine and date."""

import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any


def versions(packages: Sequence[str]) -> dict[str, str]:
    """
    :param packages: Names of installed packages
    :return: Versions of Python and of these packages
    """
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def provenance(packages: Sequence[str]) -> dict[str, Any]:
    """
    :param packages: Packages that the results depend on
    :return: Versions, machine and date, for JSON
    """
    return {
        "versions": versions(packages),
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "processor": platform.machine()},
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
