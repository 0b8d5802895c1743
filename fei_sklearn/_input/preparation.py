"""Validated series to scaled float32 series without missing values, ready for a network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fei_sklearn._input.scaling import Scaler
from fei_sklearn._input.stored import StoredPanel, row_blocks, rows_per_block

if TYPE_CHECKING:
    from fei_sklearn.data import Panel

#: Fewest time points that the encoder takes.
MIN_TIMEPOINTS = 2

#: Scaled values that are this large, or larger, overflow in the encoder.
LARGEST = 1e15


def to_panel(
    values: np.ndarray | StoredPanel, scaler: Scaler, at_least: int | None = None
) -> Panel:
    """Scale series and do away with missing values.

    NaN at either end of all channels of a series is padding, and cut off; elsewhere it is filled by
    linear interpolation over time, beyond a channel's first and last value with these. A channel
    without any value is 0 throughout, the value of an average one.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        Validated series.
    scaler : Scaler
        Fitted scaler.
    at_least : int or None, default=None
        Time points to which shorter series are stretched.

    Returns
    -------
    Panel
        Series for a network. Those of a stored panel are looked through once, for their lengths,
        and read again when they are asked for.

    Raises
    ------
    ValueError
        If a value is too large for float32 after scaling.
    """
    from fei_sklearn.data import LazySeries, Panel  # imports torch

    prepare = partial(_prepare, scaler=scaler, at_least=at_least or MIN_TIMEPOINTS)
    shape = (*values.shape[:2], max(values.shape[2], at_least or MIN_TIMEPOINTS))
    stored = isinstance(values, StoredPanel)
    panel = np.zeros((0, *shape[1:]) if stored else shape, dtype=np.float32)
    lengths = np.empty(len(values), dtype=np.int64)
    for rows, part in row_blocks(values):
        scaled, lengths[rows] = prepare(part)
        if not stored:
            panel[rows] = scaled
    longest = int(lengths.max())
    unequal = None if bool((lengths == longest).all()) else lengths
    if isinstance(values, StoredPanel):

        def read(rows: np.ndarray) -> np.ndarray:
            series = np.empty((len(rows), *shape[1:]), dtype=np.float32)
            for piece, part in values.pieces(rows, rows_per_block(values.shape)):
                series[piece] = prepare(part)[0]
            return series

        return Panel(LazySeries(read, (*shape[:2], longest)), unequal)
    if longest < shape[2]:
        panel = np.ascontiguousarray(panel[:, :, :longest])
    return Panel(panel, unequal)


def _prepare(values: np.ndarray, scaler: Scaler, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Series of a chunk, scaled, filled, moved to the front and stretched, and their lengths."""
    scaled = scaler.apply(values)
    lengths = np.full(len(values), values.shape[2], dtype=np.int64)
    for i in np.flatnonzero(np.isnan(scaled).any(axis=(1, 2))):
        scaled[i], lengths[i] = _without_nan(scaled[i])
    if not np.abs(scaled).max() < LARGEST:
        raise ValueError(
            f"X has a value of {np.abs(scaled).max():.3g} after scaling, too large to train on "
            "in float32: use scaling='series' or 'channel', or divide X by a constant."
        )
    out = np.zeros((*values.shape[:2], max(values.shape[2], at_least)), dtype=np.float32)
    _stretch(scaled, lengths, at_least, out)
    return out, np.maximum(lengths, at_least)


def _stretch(values: np.ndarray, lengths: np.ndarray, at_least: int, out: np.ndarray) -> None:
    """Write series into `out`, those below a length drawn out to it by linear interpolation."""
    out[:, :, : values.shape[2]] = values
    for length in np.unique(lengths[lengths < at_least]):
        rows = lengths == length
        position = np.linspace(0.0, length - 1, at_least)
        left = np.minimum(position.astype(np.int64), length - 2)
        low, high = values[rows][:, :, left], values[rows][:, :, left + 1]
        out[rows, :, :at_least] = low + (position - left) * (high - low)


def _without_nan(series: np.ndarray) -> tuple[np.ndarray, int]:
    """Series moved to the front and filled, 0 on the padding behind, and its length."""
    filled = np.zeros_like(series)
    present = np.flatnonzero(~np.isnan(series).all(axis=0))
    if not len(present):
        return filled, MIN_TIMEPOINTS
    series = series[:, present[0] : present[-1] + 1]
    length = max(series.shape[1], MIN_TIMEPOINTS)
    time = np.arange(length)
    for channel, out in zip(series, filled, strict=True):
        known = np.flatnonzero(~np.isnan(channel))
        if len(known):
            out[:length] = np.interp(time, known, channel[known])
    return filled, length
