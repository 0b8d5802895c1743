"""Columns of frames: names that occur once, and text that is found by its column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import numpy as np


def refuse_repeated(
    names: Iterable[Hashable],
    container: str,
) -> None:
    """Raise if two columns have the same name.

    Parameters
    ----------
    names : iterable of hashable
        Names of the columns.
    container : str
        Name of the user's argument, for the error message.

    Raises
    ------
    ValueError
        If a name occurs more than once.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{container} has {count} columns {name!r}: give each its own name.")


def refuse_text(
    frame: Any,
    name: str,
) -> None:
    """Raise for the first column of a frame that holds text which is no number.

    Parameters
    ----------
    frame : object
        A frame of pandas, polars or Arrow; other objects are not searched.
    name : str
        Name of the argument, for the error message.

    Raises
    ------
    ValueError
        If a column holds such text. The message names the column and the first text.
    """
    names = column_names(frame)
    for position, column in enumerate(names):
        for cell in _texts(frame, position):
            if not _is_number(cell):
                raise ValueError(
                    f"{name} has the text {cell!r} in column {column!r}: give columns of numbers "
                    "alone, and labels as y."
                )


def column_names(frame: Any) -> list[Any]:
    """Return the names of a frame's columns, none of other objects."""
    names = getattr(frame, "column_names", None)  # Arrow's tables, whose `columns` are values
    if names is None:
        names = getattr(frame, "columns", [])
    return list(names)


def _texts(
    frame: Any,
    position: int,
) -> Iterator[str]:
    """Yield the texts in a column of a frame."""
    if hasattr(frame, "iloc"):
        column = frame.iloc[:, position]
    elif hasattr(frame, "column"):  # Arrow's tables
        column = frame.column(position)
    else:
        column = frame[:, position]
    for cell in np.asarray(column, dtype=object):
        if isinstance(cell, str):
            yield cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
