"""Conversion of containers to one array: lists, frames, tensors and masked arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


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
        Whether the series of a list may lack their channel axis.

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
    _refuse_groups(X)
    _refuse_frames(X)
    _refuse_dates(X)
    if _is_list_of_series(X):
        return _stack(X, series_are_1d=series_are_1d)
    return plain_array(X)


def plain_array(X: Any) -> Any:
    """Convert tensors, also those on a GPU, and masked arrays; return other objects unchanged."""
    if hasattr(X, "detach"):
        tensor = X.detach().cpu()
        try:
            return tensor.numpy()
        except TypeError:  # NumPy lacks bfloat16
            return tensor.float().numpy()
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan)
    return X


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
    if _n_levels(X, "index") > 1:
        raise ValueError(
            "X is a frame with a MultiIndex, whose rows are time points, not series: convert it "
            "to a 3-D array, for example with sktime.datatypes.convert_to(X, 'numpy3D')."
        )
    if _n_levels(X, "columns") > 1:
        raise ValueError(
            "X is a frame with a MultiIndex of columns, which may be channels as well as time "
            "points: give a 3-D array of shape (n_samples, n_channels, n_timepoints)."
        )
    if hasattr(X, "columns") and _has_nested_cells(X):
        raise ValueError(
            "X is a frame with a series in each cell: convert it to a 3-D array, for example with "
            "sktime.datatypes.convert_to(X, 'numpy3D')."
        )


def _refuse_dates(X: Any) -> None:
    """Raise for arrays of dates or durations, which NumPy would convert to numbers."""
    dtype = getattr(X, "dtype", None)
    if getattr(dtype, "kind", "") in ("m", "M"):
        raise TypeError(f"X holds dates or durations ({dtype}): give numbers.")


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


def _is_list_of_series(X: Any) -> bool:
    """Return whether X is a list, a tuple or an array of objects, each of which is a series."""
    if isinstance(X, np.ndarray):
        is_list = X.dtype == object and X.ndim == 1
    else:
        is_list = isinstance(X, list | tuple)
    return is_list and len(X) > 0 and _is_series(X[0])


def _is_series(item: Any) -> bool:
    return hasattr(item, "__len__") and not isinstance(item, str | bytes | dict)


def _stack(
    X: Sequence[Any],
    *,
    series_are_1d: bool,
) -> np.ndarray:
    """Return the array of a list of series, padded with NaN if their lengths are unequal."""
    if hasattr(X[0], "columns"):
        raise ValueError(
            "X is a list of frames, whose rows would be taken for channels: give a list of arrays "
            "of shape (n_channels, n_timepoints_i), such as [frame.to_numpy().T for frame in X]."
        )
    series = [np.asarray(plain_array(item)) for item in X]
    if any(np.iscomplexobj(item) for item in series):
        raise ValueError("Complex data not supported: X has complex series; give X.real, X.imag.")
    shapes = {item.shape for item in series}
    if len(shapes) > 1:
        return _pad(series)
    stacked = np.stack(series)
    if stacked.ndim == 2 and series_are_1d:
        return stacked[:, np.newaxis]
    return stacked


def _pad(series: list[np.ndarray]) -> np.ndarray:
    """Return series of unequal length as (n_samples, n_channels, longest), NaN at the ends."""
    dimensions = {item.ndim for item in series}
    n_channels = {len(np.atleast_2d(item)) for item in series}
    if dimensions not in ({1}, {2}) or len(n_channels) > 1:
        shapes = sorted({item.shape for item in series})
        raise ValueError(
            "X is a list of series that differ in more than their length, of shapes "
            f"{shapes[:5]}: give arrays of shape (n_channels, n_timepoints_i) with the same "
            "n_channels."
        )
    longest = max(item.shape[-1] for item in series)
    shape = (len(series), *n_channels, longest)
    padded = np.full(shape, np.nan)
    for row, item in zip(padded, series, strict=True):
        row[:, : item.shape[-1]] = item
    return padded
