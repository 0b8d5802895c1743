"""Renamed arguments, which go on working for a while and warn.

Functions and classes that will go are marked by :func:`typing_extensions.deprecated` with
``category=FutureWarning``. A parameter of an estimator follows scikit-learn: the former name stays
in the signature, with "deprecated" as its default. The policy is in CONTRIBUTING.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def renamed_argument(
    former: str, name: str, *, removed_in: str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator of functions that still accept an argument's former name.

    Parameters
    ----------
    former, name : str
        Former and present name of a keyword argument.
    removed_in : str
        Version that no longer accepts the former name.

    Returns
    -------
    callable
        Decorator. The decorated function raises a FutureWarning for the former name, and a
        TypeError where both names are given.

    Examples
    --------
    >>> @renamed_argument("size", "width", removed_in="0.3")
    ... def area(*, width):
    ...     return width**2
    >>> area(width=3)
    9
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if former not in kwargs:
                return function(*args, **kwargs)
            title = function.__name__
            if name in kwargs:
                raise TypeError(
                    f"{title}() got both {name!r} and its former name {former!r}; give {name!r}"
                )
            warnings.warn(
                f"the argument {former!r} of {title}() is now called {name!r}, and the former "
                f"name will be removed in version {removed_in}",
                FutureWarning,
                stacklevel=2,
            )
            kwargs[name] = kwargs.pop(former)
            return function(*args, **kwargs)

        return call

    return decorate
