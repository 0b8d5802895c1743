"""Standardise panels as the paper does: each time index by its statistics over the training set.

Statistics per time index keep the levels and amplitudes of single series, and remove what all
series share at an index, such as a trend. One scalar for all values or statistics per series would
not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

#: Rows that are held in float64 at once.
CHUNK_ROWS = 4096

#: Type -> standard deviation, relative to the mean, below which the type cannot tell values apart.
CONSTANT = {"float32": 1e-6, "float64": 1e-15}


def as_panel(X: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Return series as one array, shorter series padded with NaN at the end.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints), or list of arrays of shape \
(n_channels, n_timepoints_i)
        Series.

    Returns
    -------
    ndarray of shape (n_samples, n_channels, n_timepoints)
        The panel in float32 where float32 is exact for the types of the series, otherwise in
        float64. An array of these types is returned as it is.
    """
    if isinstance(X, np.ndarray):
        return X.astype(_float_type([X.dtype]), copy=False)
    n_channels = X[0].shape[0]
    lengths = [series.shape[-1] for series in X]
    shape = (len(X), n_channels, max(lengths))
    dtype = _float_type([series.dtype for series in X])
    panel = np.full(shape, np.nan, dtype=dtype)
    for row, series in zip(panel, X, strict=True):
        row[:, : series.shape[-1]] = series
    return panel


def _float_type(dtypes: list[np.dtype]) -> type[np.floating]:
    """Return float32 if float32 represents all values of the types, otherwise float64."""
    if all(np.can_cast(dtype, np.float32) for dtype in dtypes):
        return np.float32
    return np.float64


def padded_with_nan(X: np.ndarray, n_timepoints: int) -> np.ndarray:
    """Return a copy of a panel of at least `n_timepoints` time points, NaN after the last."""
    n_missing = max(n_timepoints - X.shape[2], 0)
    unpadded = (0, 0)
    padding = (unpadded, unpadded, (0, n_missing))
    return np.pad(X, padding, constant_values=np.nan)


class TimeIndexStandardiser:
    """Scaling to mean 0 and standard deviation 1 per channel and time index of a training panel.

    An index without a training value, or beyond the training series, has the mean and standard
    deviation of its channel. Where nothing varies the values are only centred.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints), float32 or float64
        Training panel; NaN where a value is missing.

    Attributes
    ----------
    mean, std : ndarray of shape (n_channels, n_timepoints), float64
        Statistics per channel and time index.
    channel_mean, channel_std : ndarray of shape (n_channels,), float64
        Statistics per channel.

    Raises
    ------
    ValueError
        If a panel holds infinities, which would turn into missing values, or the training panel
        holds missing values only.
    """

    def __init__(self, X: np.ndarray) -> None:
        present = ~np.isnan(X)
        if not present.any():
            raise ValueError("The training series hold missing values only: give other series.")
        _check_finite(X)
        mean, std = _mean_and_std(X, present, axis=(0,))
        channel_mean, channel_std = _mean_and_std(X, present, axis=(0, 2))
        has_no_value = ~present.any(axis=0)
        channels, indices = np.nonzero(has_no_value)
        mean[channels, indices] = channel_mean[channels]
        std[channels, indices] = channel_std[channels]
        self.mean = mean
        self.std = std
        self.channel_mean = channel_mean
        self.channel_std = channel_std

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return a standardised copy of a panel.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_channels, n_timepoints)
            Panel of any length; NaN where a value is missing.

        Returns
        -------
        ndarray of the same shape, float32
            Standardised values; NaN stays NaN.
        """
        _check_finite(X)
        n_timepoints = X.shape[2]
        mean = _resized(self.mean, n_timepoints, self.channel_mean)
        std = _resized(self.std, n_timepoints, self.channel_std)
        standardised = np.empty(X.shape, dtype=np.float32)
        for rows in _row_chunks(len(X)):
            centred = X[rows] - mean
            standardised[rows] = centred / std
        return standardised


def _check_finite(X: np.ndarray) -> None:
    infinite = np.isinf(X)
    if not infinite.any():
        return
    positions = np.argwhere(infinite)
    row, channel, index = positions[0]
    value = X[row, channel, index]
    raise ValueError(
        f"Series {row} has the value {value} in channel {channel} at time index {index}: mark "
        "missing values as NaN."
    )


def _mean_and_std(
    X: np.ndarray,
    present: np.ndarray,
    axis: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation in float64: 0 and 1 without values, 1 without variance."""
    n_present = present.sum(axis=axis, keepdims=True)
    count = np.maximum(n_present, 1)
    total = np.sum(X, axis=axis, dtype=np.float64, where=present, keepdims=True)
    mean = total / count
    excess = np.zeros_like(mean)
    squares = np.zeros_like(mean)
    for rows in _row_chunks(len(X)):
        deviation = X[rows] - mean
        is_present = present[rows]
        excess += np.sum(deviation, axis=axis, where=is_present, keepdims=True)
        squares += np.sum(deviation**2, axis=axis, where=is_present, keepdims=True)
    # corrects the rounding of the mean, which would pass for variance (Chan and others, 1983)
    shift = excess / count
    mean += shift
    variance = squares / count - shift**2
    std = np.sqrt(np.maximum(variance, 0.0))
    is_constant = std <= CONSTANT[X.dtype.name] * np.abs(mean)
    std[is_constant] = 1.0
    return mean.squeeze(axis), std.squeeze(axis)


def _row_chunks(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, CHUNK_ROWS):
        stop = start + CHUNK_ROWS
        yield slice(start, stop)


def _resized(
    values: np.ndarray,
    n_timepoints: int,
    beyond: np.ndarray,
) -> np.ndarray:
    """Return values per channel and index for another length, `beyond` after the last index."""
    n_known = values.shape[1]
    if n_timepoints <= n_known:
        return values[:, :n_timepoints]
    column = beyond[:, None]
    n_added = n_timepoints - n_known
    added = np.repeat(column, n_added, axis=1)
    return np.concatenate([values, added], axis=1)
