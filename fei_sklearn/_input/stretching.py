"""Stretching of short series, which leaves the others as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fei_sklearn._input.stored import StoredPanel, row_blocks

#: Fewest time points that the encoder accepts.
MIN_TIMEPOINTS = 2


@dataclass(frozen=True)
class Stretching:
    """Lengths to which short series are stretched.

    Attributes
    ----------
    at_least : int or None, default=None
        Time points to which series are stretched. Longer series stay as they are; None stretches
        no series.
    factor : float or None, default=None
        Factor for all series of a panel, which keeps their time on one scale. None stretches every
        short series to `at_least` by itself.
    """

    at_least: int | None = None
    factor: float | None = None

    @classmethod
    def fit(
        cls,
        values: np.ndarray | StoredPanel,
        at_least: int | None,
    ) -> Stretching:
        """Return the stretching that brings the longest series of a panel to some time points.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
            Validated series. NaN in all channels at either end is padding.
        at_least : int or None
            Time points of the longest series after stretching, if it has fewer; None stretches no
            series.
        """
        if at_least is None:
            return cls()
        return cls(at_least, max(1.0, at_least / longest_length(values)))

    def lengths(self, lengths: np.ndarray) -> np.ndarray:
        """Return the time points of series after stretching, of shape (n_samples,), int64."""
        at_least = self.at_least or MIN_TIMEPOINTS
        stretched = np.full(len(lengths), at_least)
        if self.factor is not None:
            multiplied = np.rint(self.factor * lengths).astype(np.int64)
            stretched = np.minimum(multiplied, at_least)
        longer: np.ndarray = np.maximum(lengths, stretched)
        return longer

    def length(self, n_timepoints: int) -> int:
        """Return the time points of one series after stretching."""
        return int(self.lengths(np.array([n_timepoints]))[0])


def longest_length(values: np.ndarray | StoredPanel) -> int:
    """Return the time points of the longest series of a panel, without padding."""
    n_timepoints = values.shape[2]
    longest = MIN_TIMEPOINTS
    for _, block in row_blocks(values):
        is_present = ~np.all(np.isnan(block), axis=1)
        first = is_present.argmax(axis=1)
        behind_last = n_timepoints - is_present[:, ::-1].argmax(axis=1)
        lengths = (behind_last - first) * is_present.any(axis=1)
        longest = max(longest, int(lengths.max()))
        if longest == n_timepoints:
            break
    return longest


def stretch(
    values: np.ndarray,
    lengths: np.ndarray,
    stretched_lengths: np.ndarray,
    *,
    out: np.ndarray,
) -> None:
    """Write the series that change their length into `out`, by linear interpolation.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels, n_timepoints)
        Series from their first time point on.
    lengths, stretched_lengths : ndarray of shape (n_rows,), int64
        Time points of each series, before and after.
    out : ndarray of shape (n_rows, n_channels, n_stretched), float32
        Array whose rows of stretched series are written.
    """
    is_longer = stretched_lengths > lengths
    for length in np.unique(lengths[is_longer]):
        rows = is_longer & (lengths == length)
        new_length = stretched_lengths[rows][0]
        position = np.linspace(0.0, length - 1, new_length)
        left = np.minimum(position.astype(np.int64), length - 2)
        weight = position - left
        # indexed twice, as an array of all rows would raise the peak of memory
        start = values[rows][:, :, left]
        end = values[rows][:, :, left + 1]
        out[rows, :, :new_length] = start + weight * (end - start)
