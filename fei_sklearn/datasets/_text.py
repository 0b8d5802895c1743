"""Tables of numbers in text files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray


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
