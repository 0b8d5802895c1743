"""Compiled loops: numba's, kept on disk where the system lets us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

Loop = Callable[..., Any]

#: Options of a function that Python never calls.
WITHOUT_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(**options: Any) -> Callable[[Loop], Loop]:
    """Return a decorator that compiles a loop when Python first calls it.

    The loop runs without Python's global lock, so that threads share the rows of a panel. Numba
    recompiles it when its own file has changed, but not when a constant of another module has
    changed: touch the file in that case. Its functions of :func:`inlined` and :func:`internal`
    belong in its own file.

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
            # numba finds no folder that it may write to, so every process compiles again
            dispatcher = compile_loop(loop)
        return dispatcher

    return decorate


def inlined(function: Loop) -> Loop:
    """Make compiled loops copy a function into themselves, which saves its own compilation."""
    copied: Loop = numba.njit(nogil=True, inline="always")(function)
    return copied


def internal(**options: Any) -> Callable[[Loop], Loop]:
    """Return a decorator of functions with options of their own that compiled loops alone call.

    Nothing is made for calls from Python, and nothing is kept on disk.

    Parameters
    ----------
    **options
        Options of :func:`numba.njit`.
    """
    decorator: Callable[[Loop], Loop] = numba.njit(nogil=True, **WITHOUT_WRAPPERS, **options)
    return decorator
