"""What users keep a panel in, to one array: lists, frames, tensors, masked arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def as_array(X: Any, *, series_are_1d: bool) -> Any:
    """Refuse containers that NumPy would misread, and pad lists of unequal length with NaN.

    Parameters
    ----------
    X : object
        What a user gave.
    series_are_1d : bool
        Whether the series of a list may lack their channel axis.

    Returns
    -------
    object
        Something that NumPy can make an array of, or a sentence of scikit-learn's.

    Raises
    ------
    ValueError
        For groups of arrays, lists of series that do not fit together, and frames whose rows are
        not series.
    TypeError
        For lazy frames, and for dates.
    """
    if hasattr(X, "keys") and not hasattr(type(X), "shape"):
        raise ValueError(
            f"X is a {type(X).__name__}, which holds arrays by name: give one of them, X[name]."
        )
    if hasattr(X, "collect") and hasattr(X, "collect_schema"):
        raise TypeError("X is a lazy frame: give X.collect().")
    if getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise ValueError(
            "X is a frame with a MultiIndex, whose rows are time points, not series: convert it "
            "to a 3-D array, for example with sktime.datatypes.convert_to(X, 'numpy3D')."
        )
    if getattr(getattr(X, "columns", None), "nlevels", 1) > 1:
        raise ValueError(
            "X is a frame with a MultiIndex of columns, which may be channels as well as time "
            "points: give a 3-D array of shape (n_samples, n_channels, n_timepoints)."
        )
    if getattr(getattr(X, "dtype", None), "kind", "") in ("m", "M"):
        raise TypeError(f"X holds dates or durations ({X.dtype}): give numbers.")
    if hasattr(X, "columns") and _has_nested_cells(X):
        raise ValueError(
            "X is a frame with a series in each cell: convert it to a 3-D array, for example with "
            "sktime.datatypes.convert_to(X, 'numpy3D')."
        )
    of_objects = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    if (of_objects or isinstance(X, list | tuple)) and len(X) and _is_series(X[0]):
        return _stack(X, series_are_1d=series_are_1d)
    return plain_array(X)


def plain_array(X: Any) -> Any:
    """Tensors, also those on a GPU, and masked arrays as arrays; anything else as it is."""
    if hasattr(X, "detach"):
        tensor = X.detach().cpu()
        try:
            return tensor.numpy()
        except TypeError:  # bfloat16, which NumPy lacks
            return tensor.float().numpy()
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan)
    return X


def _has_nested_cells(frame: Any) -> bool:
    first = frame.iloc[0] if hasattr(frame, "iloc") and len(frame) else ()
    nested_pandas = any(_is_series(cell) for cell in first)
    nested_polars = any(getattr(t, "is_nested", bool)() for t in getattr(frame, "dtypes", ()))
    return nested_pandas or nested_polars


def _is_series(item: Any) -> bool:
    return hasattr(item, "__len__") and not isinstance(item, str | bytes | dict)


def _stack(X: Sequence[Any], *, series_are_1d: bool) -> np.ndarray:
    """Array of a list of series; with unequal lengths of shape (n, C, longest), NaN at the ends."""
    if hasattr(X[0], "columns"):
        raise ValueError(
            "X is a list of frames, whose rows would be taken for channels: give a list of arrays "
            "of shape (n_channels, n_timepoints_i), such as [frame.to_numpy().T for frame in X]."
        )
    series = [np.asarray(plain_array(item)) for item in X]
    if any(np.iscomplexobj(item) for item in series):
        raise ValueError("Complex data not supported: X has complex series; give X.real, X.imag.")
    shapes = {item.shape for item in series}
    if len(shapes) == 1:
        stacked = np.stack(series)
        return stacked[:, np.newaxis] if stacked.ndim == 2 and series_are_1d else stacked
    ndims = {len(shape) for shape in shapes}
    n_channels = {shape[0] if len(shape) == 2 else 1 for shape in shapes}
    if ndims not in ({1}, {2}) or len(n_channels) > 1:
        raise ValueError(
            "X is a list of series that differ in more than their length, of shapes "
            f"{sorted(shapes)[:5]}: give arrays of shape (n_channels, n_timepoints_i) with the "
            "same n_channels."
        )
    padded = np.full((len(series), *n_channels, max(s[-1] for s in shapes)), np.nan)
    for row, item in zip(padded, series, strict=True):
        row[:, : item.shape[-1]] = item
    return padded
