"""Messages of the command on stderr, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

DONE = 0
FAILED = 1
BAD_ARGUMENTS = 2
INTERRUPTED = 130

#: Longest message, in characters.
LONGEST = 600


class WorkError(Exception):
    """Work that failed although the arguments are good."""


def complain(text: str) -> None:
    """Print a line on stderr."""
    print(f"fei-sklearn: {text}", file=sys.stderr, flush=True)


def sentence(error: object) -> str:
    """Return an exception or warning on one line.

    The class is named where the message alone may be hard to understand: for unexpected
    exceptions, and for empty messages.
    """
    text = " ".join(str(error).split())
    is_expected = isinstance(error, ValueError | TypeError | OSError | Warning)
    if not is_expected or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    if len(text) > LONGEST:
        return f"{text[:LONGEST]} ..."
    return text


@contextmanager
def failing() -> Iterator[None]:
    """Turn errors that are not the arguments' fault into WorkError."""
    try:
        yield
    except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
        raise WorkError(sentence(error)) from error
