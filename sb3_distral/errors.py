"""The error that speaks to the user."""


class UsageError(ValueError):
    """
    Something was given that the library cannot take; the message says what was given, what was expected, what to do.

    It is a ``ValueError``, as such errors are everywhere in Python. The command line prints its message alone, where
    any other error keeps its traceback: that is a bug.
    """
