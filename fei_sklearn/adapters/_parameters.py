"""Adapters that have the parameters of the estimator they adapt."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type[Any])


def parameters_of(estimator: Any, *, without: tuple[str, ...] = ()) -> Callable[[Class], Class]:
    """Class decorator: a constructor with the parameters of a scikit-learn estimator.

    The toolkits read parameters off the signature of ``__init__``. This makes one with the names
    and defaults of the estimator's, where a copy in the source would drift from it.

    Parameters
    ----------
    estimator : type
        The estimator.
    without : tuple of str, default=()
        Parameters that the adapter lacks.

    Returns
    -------
    callable
        The decorator.
    """
    signature = inspect.signature(estimator.__init__)
    parameters = [p for name, p in signature.parameters.items() if name not in without]
    signature = signature.replace(parameters=parameters)

    def decorate(adapter: Class) -> Class:
        def __init__(*args: Any, **params: Any) -> None:  # noqa: N807
            given = signature.bind(*args, **params)
            given.apply_defaults()
            self = given.arguments.pop("self")
            self.__dict__.update(given.arguments)
            super(adapter, self).__init__()  # type: ignore[arg-type]

        __init__.__qualname__ = f"{adapter.__qualname__}.__init__"
        __init__.__module__ = adapter.__module__
        __init__.__signature__ = signature  # type: ignore[attr-defined]
        adapter.__init__ = __init__
        abc.update_abstractmethods(adapter)  # the constructor of aeon's base class is one
        return adapter

    return decorate
