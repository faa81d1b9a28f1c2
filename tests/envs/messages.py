"""Refusals are read by people."""

import re
from typing import Any

import pytest

from sb3_distral.errors import UsageError


def refuses(*parts: str) -> Any:
    """The parts of a message, in their order."""
    return pytest.raises(UsageError, match="(?s)" + ".*".join(re.escape(part) for part in parts))
