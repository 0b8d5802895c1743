"""Readout of a dilated front end: statistics of its maps over several views of each series.

The statistics of a kernel's map are, in this order:

max
    the maximum over time
ppv
    the share of time above each of the kernel's thresholds
wins
    the root of the share of steps at which the kernel has the lowest value of its group
peaks
    the root of the mean over time of its values where it has the highest of its group

A group is eight kernels of one dilation. Steps at which no kernel of a group leaves the band of
:data:`fei_sklearn.readout.spec.FLAT_BAND` count for none of them.

Numba computes them on the CPU, a row at a time and about thirty times as fast as torch; torch
computes them on accelerators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from fei_sklearn.data import Panel
from fei_sklearn.encoder.layout import KERNELS_PER_GROUP
from fei_sklearn.encoder.maps import FrontKernels
from fei_sklearn.readout.spec import FRONT_QUANTILES, FRONT_STATISTICS, FrontSpec

#: Univariate series that a thread embeds at once.
ROWS_AT_ONCE = 32

#: Values that are read at once from a panel that is not in memory.
VALUES_AT_ONCE = 2**22

#: Most values of a map from which its thresholds are computed.
MOST_THRESHOLD_VALUES = 75_000


@dataclass(frozen=True)
class PrincipalAxes:
    """Principal axes of standardised features, which shorten an embedding.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,), float32
        Mean and standard deviation of each feature over the series that gave the axes.
    components : ndarray of shape (n_components, n_features), float32
        Principal axes, the one of the largest variance first.
    """

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray

    def project(self, features: np.ndarray) -> np.ndarray:
        """Return the projections of features, of shape (n_samples, n_components), float32.

        Features are standardised, and cut at eight deviations.
        """
        from fei_sklearn.readout.front_numba import write_projections

        loadings = np.ascontiguousarray(self.components.T)
        projections = np.empty((len(features), len(self.components)), dtype=np.float32)
        write_projections(features, self.mean, self.scale, loadings, projections)
        return projections


class FrontReadout:
    """Embedding of series by the front end of an encoder alone.

    Parameters
    ----------
    kernels : FrontKernels
        Kernels of the front end.
    spec : FrontSpec
        Views and groups of kernels.
    thresholds : dict of str to ndarray of shape (n_thresholds, n_dilations * n_kernels)
        Thresholds of "ppv" of each view, of all kernels, see :func:`fit_thresholds`.
    axes : PrincipalAxes, default=None
        Principal axes that the features of each channel are projected on.
    """

    def __init__(
        self,
        kernels: FrontKernels,
        spec: FrontSpec,
        thresholds: Mapping[str, np.ndarray],
        axes: PrincipalAxes | None = None,
    ) -> None:
        self.spec = spec
        self.axes = axes
        self.dilations = kernels.dilations.astype(np.int64)
        n_read = spec.n_groups * KERNELS_PER_GROUP
        self.kernels = _contiguous(kernels.kernels[:, :n_read])
        n_dilations, n_kernels, _ = kernels.kernels.shape
        self.thresholds = {}
        for view in spec.views:
            by_dilation = thresholds[view].reshape(-1, n_dilations, n_kernels)
            of_read = by_dilation[:, :, :n_read].reshape(len(by_dilation), -1)
            self.thresholds[view] = _contiguous(of_read)

    @property
    def n_features(self) -> int:
        """Number of features of a univariate series."""
        if self.axes is not None:
            return len(self.axes.components)
        return self.spec.n_features

    def embed(
        self,
        panel: Panel,
        *,
        device: torch.device,
        n_threads: int = 1,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Embed every series.

        Parameters
        ----------
        panel : Panel
            Series of any number of channels, which are embedded one by one.
        device : torch.device
            Device that computes.
        n_threads : int, default=1
            Threads on the CPU. Any number gives the same bits.
        out : ndarray of shape (n_samples, n_features), default=None
            Array that receives the embeddings; None makes a new one.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32
            Embeddings, channel by channel. An embedding depends on its series alone.

        Raises
        ------
        ValueError
            If a series has fewer than two time points.
        """
        n_samples, n_channels, _ = panel.values.shape
        if out is None:
            shape = (n_samples, n_channels * self.n_features)
            out = np.empty(shape, dtype=np.float32)
        for start, block in _read_blocks(panel):
            self._embed_block(block, out[start : start + len(block)], device, n_threads)
        return out

    def _embed_block(
        self,
        panel: Panel,
        out: np.ndarray,
        device: torch.device,
        n_threads: int,
    ) -> None:
        """Write the embeddings of a panel in memory."""
        if device.type != "cpu":
            self._write(panel, out, device)
            return
        n_channels = panel.values.shape[1]
        n_rows = max(1, ROWS_AT_ONCE // n_channels)
        starts = range(0, len(panel), n_rows)

        def embed_rows(start: int) -> None:
            rows = slice(start, start + n_rows)
            self._write(panel.block(rows), out[rows], device)

        if n_threads == 1:
            for start in starts:
                embed_rows(start)
            return
        with ThreadPoolExecutor(n_threads) as threads:
            list(threads.map(embed_rows, starts))

    def _write(
        self,
        panel: Panel,
        out: np.ndarray,
        device: torch.device,
    ) -> None:
        """Write the embeddings of series in memory, by this thread."""
        values, lengths = _univariate(panel)
        n_statistics = sum(FRONT_STATISTICS.values())
        shape = (len(values), len(self.spec.views), n_statistics, self.spec.n_kernels)
        is_plain = out.dtype == np.float32 and out.flags.c_contiguous
        if self.axes is None and is_plain:
            # without another array, whose fresh pages take a fiftieth of the time
            self._write_features(values, lengths, device, out.reshape(shape))
            return
        features = np.empty(shape, dtype=np.float32)
        self._write_features(values, lengths, device, features)
        embeddings = features.reshape(len(values), -1)
        if self.axes is not None:
            embeddings = self.axes.project(embeddings)
        out[...] = embeddings.reshape(len(panel), -1)

    def _write_features(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        device: torch.device,
        features: np.ndarray,
    ) -> None:
        """Write the statistics of all views, (n_samples, n_views, n_statistics, n_kernels)."""
        from fei_sklearn.readout.front_numba import write_features
        from fei_sklearn.readout.front_torch import features_on_device
        from fei_sklearn.readout.views import see

        for index, view in enumerate(self.spec.views):
            seen, n_seen = see(values, lengths, view)
            of_view = features[:, index]
            bank = (self.kernels, self.dilations, self.thresholds[view])
            if device.type == "cpu":
                write_features(seen, n_seen, *bank, of_view)
            else:
                of_view[...] = features_on_device(seen, n_seen, *bank, device)


def _read_blocks(panel: Panel) -> Iterator[tuple[int, Panel]]:
    """Yield first rows and panels in memory."""
    if isinstance(panel.values, np.ndarray):
        yield 0, panel
        return
    n_samples, n_channels, n_timepoints = panel.values.shape
    n_rows = max(1, VALUES_AT_ONCE // (n_channels * n_timepoints))
    for start in range(0, n_samples, n_rows):
        yield start, panel.block(slice(start, start + n_rows))


def _univariate(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return the channels of series one by one, and the length of each."""
    from fei_sklearn.readout.views import check_lengths

    n_samples, n_channels, n_timepoints = panel.values.shape
    values = _contiguous(panel.values).reshape(-1, n_timepoints)
    lengths = panel.lengths
    if lengths is None:
        lengths = np.full(n_samples, n_timepoints)
    lengths = np.repeat(lengths.astype(np.int64), n_channels)
    check_lengths(lengths)
    return values, lengths


def _contiguous(array: object) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)


def fit_thresholds(
    kernels: FrontKernels,
    panel: Panel,
    views: Sequence[str],
) -> dict[str, np.ndarray]:
    """Return thresholds of "ppv": quantiles of the maps over a panel.

    Parameters
    ----------
    kernels : FrontKernels
        Kernels of the front end.
    panel : Panel
        Series in memory. Those of several channels give their channels one by one.
    views : sequence of str
        Views of the series.

    Returns
    -------
    dict of str to ndarray of shape (n_quantiles, n_dilations * n_kernels), float32
        Quantiles :data:`fei_sklearn.readout.spec.FRONT_QUANTILES` of each kernel's map, for each
        view.
    """
    from fei_sklearn.readout.views import see

    values, lengths = _univariate(panel)
    thresholds = {}
    for view in views:
        seen, n_seen = see(values, lengths, view)
        rows, steps = _sampled_steps(n_seen)
        quantiles = []
        for of_dilation, dilation in zip(kernels.kernels, kernels.dilations, strict=True):
            windows = _windows(seen, rows, steps, int(dilation), of_dilation.shape[1])
            maps = windows @ of_dilation.T
            quantiles.append(np.quantile(maps, FRONT_QUANTILES, axis=0))
        thresholds[view] = np.concatenate(quantiles, axis=1).astype(np.float32)
    return thresholds


def _sampled_steps(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and steps spread evenly over all steps of a panel."""
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    every = -(-total // MOST_THRESHOLD_VALUES)
    positions = np.arange(0, total, every)
    rows = np.searchsorted(ends, positions, side="right")
    starts = ends - lengths
    return rows, positions - starts[rows]


def _windows(
    seen: np.ndarray,
    rows: np.ndarray,
    steps: np.ndarray,
    dilation: int,
    n_taps: int,
) -> np.ndarray:
    """Return the values under the taps of a kernel at some steps, of shape (n_steps, n_taps)."""
    margin = n_taps // 2 * dilation
    padded = np.pad(seen, ((0, 0), (margin, margin)))
    taps = dilation * np.arange(n_taps)
    windows: np.ndarray = padded[rows[:, None], steps[:, None] + taps]
    return windows
