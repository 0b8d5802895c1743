"""Series of unequal length that are padded only when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class UnequalSeries:
    """Chunked array of series of unequal length, with NaN behind their ends.

    One long series among many short ones would multiply the memory of the panel. This array takes
    only the memory of the series, and :class:`fei_sklearn._input.stored.StoredPanel` reads it in
    row blocks.

    Parameters
    ----------
    series : sequence of ndarray of shape (n_channels, n_timepoints_i) or (n_timepoints_i,)
        Series with the same number of channels.
    """

    #: One series per chunk.
    chunks = (1,)
    ndim = 3
    dtype = np.dtype(np.float64)

    def __init__(self, series: Sequence[np.ndarray]) -> None:
        self._series = [np.atleast_2d(item) for item in series]
        n_channels = len(self._series[0])
        longest = max(item.shape[1] for item in self._series)
        self._shape = (len(self._series), n_channels, longest)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape with padding: n_samples, n_channels, longest."""
        return self._shape

    def __len__(self) -> int:
        return len(self._series)

    def __getitem__(self, key: slice) -> np.ndarray:
        series = self._series[key]
        shape = (len(series), *self._shape[1:])
        padded = np.full(shape, np.nan)
        for row, item in zip(padded, series, strict=True):
            n_timepoints = item.shape[1]
            row[:, :n_timepoints] = item
        return padded

    def __array__(
        self,
        dtype: Any = None,
        copy: bool | None = None,
    ) -> np.ndarray:
        padded = self[:]
        return padded.astype(dtype or self.dtype, copy=False)
