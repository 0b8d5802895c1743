"""Warnings that name the line of the user's code, and arguments whose former name warns.

Functions and classes that will go are marked by :func:`typing_extensions.deprecated` with
``category=FutureWarning``. A parameter of an estimator follows scikit-learn: the former name stays
in the signature, with "deprecated" as its default. The policy is in CONTRIBUTING.md.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

#: Packages whose frames lie between the user's call and a warning.
PASSED_THROUGH = frozenset(
    ("fei_sklearn", "sklearn", "sktime", "skbase", "aeon", "joblib", "torch", "contextlib")
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that called the package.

    A fixed stack level would be wrong for some callers: the same warning arises in `fit`, in
    `fit_transform`, and in a pipeline.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    category : type of Warning, default=UserWarning
        Class of the warning.
    """
    warnings.warn(message, category, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """Return the number of frames from the caller of this function up to the user's."""
    level = 0
    frame = inspect.currentframe()
    while frame is not None and _package_of(frame.f_globals) in PASSED_THROUGH:
        frame = frame.f_back
        level += 1
    return level


def _package_of(namespace: dict[str, object]) -> str:
    """Return the name of the package that a frame's code belongs to."""
    return str(namespace.get("__name__", "")).partition(".")[0]


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
            warn(
                f"the argument {former!r} of {title}() is now called {name!r}, and the former "
                f"name will be removed in version {removed_in}",
                FutureWarning,
            )
            kwargs[name] = kwargs.pop(former)
            return function(*args, **kwargs)

        return call

    return decorate
