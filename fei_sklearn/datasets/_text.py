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
        The numbers.

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
            table = np.loadtxt(path, ndmin=2, encoding="utf-8", **options)
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
