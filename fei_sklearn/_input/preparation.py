"""Conversion of validated series to scaled float32 series without missing values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fei_sklearn._input.scaling import Scaler
from fei_sklearn._input.stored import StoredPanel, row_blocks, rows_per_block
from fei_sklearn._input.stretching import MIN_TIMEPOINTS, Stretching, stretch

if TYPE_CHECKING:
    from fei_sklearn.data import Panel

#: Scaled values of at least this size overflow in the encoder.
LARGEST = 1e15

#: Converts a row block to its scaled float32 series and their lengths.
Prepare = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def to_panel(
    values: np.ndarray | StoredPanel, scaler: Scaler, stretching: Stretching | None = None
) -> Panel:
    """Scale series, cut off their padding and fill their missing values.

    NaN in all channels at either end of a series is padding and is cut off. Elsewhere NaN is filled
    by linear interpolation over time, and by a channel's first and last value beyond these. A
    channel without any value is filled with 0, the mean of scaled channels.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        Validated series.
    scaler : Scaler
        Fitted scaler.
    stretching : Stretching, default=None
        Lengths to which short series are stretched; None stretches no series.

    Returns
    -------
    Panel
        Series for a network. A stored panel is read once here, for the lengths of its series, and
        again whenever they are used.

    Raises
    ------
    ValueError
        If a value is too large for float32 after scaling.
    """
    stretching = stretching or Stretching()
    prepare = partial(_prepare, scaler=scaler, stretching=stretching)
    if isinstance(values, StoredPanel):
        return _lazy_panel(values, prepare)
    n_timepoints = stretching.length(values.shape[2])
    return _panel(values, prepare, n_timepoints)


def _panel(
    values: np.ndarray,
    prepare: Prepare,
    n_timepoints: int,
) -> Panel:
    """Return the panel of series in memory."""
    from fei_sklearn.data import Panel  # imports torch

    n_samples, n_channels, _ = values.shape
    shape = (n_samples, n_channels, n_timepoints)
    panel = np.zeros(shape, dtype=np.float32)
    lengths = np.empty(n_samples, dtype=np.int64)
    for rows, block in row_blocks(values):
        panel[rows], lengths[rows] = prepare(block)
    longest = int(lengths.max())
    if longest < n_timepoints:
        # a contiguous copy, so that the longer array is freed
        panel = np.ascontiguousarray(panel[:, :, :longest])
    return Panel(panel, _unequal(lengths))


def _lazy_panel(
    values: StoredPanel,
    prepare: Prepare,
) -> Panel:
    """Return a panel that reads its series whenever they are used."""
    from fei_sklearn.data import LazySeries, Panel  # imports torch

    n_samples, n_channels, _ = values.shape
    lengths = np.empty(n_samples, dtype=np.int64)
    for block_rows, block in row_blocks(values):
        _, lengths[block_rows] = prepare(block)
    longest = int(lengths.max())

    def read(rows: np.ndarray) -> np.ndarray:
        longest_read = int(lengths[rows].max(initial=0))
        shape = (len(rows), n_channels, longest_read)
        series = np.empty(shape, dtype=np.float32)
        n_rows = rows_per_block(values.shape)
        for positions, block in values.selected_blocks(rows, n_rows):
            prepared, _ = prepare(block)
            series[positions] = prepared[:, :, :longest_read]
        return series

    series = LazySeries(read, (n_samples, n_channels, longest))
    return Panel(series, _unequal(lengths))


def _unequal(lengths: np.ndarray) -> np.ndarray | None:
    """Return the lengths of series, None if they are all equal."""
    if (lengths == lengths.max()).all():
        return None
    return lengths


def _prepare(
    values: np.ndarray,
    scaler: Scaler,
    stretching: Stretching,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the series of a row block scaled, filled, without padding and stretched.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels, n_timepoints)
        Validated series.
    scaler : Scaler
        Fitted scaler.
    stretching : Stretching
        Lengths to which short series are stretched.

    Returns
    -------
    series : ndarray of shape (n_rows, n_channels, n_stretched), float32
        Series from their first time point on, 0 behind their last.
    lengths : ndarray of shape (n_rows,), int64
        Time points of each series.

    Raises
    ------
    ValueError
        If a value is too large for float32 after scaling.
    """
    n_rows, n_channels, n_timepoints = values.shape
    scaled = scaler.apply(values)
    lengths = np.full(n_rows, n_timepoints, dtype=np.int64)
    has_nan = np.isnan(scaled).any(axis=(1, 2))
    for i in np.flatnonzero(has_nan):
        scaled[i], lengths[i] = _without_nan(scaled[i])
    largest = np.abs(scaled).max()
    if not largest < LARGEST:  # NaN is not
        raise ValueError(
            f"X has a value of {largest:.3g} after scaling, too large to train on in float32: use "
            "scaling='series' or 'channel', or divide X by a constant."
        )
    longest = stretching.length(n_timepoints)
    series = np.zeros((n_rows, n_channels, longest), dtype=np.float32)
    series[:, :, :n_timepoints] = scaled
    stretched_lengths = stretching.lengths(lengths)
    stretch(scaled, lengths, stretched_lengths, out=series)
    return series, stretched_lengths


def _without_nan(series: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a series without padding, filled and 0 behind its end, and its length."""
    filled = np.zeros_like(series)
    is_padding = np.isnan(series).all(axis=0)
    present = np.flatnonzero(~is_padding)
    if len(present) == 0:
        return filled, MIN_TIMEPOINTS
    first = present[0]
    last = present[-1]
    series = series[:, first : last + 1]
    length = max(series.shape[1], MIN_TIMEPOINTS)
    time = np.arange(length)
    for channel, filled_channel in zip(series, filled, strict=True):
        known = np.flatnonzero(~np.isnan(channel))
        if len(known) > 0:
            filled_channel[:length] = np.interp(time, known, channel[known])
    return filled, length
