"""Panels: series ready for a network, in memory or read from their source on demand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Devices that may read an array after the call that copies it: Metal does, and of XPU no promise
#: is documented. CUDA has the array in a buffer of its own by then.
LATE_READERS = ("mps", "xpu")

#: Series, their lengths or None, and targets and weights if the panel has any.
Batch = tuple[Any, ...]


class LazySeries:
    """Series that are read from their source, and prepared for a network, only when indexed.

    Indexing works as on the array of shape (n_samples, n_channels, n_timepoints) that the series
    stand for: the first index selects series. Indexing returns an array.

    Parameters
    ----------
    read : callable
        Function from sorted, distinct rows of the source to a float32 array of shape (n_rows,
        n_channels, n_read). Time points beyond `n_timepoints` are cut off, and missing ones are 0,
        so the function may stop at the longest of its rows.
    shape : tuple of int
        Shape of the array that the series stand for: n_samples, n_channels, n_timepoints.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, int, int],
    ) -> None:
        n_samples, n_channels, n_timepoints = shape
        self._read = read
        self._n_channels = n_channels
        self._n_timepoints = n_timepoints
        self._is_univariate = False
        #: Rows of the source or, if univariate, `row * n_channels + channel`.
        self._rows = np.arange(n_samples)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the array that the series stand for."""
        n_samples = len(self._rows)
        n_channels = self._n_channels
        if self._is_univariate:
            n_channels = 1
        return n_samples, n_channels, self._n_timepoints

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        if not isinstance(key, tuple):
            key = (key,)
        index, *other_axes = key
        rows = self._rows[index]
        series = self._padded(self._read_rows(rows))
        all_rows = slice(None)
        selected = series[(all_rows, *other_axes)]
        return np.ascontiguousarray(selected)

    def __array__(
        self,
        dtype: Any = None,
        copy: bool | None = None,
    ) -> np.ndarray:
        values = self[:]
        return values.astype(dtype or np.float32, copy=False)

    def cut(self, rows: np.ndarray, n_timepoints: int) -> np.ndarray:
        """Return some of the series up to a time point behind which they are all 0."""
        series = self._read_rows(self._rows[rows])
        return np.ascontiguousarray(series[:, :, :n_timepoints])

    def select(self, rows: np.ndarray) -> LazySeries:
        """Return some of the series without reading them."""
        selected = copy.copy(self)
        selected._rows = self._rows[rows]
        return selected

    def univariate(self) -> LazySeries:
        """Return each channel as a series, without reading any."""
        _, n_channels, _ = self.shape
        channels = np.arange(n_channels)
        first_channels = self._rows * n_channels
        rows = np.add.outer(first_channels, channels)
        separated = copy.copy(self)
        separated._rows = rows.ravel()
        separated._is_univariate = True
        return separated

    def _read_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return series in the order of `rows`; each row of the source is read once."""
        series = rows
        if self._is_univariate:
            series, channels = np.divmod(rows, self._n_channels)
        distinct, positions = np.unique(series, return_inverse=True)
        values = self._read(distinct)
        values = values[:, :, : self._n_timepoints]
        if self._is_univariate:
            values = values[positions, channels]
            return values[:, np.newaxis]
        return values[positions]

    def _padded(self, series: np.ndarray) -> np.ndarray:
        """Return series with zeros for the time points that were not read."""
        n_missing = self._n_timepoints - series.shape[-1]
        if n_missing == 0:
            return series
        widths = [(0, 0)] * series.ndim
        widths[-1] = (0, n_missing)
        return np.pad(series, widths)


@dataclass(frozen=True)
class Panel:
    """Series ready for a network: scaled, without missing values.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints), float32, or LazySeries
        Series, zero on padding.
    lengths : ndarray of shape (n_samples,), int64, or None
        Time points of each series, at least 2. None where all series are used whole.
    targets : ndarray of shape (n_samples, ...), or None
        Targets of supervised training.
    weights : ndarray of shape (n_samples,), float32, or None
        Weights of the series in the loss of supervised training; None gives all the same weight.
    """

    values: np.ndarray | LazySeries
    lengths: np.ndarray | None = None
    targets: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def max_length(self) -> int:
        """Time points of the longest series."""
        if self.lengths is None:
            return int(self.values.shape[2])
        return int(self.lengths.max())

    def select(self, rows: np.ndarray) -> Panel:
        """Return some of the series; lazy series stay unread."""
        if not isinstance(self.values, LazySeries):
            return self.take(rows)
        values = self.values.select(rows)
        lengths = _indexed(self.lengths, rows)
        targets = _indexed(self.targets, rows)
        weights = _indexed(self.weights, rows)
        return Panel(values, lengths, targets, weights)

    def univariate(self) -> Panel:
        """Return each channel as a series, without targets."""
        n_channels, n_timepoints = self.values.shape[1:]
        lengths = self.lengths
        if lengths is not None:
            lengths = np.repeat(lengths, n_channels)
        if isinstance(self.values, LazySeries):
            return Panel(self.values.univariate(), lengths)
        values = self.values.reshape(-1, 1, n_timepoints)
        return Panel(values, lengths)

    def take(self, rows: np.ndarray) -> Panel:
        """Return some of the series in memory, cut to the longest of them.

        Series of one length have no `lengths` afterwards.
        """
        targets = _indexed(self.targets, rows)
        weights = _indexed(self.weights, rows)
        if self.lengths is None:
            return Panel(self.values[rows], None, targets, weights)
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        if isinstance(self.values, LazySeries):
            values = self.values.cut(rows, longest)
        else:
            values = np.ascontiguousarray(self.values[rows, :, :longest])
        return Panel(values, unequal(lengths), targets, weights)

    def block(self, rows: slice) -> Panel:
        """Return consecutive series in memory, uncut, with lengths if the panel has them."""
        values = self.values[rows]
        lengths = _indexed(self.lengths, rows)
        targets = _indexed(self.targets, rows)
        weights = _indexed(self.weights, rows)
        return Panel(values, lengths, targets, weights)

    def batch(self, device: torch.device) -> Batch:
        """Return the whole panel as tensors on a device.

        Parameters
        ----------
        device : torch.device
            Device of the tensors.

        Returns
        -------
        tuple
            Series, lengths or None, and targets and weights if there are any.
        """
        values = np.asarray(self.values)
        series = on_device(values, device)
        lengths = None
        if self.lengths is not None:
            lengths = on_device(self.lengths, device)
        if self.targets is None:
            return series, lengths
        targets = on_device(self.targets, device)
        if self.weights is None:
            return series, lengths, targets
        weights = on_device(self.weights, device)
        return series, lengths, targets, weights


def unequal(lengths: np.ndarray) -> np.ndarray | None:
    """Return lengths if they differ, and None otherwise: networks are faster without lengths."""
    first = lengths[0]
    if np.all(lengths == first):
        return None
    return lengths


def _indexed(
    array: np.ndarray | None,
    rows: np.ndarray | slice,
) -> np.ndarray | None:
    if array is None:
        return None
    return array[rows]


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return an array as a tensor on a device, and do not wait for the device.

    Parameters
    ----------
    array : ndarray
        The array, which the caller may change afterwards unless the device is the CPU.
    device : torch.device
        Device of the tensor.
    """
    contiguous = np.ascontiguousarray(array)
    tensor = torch.from_numpy(contiguous)
    return tensor.to(device, non_blocking=device.type not in LATE_READERS)
