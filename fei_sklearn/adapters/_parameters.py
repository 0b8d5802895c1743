"""Constructors of adapters, with the parameters of the estimators that they adapt."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type[Any])


def parameters_of(
    estimator: Any,
    *,
    without: tuple[str, ...] = (),
) -> Callable[[Class], Class]:
    """Return a class decorator that adds a constructor with the parameters of an estimator.

    The toolkits read parameters from the signature of ``__init__``. The added constructor has the
    names and defaults of the estimator's, from which a copy in the source would drift.

    Parameters
    ----------
    estimator : type
        Estimator of scikit-learn's kind.
    without : tuple of str, default=()
        Parameters that the adapter lacks.

    Returns
    -------
    callable
        Class decorator.
    """
    signature = inspect.signature(estimator.__init__)
    parameters = [
        parameter for name, parameter in signature.parameters.items() if name not in without
    ]
    signature = signature.replace(parameters=parameters)

    def decorate(adapter: Class) -> Class:
        def __init__(*args: Any, **params: Any) -> None:  # noqa: N807
            bound = signature.bind(*args, **params)
            bound.apply_defaults()
            self = bound.arguments.pop("self")
            for name, value in bound.arguments.items():
                setattr(self, name, value)
            super(adapter, self).__init__()  # type: ignore[arg-type]

        __init__.__qualname__ = f"{adapter.__qualname__}.__init__"
        __init__.__module__ = adapter.__module__
        __init__.__signature__ = signature  # type: ignore[attr-defined]
        adapter.__init__ = __init__
        abc.update_abstractmethods(adapter)  # aeon's base class declares it abstract
        return adapter

    return decorate
