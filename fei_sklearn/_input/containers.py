"""Conversion of containers to one array: lists, frames, tensors and masked arrays."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence, Set
from typing import Any, NoReturn

import numpy as np

from fei_sklearn._input.cells import fill_missing, refuse_dates
from fei_sklearn._input.columns import column_names, refuse_repeated
from fei_sklearn._input.unequal import UnequalSeries

#: Methods that return the items of a column, in pandas and polars, and in Arrow.
LIST_METHODS = ("to_list", "to_pylist")

#: A list of series is padded at once up to this number of values, or this multiple of its own.
MIN_PADDED_VALUES = 2**18
MAX_PADDING = 4


def as_array(
    X: Any,
    *,
    series_are_1d: bool,
) -> Any:
    """Convert a panel in any container, and pad lists of unequal length with NaN.

    Parameters
    ----------
    X : object
        Panel as a user passes it.
    series_are_1d : bool
        Whether a list of series without a channel axis is a univariate 3-D panel also if they are
        of one length. If not, such a list is a 2-D panel.

    Returns
    -------
    object
        Array, or an object that NumPy converts to the panel or scikit-learn refuses.

    Raises
    ------
    ValueError
        If X is a group of arrays, a list of series that do not fit together, or a frame whose rows
        are not series.
    TypeError
        If X is a lazy frame or holds dates.
    """
    refuse_misread(X)
    series = _listed(X)
    if any(_is_series(item) for item in series):
        return _stack(series, series_are_1d=series_are_1d)
    return fill_missing(_with_readable_names(plain_array(X)))


def refuse_misread(X: Any) -> None:
    """Raise for containers that NumPy would misread: groups, most frames, and dates.

    Parameters
    ----------
    X : object
        Panel as a user passes it.

    Raises
    ------
    ValueError
        If X is a group of arrays, a frame whose rows are not series or whose names are repeated,
        or the path of a file.
    TypeError
        If X is a lazy frame, can be read only once, or holds dates or durations.
    """
    _refuse_no_array(X)
    _refuse_groups(X)
    _refuse_frames(X)
    refuse_repeated(column_names(X), "X")
    refuse_dates(X, "X")


def plain_array(X: Any) -> Any:
    """Convert tensors, also those on a GPU, and masked arrays; return other objects unchanged."""
    if hasattr(X, "detach"):
        tensor = X.detach().cpu()
        try:
            return tensor.numpy()
        except TypeError:  # NumPy lacks bfloat16
            return tensor.float().numpy()
    if isinstance(X, np.ma.MaskedArray) and X.dtype.kind in "biufO":
        return np.ma.filled(X.astype(np.float64), np.nan)
    return X


def _with_readable_names(X: Any) -> Any:
    """Return a polars frame as a pandas frame, whose names all versions of scikit-learn read.

    Before version 1.9 scikit-learn reads names by the interchange protocol, which polars 2 lacks.
    """
    if not isinstance(getattr(X, "columns", None), list) or hasattr(X, "__dataframe__"):
        return X
    import pandas as pd

    return pd.DataFrame(X.to_numpy(), columns=X.columns)


def _refuse_no_array(X: Any) -> None:
    """Raise for paths, and for what has no order or can be read only once."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X is the path {str(X)!r}: give the series in it, for example "
            "fei_sklearn.datasets.load_dataset(path).X_train."
        )
    if isinstance(X, Iterator | Set):
        raise TypeError(f"X is a {type(X).__name__}: give a list of the series, in their order.")


def _refuse_groups(X: Any) -> None:
    """Raise for mappings of names to arrays, such as a dict or a group of HDF5."""
    if hasattr(X, "keys") and not hasattr(type(X), "shape"):
        raise ValueError(
            f"X is a {type(X).__name__}, which holds arrays by name: give one of them, X[name]."
        )


def _refuse_frames(X: Any) -> None:
    """Raise for frames that are lazy, and for frames whose rows are not series."""
    if hasattr(X, "collect") and hasattr(X, "collect_schema"):
        raise TypeError("X is a lazy frame: give X.collect().")
    if hasattr(X, "compute") and hasattr(X, "npartitions") and not hasattr(X, "chunks"):
        raise TypeError(
            "X is a dask frame: give X.compute(), or X.to_dask_array(lengths=True), which is read "
            "block by block."
        )
    _refuse_levels(X)
    if hasattr(X, "columns") and _has_nested_cells(X):
        _refuse_nested_frame(X)


