"""Tables of numbers in text files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._dataset import Series


def read_table(path: Path, **options: Any) -> ndarray:
    """Read rows of numbers.

    Parameters
    ----------
    path : Path
        Text file.
    **options
        Options of :func:`numpy.loadtxt`.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64
        The numbers. A byte-order mark is left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, if a row has another number of columns than the first, or if a field
        is no number.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file, which is an error below
            table = np.loadtxt(path, ndmin=2, encoding="utf-8-sig", **options)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no {path.name} in {path.parent}: put it there."
        ) from None
    except ValueError as error:
        reason = str(error).partition(";")[0].rstrip(".")
        raise ValueError(
            f"{path} is damaged or cut short, {reason}: copy or download it again."
        ) from None
    if not table.size:
        raise ValueError(f"{path} is empty: copy or download it again.")
    return table


def check_values(
    table: ndarray,
    path: Path,
    *,
    skiprows: int = 0,
    missing: bool = False,
) -> None:
    """Raise an error that names the line of the first value that is not finite.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        Content of the file.
    path : Path
        The file.
    skiprows : int, default=0
        Number of lines before the first row.
    missing : bool, default=False
        Whether NaN is allowed.

    Raises
    ------
    ValueError
        If a value is infinite or, unless `missing`, NaN.
    """
    is_bad = np.isinf(table) if missing else ~np.isfinite(table)
    if not is_bad.any():
        return
    row, column = np.argwhere(is_bad)[0]
    number = _line_of_row(path, row, skiprows)
    raise ValueError(
        f"{path}, line {number} has the value {table[row, column]}: copy or download the file "
        "again, or repair the line."
    )


def without_padding(values: ndarray, path: Path, lines: Sequence[int]) -> Series:
    """Remove the NaN that pad the ends of series; other NaN are missing values.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timepoints)
        Series.
    path : Path
        File that error messages name.
    lines : sequence of int
        Line of each series.

    Returns
    -------
    ndarray of shape (n_samples, n_timepoints), or list of arrays of shape (1, n_timepoints_i)
        Series, as a list if their lengths differ.

    Raises
    ------
    ValueError
        If a series has no value, or an infinite one.
    """
    is_infinite = np.isinf(values).any(axis=1)
    if is_infinite.any():
        line = lines[int(is_infinite.argmax())]
        raise ValueError(
            f"{path}, line {line} has an infinite value: mark missing values as NaN, or leave the "
            "line out."
        )
    is_present = ~np.isnan(values)
    empty = np.flatnonzero(~is_present.any(axis=1))
    if len(empty):
        raise ValueError(f"{path}, line {lines[empty[0]]} has no values, only NaN.")
    n_padding = is_present[:, ::-1].argmax(axis=1)
    lengths = values.shape[1] - n_padding
    if (lengths == lengths[0]).all():
        return values[:, : lengths[0]]
    rows = zip(values, lengths, strict=True)
    return [row[np.newaxis, :length] for row, length in rows]


def _line_of_row(path: Path, row: int, skiprows: int) -> int:
    """Return the number of the line that a row was read from."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    numbers = [number for number, line in enumerate(lines, 1) if _has_fields(line)]
    kept = [number for number in numbers if number > skiprows]
    return kept[row]


def _has_fields(line: str) -> bool:
    """Return whether a line has more than a comment, as `numpy.loadtxt` sees it."""
    content, _, _ = line.partition("#")
    return bool(content.strip())
