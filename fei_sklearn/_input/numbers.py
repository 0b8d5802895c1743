"""Checks of numbers that users pass as parameters and arguments."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval


class Number(Interval):  # type: ignore[misc]
    """Range of a numeric parameter, to which True and False do not belong."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value is a number in the range."""
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)


def check_integer(name: str, value: Any) -> None:
    """Raise a TypeError if an argument is not an integer."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}.")


def check_count(name: str, value: Any, least: int) -> None:
    """Raise if an argument is not an integer of at least a number.

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is smaller.
    """
    check_integer(name, value)
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}.")
