"""Compiled loops: numba's, kept on disk where the system lets us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

Loop = Callable[..., Any]


def compiled(**options: Any) -> Callable[[Loop], Loop]:
    """Return a decorator that compiles a loop when it is first called.

    The loop runs without Python's global lock, so that threads share the rows of a panel. Numba
    compiles it anew when its own file has changed, but not when a constant of another module has:
    touch the file then.

    Parameters
    ----------
    **options
        Options of :func:`numba.njit`.
    """
    compile_loop = numba.njit(nogil=True, **options)
    compile_and_keep = numba.njit(nogil=True, cache=True, **options)

    def decorate(loop: Loop) -> Loop:
        dispatcher: Loop
        try:
            dispatcher = compile_and_keep(loop)
        except RuntimeError:
            # numba finds no folder that it may write to: every process compiles anew
            dispatcher = compile_loop(loop)
        return dispatcher

    return decorate
