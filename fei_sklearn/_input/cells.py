"""Cells that are no numbers: dates and durations are refused, missing values become NaN."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

#: Beginnings of the names of date and duration types in NumPy, pandas, polars and Arrow.
TEMPORAL_PREFIXES = ("date", "time", "duration", "period", "interval", "month_day_nano")

#: Classes of single dates and durations. pandas's classes are subclasses, except for its periods.
TEMPORAL_CLASSES = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
)


def refuse_dates(
    values: Any,
    name: str,
) -> None:
    """Raise for dates or durations, which NumPy would convert to numbers.

    Parameters
    ----------
    values : object
        Array, frame or column. Columns of objects are searched cell by cell.
    name : str
        Name of the argument for the message.

    Raises
    ------
    TypeError
        If a column is of a type of dates or durations, or a cell holds one.
    """
    for label, dtype in _column_types(values):
        if _is_temporal(dtype):
            place = "" if label is None else f" in column {label!r}"
            raise TypeError(f"{name} holds dates or durations ({dtype}){place}: give numbers.")
    for cell in _object_cells(values):
        if isinstance(cell, TEMPORAL_CLASSES) or hasattr(cell, "asfreq"):
            raise TypeError(
                f"{name} holds dates or durations, such as {cell!r}: give numbers, for example "
                "seconds."
            )


def fill_missing(values: Any) -> Any:
    """Return values with NaN in place of pandas' NA, which NumPy does not convert to a number."""
    pandas: Any = sys.modules.get("pandas")  # without pandas there is no NA
    if pandas is None:
        return values
    if isinstance(values, np.ndarray) and values.dtype == object:
        is_missing = pandas.isna(values)
        return np.where(is_missing, np.nan, values)
    if isinstance(values, pandas.DataFrame) and "object" in map(str, values.dtypes):
        return values.astype(object).where(values.notna(), np.nan)
    return values


def first_missing(cells: np.ndarray) -> int | None:
    """Return the position of the first None, NA, NaT or NaN among objects, None without any."""
    for position, cell in enumerate(cells):
        is_marker = cell is None or type(cell).__name__ in ("NAType", "NaTType")
        is_nan = isinstance(cell, float) and np.isnan(cell)
        if is_marker or is_nan:
            return position
    return None


def _column_types(values: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the names and types of a frame's columns, or None and the type of an array."""
    if hasattr(values, "column_names") and hasattr(values, "schema"):  # Arrow's tables
        yield from zip(values.column_names, values.schema.types, strict=True)
    elif hasattr(values, "columns") and hasattr(values, "dtypes"):
        yield from zip(values.columns, values.dtypes, strict=True)
    elif hasattr(values, "dtype"):
        yield None, values.dtype
    elif hasattr(values, "type"):  # Arrow's columns
        yield None, values.type


def _is_temporal(dtype: Any) -> bool:
    if getattr(dtype, "kind", "") in ("m", "M"):
        return True
    name = str(dtype).lower()
    return name.startswith(TEMPORAL_PREFIXES)


def _object_cells(values: Any) -> Iterator[Any]:
    """Yield the cells of an array of objects, or of a pandas frame's columns of objects."""
    if isinstance(values, np.ndarray) and values.dtype == object:
        yield from values.flat
    elif hasattr(values, "iloc") and hasattr(values, "columns"):
        for position, dtype in enumerate(values.dtypes):
            if str(dtype) == "object":
                yield from values.iloc[:, position]
    elif hasattr(values, "iloc") and str(values.dtype) == "object":
        yield from values
