"""Input as the paper standardises it: each time index by its own statistics over the training set.

Neither one scalar nor a series' own statistics: levels and amplitudes are kept, and what all series
share at an index, such as a trend, goes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Rows that are held in float64 at once.
CHUNK_ROWS = 4096

#: Spread, relative to the mean, below which float32 cannot tell values apart.
CONSTANT = 1e-6


def as_panel(X: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Series as one array, those that end early with NaN behind.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints), or list of arrays of shape \
(n_channels, n_timepoints_i)
        Series.

    Returns
    -------
    ndarray of shape (n_samples, n_channels, n_timepoints), float32
        The panel.
    """
    if isinstance(X, np.ndarray):
        return X
    longest = max(series.shape[-1] for series in X)
    panel = np.full((len(X), X[0].shape[0], longest), np.nan, dtype=np.float32)
    for row, series in zip(panel, X, strict=True):
        row[:, : series.shape[-1]] = series
    return panel


class TimeIndexStandardiser:
    """Mean 0 and standard deviation 1 for each channel and time index of the training panel.

    An index without a training value, or beyond the training series, takes its channel's mean and
    standard deviation; where nothing varies the values are only centred.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        Training panel; NaN where a value is missing.

    Raises
    ------
    ValueError
        If a panel holds infinities, which would turn into missing values, or the training panel
        nothing but missing ones.
    """

    def __init__(self, X: np.ndarray) -> None:
        present = ~np.isnan(X)
        if not present.any():
            raise ValueError("The training series have no value that is not missing.")
        _check_finite(X)
        self.mean, self.std = _moments(X, present, axis=(0,))
        self.channel_mean, self.channel_std = _moments(X, present, axis=(0, 2))
        empty = ~present.any(axis=0)
        self.mean[empty] = np.broadcast_to(self.channel_mean[:, None], empty.shape)[empty]
        self.std[empty] = np.broadcast_to(self.channel_std[:, None], empty.shape)[empty]

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Standardised copy of a panel of any length, float32; NaN stays NaN."""
        _check_finite(X)
        length, known = X.shape[2], self.mean.shape[1]
        beyond = ((0, 0), (0, max(length - known, 0)))
        mean = np.pad(self.mean[:, :length], beyond)
        std = np.pad(self.std[:, :length], beyond)
        mean[:, known:], std[:, known:] = self.channel_mean[:, None], self.channel_std[:, None]
        standardised = np.empty(X.shape, dtype=np.float32)
        for start in range(0, len(X), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            standardised[rows] = (X[rows] - mean) / std
        return standardised


def _check_finite(X: np.ndarray) -> None:
    infinite = np.isinf(X)
    if infinite.any():
        row, channel, index = np.argwhere(infinite)[0]
        raise ValueError(
            f"Series {row} has the value {X[row, channel, index]} in channel {channel} at time "
            f"index {index}: mark what is missing as NaN."
        )


def _moments(
    X: np.ndarray, present: np.ndarray, axis: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in float64; 0 and 1 without values, 1 without spread."""
    count = np.maximum(present.sum(axis=axis, keepdims=True), 1)
    mean = np.sum(X, axis=axis, dtype=np.float64, where=present, keepdims=True) / count
    square = np.zeros_like(mean)
    for start in range(0, len(X), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        deviation = X[rows] - mean
        square += np.sum(deviation**2, axis=axis, where=present[rows], keepdims=True)
    std = np.sqrt(square / count)
    std[std <= CONSTANT * np.abs(mean)] = 1.0
    return mean.squeeze(axis), std.squeeze(axis)