def _refuse_levels(X: Any) -> None:
    """Raise for frames and columns whose index or columns have several levels."""
    if _n_levels(X, "index") > 1:
        frame = "X"
        if not hasattr(X, "columns"):
            frame = "X.to_frame()"
        raise ValueError(
            "X is a frame with a MultiIndex, whose rows may be time points or whole series. Where "
            "each row is a whole series, as after pivot, give X.to_numpy(). Where each row is a "
            "time point and the first level names the series, give a 3-D array, for example "
            f"sktime.datatypes.convert_to({frame}, 'numpy3D')."
        )
    if _n_levels(X, "columns") > 1:
        raise ValueError(
            "X is a frame with a MultiIndex of columns, which may be channels as well as time "
            "points: give a 3-D array of shape (n_samples, n_channels, n_timepoints)."
        )


def _refuse_nested_frame(frame: Any) -> NoReturn:
    """Raise for a frame with a series in each cell, with the conversion that fits its kind."""
    rows = "X.rows()"
    alternative = ""
    if hasattr(frame, "iloc"):
        rows = "X.to_numpy()"
        if all(hasattr(cell, "iloc") for cell in frame.iloc[0]):
            alternative = ", or sktime.datatypes.convert_to(X, 'numpy3D')"
    raise ValueError(
        "X is a frame with a series in each cell: give a list of arrays, one per row, "
        f"[np.stack(row) for row in {rows}]{alternative}."
    )


def _n_levels(
    X: Any,
    axis: str,
) -> int:
    """Return the number of levels of a frame's index or columns, 1 without such an axis."""
    labels = getattr(X, axis, None)
    return getattr(labels, "nlevels", 1)


def _has_nested_cells(frame: Any) -> bool:
    """Return whether the cells of a pandas or polars frame hold series."""
    if hasattr(frame, "iloc"):
        if len(frame) == 0:
            return False
        return any(_is_series(cell) for cell in frame.iloc[0])
    dtypes = getattr(frame, "dtypes", ())
    return any(dtype.is_nested() for dtype in dtypes if hasattr(dtype, "is_nested"))


def _listed(X: Any) -> Sequence[Any]:
    """Return the items of a list or a column of objects; nothing of any other container."""
    if isinstance(X, np.ndarray):
        if X.dtype == object and X.ndim == 1:
            return list(X)
        return []
    if isinstance(X, list | tuple):
        return X
    is_frame = hasattr(X, "columns") or hasattr(X, "column_names")
    if is_frame or len(getattr(X, "shape", (0,))) != 1:
        return []
    for name in LIST_METHODS:
        if hasattr(X, name):
            items: list[Any] = getattr(X, name)()
            return items
    return []


def _is_series(item: Any) -> bool:
    is_sized = hasattr(item, "__len__") and not isinstance(item, str | bytes | dict)
    return is_sized and getattr(item, "shape", None) != ()


def _stack(
    X: Sequence[Any],
    *,
    series_are_1d: bool,
) -> np.ndarray | UnequalSeries:
    """Return the array of a list of series, padded with NaN if their lengths are unequal."""
    if any(hasattr(item, "columns") for item in X):
        raise ValueError(
            "X is a list of frames, whose rows would be taken for channels: give a list of arrays "
            "of shape (n_channels, n_timepoints_i), such as [frame.to_numpy().T for frame in X]."
        )
    series = [_one_series(item) for item in X]
    if any(np.iscomplexobj(item) for item in series):
        raise ValueError("Complex data not supported: X has complex series; give X.real, X.imag.")
    shapes = {item.shape for item in series}
    if len(shapes) > 1:
        return _pad(series)
    stacked = np.stack(series)
    if stacked.ndim == 2 and series_are_1d:
        return stacked[:, np.newaxis]
    return stacked


def _one_series(item: Any) -> np.ndarray:
    """Return one series of a list as an array."""
    series = np.asarray(plain_array(item))
    refuse_dates(series, "X")
    return np.asarray(fill_missing(series))


def _pad(series: list[np.ndarray]) -> np.ndarray | UnequalSeries:
    """Return series of unequal length as (n_samples, n_channels, longest), NaN at the ends.

    Where most of the array would be padding, only the parts that are read are made.
    """
    dimensions = {item.ndim for item in series}
    n_channels = {len(np.atleast_2d(item)) for item in series}
    if dimensions not in ({1}, {2}) or len(n_channels) > 1:
        shapes = sorted({item.shape for item in series})
        raise ValueError(
            "X is a list of series that differ in more than their length, of shapes "
            f"{shapes[:5]}: give arrays of shape (n_channels, n_timepoints_i) with the same "
            "n_channels."
        )
    unequal = UnequalSeries(series)
    n_values = sum(item.size for item in series)
    most_at_once = max(MIN_PADDED_VALUES, MAX_PADDING * n_values)
    if math.prod(unequal.shape) > most_at_once:
        return unequal
    return unequal[:]
