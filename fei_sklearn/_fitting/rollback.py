"""Methods that change an estimator as a whole or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])
Estimator = TypeVar("Estimator")


def all_or_nothing(method: Method) -> Method:
    """Let a method change an estimator as a whole, at its end, or not at all if it raises.

    The method works on a twin, whose attributes then become the estimator's in one assignment:
    another thread that predicts meanwhile sees the older state or the newer one. The method may
    assign new objects to attributes, but not change the old ones in place.
    """

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        working = twin(self)
        result = method(working, *args, **kwargs)
        self.__dict__ = vars(working)
        if result is working:
            return self
        return result

    return guarded  # type: ignore[return-value]


def twin(estimator: Estimator) -> Estimator:
    """Return another estimator with the same attributes, which are not copied.

    A method that reads several fitted attributes reads them from a twin, because a fit in another
    thread may replace them in between.
    """
    other = object.__new__(type(estimator))
    vars(other).update(vars(estimator))
    return other
