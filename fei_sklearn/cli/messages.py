"""What the command says on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Longest message, in characters.
LONGEST = 600


class WorkError(Exception):
    """Good arguments, but the work failed."""


def complain(text: str) -> None:
    """Print a line on stderr."""
    print(f"fei-sklearn: {text}", file=sys.stderr, flush=True)


def sentence(error: object) -> str:
    """An exception or warning on one line."""
    text = " ".join(str(error).split())
    if not isinstance(error, ValueError | TypeError | OSError | Warning) or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


@contextmanager
def failing() -> Iterator[None]:
    """Work whose errors are not the arguments' fault."""
    try:
        yield
    except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
        raise WorkError(sentence(error)) from error
