"""Centre and scale the channels of a panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fei_sklearn._input.stored import StoredPanel, row_blocks


@dataclass(frozen=True)
class Scaler:
    """Centre and scale, by each series' own statistics or by those of the training panel.

    Attributes
    ----------
    offset, scale : ndarray of shape (n_channels,), float64, or None
        Statistics of the training panel; None takes those of each channel of each series.
    """

    offset: np.ndarray | None = None
    scale: np.ndarray | None = None

    @classmethod
    def fit(cls, values: np.ndarray | StoredPanel, scaling: str | None) -> Scaler:
        """Statistics that `scaling` asks for ("series", "channel" or None)."""
        n_channels = values.shape[1]
        if scaling == "series":
            return cls()
        if scaling is None:
            return cls(np.zeros(n_channels), np.ones(n_channels))
        return cls(*_channel_statistics(values))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Scaled copy of (n_samples, n_channels, n_timepoints), in float64: NaN stays NaN."""
        if self.offset is None or self.scale is None:
            statistics = _Statistics.of(values)
            return (statistics.distance - statistics.mean) / statistics.std
        # centred before float32, in which an offset of 1e8 would swallow the signal
        centred = values.astype(np.float64) - self.offset[:, np.newaxis]
        return centred / self.scale[:, np.newaxis]


def _channel_statistics(values: np.ndarray | StoredPanel) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of a panel, in one pass, as in `_Statistics`."""
    n_channels = values.shape[1]
    first, unit = np.full(n_channels, np.nan), np.zeros(n_channels)
    n, mean, square = np.zeros(n_channels), np.zeros(n_channels), np.zeros(n_channels)
    for chunk in _by_channel(values):
        present = ~np.isnan(chunk)
        earliest = np.take_along_axis(chunk, present.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
        first = np.where(np.isnan(first), earliest, first)
        distance = chunk - np.nan_to_num(first)[:, np.newaxis]
        largest = np.where(present, np.abs(distance), 0.0).max(axis=1)
        wider = np.maximum(unit, largest)
        scale = np.where(wider > 0.0, wider, 1.0)
        # what was summed before, in the unit of now
        mean, square, unit = mean * (unit / scale), square * (unit / scale) ** 2, wider
        distance /= scale[:, np.newaxis]
        n_new = present.sum(axis=1)
        total = n + n_new
        new = np.where(present, distance, 0.0).sum(axis=1) / np.maximum(n_new, 1)
        within = (np.where(present, distance - new[:, np.newaxis], 0.0) ** 2).sum(axis=1)
        share = n_new / np.maximum(total, 1)
        # Chan, Golub and LeVeque (1983): statistics of both parts from those of each
        square += within + (new - mean) ** 2 * n * share
        mean, n = mean + (new - mean) * share, total
    unit[unit == 0.0] = 1.0
    std = np.sqrt(square / np.maximum(n, 1))
    std[std == 0.0] = 1.0
    return np.nan_to_num(first) + unit * mean, unit * std


def _by_channel(values: np.ndarray | StoredPanel) -> Iterator[np.ndarray]:
    """Parts of a panel, of shape (n_channels, n_values), in float64."""
    for _, part in row_blocks(values):
        yield np.moveaxis(part, 1, 0).astype(np.float64).reshape(values.shape[1], -1)


@dataclass(frozen=True)
class _Statistics:
    """Mean and standard deviation over time, of values that may be huge, tiny or far from 0.

    They are those of `distance`, the values relative to the first and in units of the largest
    distance from it: a constant series has none at all, and no value is lost in squaring.
    """

    first: np.ndarray
    unit: np.ndarray
    distance: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Statistics:
        values = values.astype(np.float64)
        present = ~np.isnan(values)
        n = np.maximum(present.sum(axis=-1, keepdims=True), 1)
        first = np.take_along_axis(values, present.argmax(axis=-1, keepdims=True), axis=-1)
        first = np.nan_to_num(first)
        distance = values - first
        unit = np.where(present, np.abs(distance), 0.0).max(axis=-1, keepdims=True)
        unit[unit == 0.0] = 1.0
        distance /= unit
        mean = np.where(present, distance, 0.0).sum(axis=-1, keepdims=True) / n
        square = np.where(present, distance - mean, 0.0) ** 2
        std = np.sqrt(square.sum(axis=-1, keepdims=True) / n)
        std[std == 0.0] = 1.0
        return cls(first, unit, distance, mean, std)
