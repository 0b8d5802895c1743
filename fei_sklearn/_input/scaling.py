"""Centring and scaling of the channels of a panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fei_sklearn._input.stored import StoredPanel, row_blocks

#: Factor on numbers before they are subtracted: the range of float64 is twice its largest number.
#: Halving is exact except for subnormal numbers.
HALF = 0.5


@dataclass(frozen=True)
class Scaler:
    """Centring and scaling, by each series' own statistics or by those of the training panel.

    Attributes
    ----------
    offset, scale : ndarray of shape (n_channels,), float64, or None
        Statistics of the training panel; None scales each channel of each series by its own.
    """

    offset: np.ndarray | None = None
    scale: np.ndarray | None = None

    @classmethod
    def fit(
        cls,
        values: np.ndarray | StoredPanel,
        scaling: str | None,
    ) -> Scaler:
        """Compute the statistics of a panel that a kind of scaling needs.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
            Validated training panel.
        scaling : {"series", "channel"} or None
            Kind of scaling, as in :class:`fei_sklearn.FEIEmbedder`.

        Returns
        -------
        Scaler
            Fitted scaler.
        """
        if scaling == "series":
            return cls()
        n_channels = values.shape[1]
        if scaling is None:
            return cls(offset=np.zeros(n_channels), scale=np.ones(n_channels))
        statistics = _ChannelStatistics(n_channels)
        for block in _blocks_by_channel(values):
            statistics.update(block)
        return cls(offset=statistics.mean(), scale=statistics.std())

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return a scaled copy of (n_samples, n_channels, n_timepoints), in float64, NaN kept."""
        if self.offset is None or self.scale is None:
            return _standardize_series(values)
        # centred before float32, in which an offset of 1e8 would swallow the signal
        half_offset = HALF * self.offset[:, np.newaxis]
        half_scale = HALF * self.scale[:, np.newaxis]
        scaled = values.astype(np.float64)
        scaled *= HALF
        scaled -= half_offset
        with np.errstate(over="ignore"):  # `preparation` refuses what is too large
            scaled /= half_scale
        return scaled


class _ChannelStatistics:
    """Mean and standard deviation of each channel of a panel, computed in one pass.

    Halves of values are measured from the first of their channel, in units of the largest distance
    from it, as in `_standardize_series`. The unit grows while the panel is read.

    Parameters
    ----------
    n_channels : int
        Number of channels.
    """

    def __init__(self, n_channels: int) -> None:
        shape = (n_channels, 1)
        self._first = np.full(shape, np.nan)
        self._unit = np.zeros(shape)
        self._n_values = np.zeros(shape)
        self._mean = np.zeros(shape)
        self._squares = np.zeros(shape)

    def update(self, values: np.ndarray) -> None:
        """Include more values, an array of shape (n_channels, n_values) in float64."""
        values = HALF * values
        present = ~np.isnan(values)
        is_new = np.isnan(self._first)  # channels without any value so far
        first = _first_value(values, present)
        self._first = np.where(is_new, first, self._first)
        distance = values - np.nan_to_num(self._first)
        self._enlarge_unit(_largest_distance(distance, present))
        distance /= _nonzero(self._unit)
        self._combine(distance, present)

    def mean(self) -> np.ndarray:
        """Return the mean of each channel, 0 for channels without any value."""
        unit = _nonzero(self._unit)
        mean: np.ndarray = np.nan_to_num(self._first) + unit * self._mean
        return mean.ravel() / HALF

    def std(self) -> np.ndarray:
        """Return the standard deviation of each channel, in place of 0 the unit."""
        unit = _nonzero(self._unit)
        variance = self._squares / np.maximum(self._n_values, 1)
        std: np.ndarray = unit * _nonzero(np.sqrt(variance))
        return std.ravel() / HALF

    def _enlarge_unit(self, largest: np.ndarray) -> None:
        """Convert the statistics to a unit of at least the largest distance."""
        unit = np.maximum(self._unit, largest)
        ratio = self._unit / _nonzero(unit)
        self._mean = self._mean * ratio
        self._squares = self._squares * ratio**2
        self._unit = unit

    def _combine(
        self,
        distance: np.ndarray,
        present: np.ndarray,
    ) -> None:
        """Combine the statistics with those of more values (Chan, Golub and LeVeque, 1983).

        `distance` is overwritten.
        """
        n_new = _count(present)
        n_total = self._n_values + n_new
        share = n_new / np.maximum(n_total, 1)
        mean = _sum(distance, present) / np.maximum(n_new, 1)
        distance -= mean
        shift = mean - self._mean
        within = _sum_of_squares(distance, present)
        between = shift**2 * self._n_values * share
        self._squares += within + between
        self._mean = self._mean + shift * share
        self._n_values = n_total


def _blocks_by_channel(values: np.ndarray | StoredPanel) -> Iterator[np.ndarray]:
    """Yield blocks of a panel as arrays of shape (n_channels, n_values), in float64."""
    n_channels = values.shape[1]
    for _, block in row_blocks(values):
        by_channel = np.moveaxis(block, 1, 0)
        yield by_channel.astype(np.float64).reshape(n_channels, -1)


def _standardize_series(values: np.ndarray) -> np.ndarray:
    """Return each channel of each series with mean 0 and standard deviation 1 over time.

    Values may be huge, tiny or far from 0. They are measured from the first value, in units of the
    largest distance from it: a constant series has no deviation at all, and no square overflows.
    """
    values = values.astype(np.float64)
    values *= HALF
    present = ~np.isnan(values)
    n_values = np.maximum(_count(present), 1)
    # in place from here on: an array of a block's size less at the peak
    values -= np.nan_to_num(_first_value(values, present))
    values /= _nonzero(_largest_distance(values, present))
    values -= _sum(values, present) / n_values
    variance = _sum_of_squares(values, present) / n_values
    values /= _nonzero(np.sqrt(variance))
    return values


# Statistics of present values along the last axis, which is kept.


def _count(present: np.ndarray) -> np.ndarray:
    count: np.ndarray = present.sum(axis=-1, keepdims=True)
    return count


def _sum(
    values: np.ndarray,
    present: np.ndarray,
) -> np.ndarray:
    present_values = np.where(present, values, 0.0)
    total: np.ndarray = present_values.sum(axis=-1, keepdims=True)
    return total


def _sum_of_squares(
    values: np.ndarray,
    present: np.ndarray,
) -> np.ndarray:
    squares = np.where(present, values, 0.0)
    squares **= 2
    total: np.ndarray = squares.sum(axis=-1, keepdims=True)
    return total


def _largest_distance(
    distance: np.ndarray,
    present: np.ndarray,
) -> np.ndarray:
    sizes = np.where(present, np.abs(distance), 0.0)
    largest: np.ndarray = sizes.max(axis=-1, keepdims=True)
    return largest


def _first_value(
    values: np.ndarray,
    present: np.ndarray,
) -> np.ndarray:
    """Return the first present value, NaN where there is none."""
    position = present.argmax(axis=-1, keepdims=True)
    return np.take_along_axis(values, position, axis=-1)


def _nonzero(values: np.ndarray) -> np.ndarray:
    """Return values with 1 in place of 0, to divide by."""
    return np.where(values == 0.0, 1.0, values)
