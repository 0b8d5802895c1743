"""Tables in ``.parquet`` files: one series per row, its label in a column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._columns import label_position, refuse_other_columns
from fei_sklearn.datasets._dataset import Part, PartFile, Series
from fei_sklearn.datasets._text import without_padding

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path, label: str | None = None) -> PartFile:
    """Read a table.

    Parameters
    ----------
    path : Path
        The file. Either each column of numbers is a time point, or each column of lists is a
        channel. The frame's index is left out.
    label : str, default=None
        Name of the column of labels. None takes a column named "label", "class" or "target".

    Returns
    -------
    PartFile
        Series and labels. Floats are targets, other labels are classes.

    Raises
    ------
    ValueError
        If the file is damaged, a column is neither of numbers nor of lists, or pandas or pyarrow
        is not installed.
    """
    frame = _frame(path)
    names = [str(name) for name in frame.columns]
    position = label_position(names, label, path)
    kept = [i for i in range(len(names)) if i != position]
    if not kept or not len(frame):
        raise ValueError(f"{path} has no series: give a table of one series per row.")
    kept_names = [names[i] for i in kept]
    refuse_other_columns(kept_names, path)
    X = _series(frame.iloc[:, kept], path)
    if position is None:
        return PartFile(Part(X), "pretraining", kept_names)
    y = _labels(frame.iloc[:, position], path)
    task = "regression" if y.dtype.kind == "f" else "classification"
    return PartFile(Part(X, y), task, kept_names)


def _frame(path: Path) -> pd.DataFrame:
    try:
        import pandas as pd
        import pyarrow as pa  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError(
            f"Parquet needs {error.name}: pip install {error.name}, or save {path.name} as .csv."
        ) from None
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is damaged or no Parquet file: copy it again.") from error


def _series(frame: pd.DataFrame, path: Path) -> Series:
    """Return the series of the columns without labels."""
    kinds = [dtype.kind for dtype in frame.dtypes]
    if all(kind in "fiub" for kind in kinds):
        dtypes = [getattr(dtype, "numpy_dtype", dtype) for dtype in frame.dtypes]
        is_exact = all(np.can_cast(dtype, np.float32) for dtype in dtypes)
        dtype = np.float32 if is_exact else np.float64
        values = frame.to_numpy(dtype=dtype, na_value=np.nan)
        return without_padding(values, path, range(1, len(values) + 1))
    channels: list[list[Any]] = []
    names = list(frame.columns)
    for position, name in enumerate(names):
        cells = list(frame.iloc[:, position])
        if all(_is_list(cell) for cell in cells):
            channels.append(cells)
        elif kinds[position] not in "fiub":
            raise ValueError(
                f"{path}: column {name!r} holds {frame.dtypes.iloc[position]} instead of numbers "
                "or lists: name the column of labels, and leave out other columns of text."
            )
    if len(channels) < len(names):
        raise ValueError(
            f"{path} has columns of numbers beside columns of lists: name the column of labels, "
            "and leave out the others."
        )
    rows = zip(*channels, strict=True)
    return [_stacked(row, number, path) for number, row in enumerate(rows, 1)]


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list | ndarray)


def _stacked(row: tuple[Any, ...], number: int, path: Path) -> ndarray:
    """Return the channels of a row as one series."""
    try:
        return np.stack([np.asarray(cell, dtype=np.float64) for cell in row])
    except (ValueError, TypeError):
        lengths = ", ".join(str(len(cell)) for cell in row)
        raise ValueError(
            f"{path}, row {number} has lists of {lengths} values, which are no channels of one "
            "series: give numbers, one for each time point."
        ) from None


def _labels(column: pd.Series, path: Path) -> ndarray:
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise ValueError(f"{path}, row {row + 1} has no label: add it, or leave the row out.")
    if column.dtype.kind in "fiub":
        plain = getattr(column.dtype, "numpy_dtype", column.dtype)
        values: ndarray = column.to_numpy(dtype=plain)
        return values
    return np.array([str(value) for value in column])
