"""Terminals that cannot show every character."""

import io
import sys


def replace_unprintable() -> None:
    """Print a question mark for a character that the terminal does not have: no output is worth losing a result."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
