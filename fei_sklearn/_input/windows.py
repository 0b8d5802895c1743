"""Windows that slide over long series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fei_sklearn._input.containers import plain_array, refuse_misread
from fei_sklearn._input.stored import StoredPanel, is_stored, row_blocks


def sliding_windows(
    X: Any, window_length: int, step: int
) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Return the windows of each series in turn, and where they end.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints)
        Series of one length.
    window_length : int
        Time points per window.
    step : int
        Time points from one window to the next.

    Returns
    -------
    windows : iterator of ndarray of shape (n_windows, window_length) or \
(n_windows, n_channels, window_length)
        Windows of a series.
    ends : ndarray of shape (n_windows,), int64
        Index of the last time point of each window.

    Raises
    ------
    ValueError
        If X has neither 2 nor 3 dimensions, if the window is longer than the series or shorter than
        2, or if the step is below 1.
    """
    panel: np.ndarray | StoredPanel
    if is_stored(X):
        panel = StoredPanel(X)
        shape = panel.source_shape
    else:
        panel = _equal_series(X)
        shape = panel.shape
    if len(shape) not in (2, 3):
        raise ValueError(
            f"X has the shape {shape}, and must have the shape (n_samples, n_timepoints) or "
            "(n_samples, n_channels, n_timepoints): give X[np.newaxis] if it is one series."
        )
    n_timepoints = shape[-1]
    fits = 2 <= window_length <= n_timepoints
    if not fits or step < 1:
        raise ValueError(
            f"window_length must be from 2 to the {n_timepoints} time points of X, got "
            f"{window_length}, and step at least 1, got {step}."
        )
    last_start = n_timepoints - window_length
    starts = np.arange(0, last_start + 1, step)
    windows = _windows_by_series(panel, shape[1:], window_length, starts)
    ends = starts + window_length - 1
    return windows, ends


def _equal_series(X: Any) -> np.ndarray:
    """Return series of one length as an array."""
    refuse_misread(X)
    try:
        return np.asarray(plain_array(X))
    except ValueError as error:
        raise ValueError(
            "X has series of unequal length, whose numbers of windows differ: give the series of "
            "each length by themselves."
        ) from error


def _windows_by_series(
    panel: np.ndarray | StoredPanel,
    series_shape: tuple[int, ...],
    window_length: int,
    starts: np.ndarray,
) -> Iterator[np.ndarray]:
    """Yield the windows of each series that begin at `starts`."""
    for _, block in row_blocks(panel):
        for series in block:
            series = series.reshape(series_shape)
            every = sliding_window_view(series, window_length, axis=-1)
            chosen = every[..., starts, :]
            yield np.moveaxis(chosen, -2, 0)
