"""The error that speaks to the user."""


class UsageError(ValueError):
    """
    Something was given that the library cannot take; the message says what was given, what was expected, what to do.

    It is a ``ValueError``, as such errors are everywhere in Python. The command line prints its message alone, where
    any other error keeps its traceback: that is a bug.
    """


def one_line(error: BaseException) -> str:
    """
    Say what an error says in one line that every terminal shows, whatever of a strange file has come into it.

    :param error: The error
    :return: Its text, or its type where it has none: printable characters, at most 500
    """
    text = " ".join(f"{error}".split()) or type(error).__name__
    return "".join(own if own.isprintable() else ascii(own)[1:-1] for own in text[:500])
