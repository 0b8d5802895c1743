"""Panels on their way to a network, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fei_sklearn.prefetch import read_ahead

#: Fewest series of which some validate.
MIN_TO_SPLIT = 8

#: Series, lengths or None, and targets if there are any.
Batch = tuple[Any, ...]


class LazySeries:
    """Series that are read, and made ready for a network, when they are asked for.

    It is indexed like the array of shape (n_samples, n_channels, n_timepoints) that it stands for,
    rows first, and gives an array.

    Parameters
    ----------
    read : callable
        From sorted rows of the source, each once, to an array (n_rows, n_channels, at least
        n_timepoints), float32.
    shape : tuple of int
        Of the whole: n_samples, n_channels, n_timepoints.
    """

    def __init__(
        self, read: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int, int]
    ) -> None:
        self._read, self._n_channels, self._n_timepoints = read, shape[1], shape[2]
        self._rows, self._apart = np.arange(shape[0]), False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the array it stands for."""
        return len(self._rows), 1 if self._apart else self._n_channels, self._n_timepoints

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, *rest = key if isinstance(key, tuple) else (key,)
        wanted = self._rows[rows]
        series, channel = divmod(wanted, self._n_channels) if self._apart else (wanted, None)
        once, place = np.unique(series, return_inverse=True)
        values = self._read(once)[:, :, : self._n_timepoints]
        values = values[place] if channel is None else values[place, channel][:, np.newaxis]
        return np.ascontiguousarray(values[(slice(None), *rest)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.float32, copy=False)

    def select(self, rows: np.ndarray) -> LazySeries:
        """Some of the series, still unread."""
        return self._with(self._rows[rows], self._apart)

    def univariate(self) -> LazySeries:
        """Every channel as a series of its own, still unread."""
        n_channels = self.shape[1]
        rows = (self._rows[:, np.newaxis] * n_channels + np.arange(n_channels)).ravel()
        return self._with(rows, True)

    def _with(self, rows: np.ndarray, apart: bool) -> LazySeries:
        other = LazySeries(self._read, (0, self._n_channels, self._n_timepoints))
        other._rows, other._apart = rows, apart
        return other


@dataclass(frozen=True)
class Panel:
    """Series ready for a network: scaled, without missing values.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints), float32, or LazySeries
        Series, zero on padding.
    lengths : ndarray of shape (n_samples,), int64, or None
        Time points of each series, at least 2. None where all rows are used whole.
    targets : ndarray of shape (n_samples, ...), or None
        What is to be predicted, for supervised training.
    """

    values: np.ndarray | LazySeries
    lengths: np.ndarray | None = None
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def max_length(self) -> int:
        """Time points of the longest series."""
        return int(self.values.shape[2] if self.lengths is None else self.lengths.max())

    def select(self, rows: np.ndarray) -> Panel:
        """The series of these rows, unread if they are lazy."""
        if not isinstance(self.values, LazySeries):
            return self.take(rows)
        return Panel(
            self.values.select(rows),
            None if self.lengths is None else self.lengths[rows],
            None if self.targets is None else self.targets[rows],
        )

    def univariate(self) -> Panel:
        """Every channel as a series of its own."""
        n_channels, n_timepoints = self.values.shape[1:]
        lengths = None if self.lengths is None else np.repeat(self.lengths, n_channels)
        if isinstance(self.values, LazySeries):
            return Panel(self.values.univariate(), lengths)
        return Panel(self.values.reshape(-1, 1, n_timepoints), lengths)

    def take(self, rows: np.ndarray) -> Panel:
        """The series of these rows in memory, cut to the longest of them."""
        targets = None if self.targets is None else self.targets[rows]
        if self.lengths is None:
            return Panel(self.values[rows], None, targets)
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        values = np.ascontiguousarray(self.values[rows][:, :, :longest])
        # series of one length need no lengths, and take the faster way
        return Panel(values, None if bool((lengths == longest).all()) else lengths, targets)

    def block(self, rows: slice) -> Panel:
        """Consecutive series in memory, as parts of the whole: with lengths where it has them."""
        targets = None if self.targets is None else self.targets[rows]
        lengths = None if self.lengths is None else self.lengths[rows]
        return Panel(self.values[rows], lengths, targets)

    def batch(self, device: torch.device) -> Batch:
        """The whole panel as tensors on a device: series, lengths or None, and targets if any."""
        arrays = [np.asarray(self.values), self.lengths]
        if self.targets is not None:
            arrays.append(self.targets)
        return tuple(
            None if array is None else torch.from_numpy(np.ascontiguousarray(array)).to(device)
            for array in arrays
        )


def split(n_samples: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and rows for validation, each sorted, at random.

    Parameters
    ----------
    n_samples : int
        Number of series.
    fraction : float
        Share that validates, in [0, 1). A panel of fewer than 8 series gives none away, and two
        at least are left to train on.
    seed : int
        Seed of the draw.

    Returns
    -------
    tuple of ndarray
        Training rows, validation rows.
    """
    n_validation = 0
    if fraction > 0 and n_samples >= MIN_TO_SPLIT:
        n_validation = min(max(1, round(fraction * n_samples)), n_samples - 2)
    order = np.random.default_rng(seed).permutation(n_samples)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


def shuffled_batches(
    n_samples: int, batch_size: int, generator: torch.Generator
) -> Iterator[np.ndarray]:
    """Rows of each batch of one pass over a panel, in random order.

    A trailing batch of a single series, of which batch norm could make nothing, is left out when
    something remains.
    """
    order = torch.randperm(n_samples, generator=generator).numpy()
    for start in range(0, n_samples, batch_size):
        rows = order[start : start + batch_size]
        if len(rows) > 1 or n_samples == 1 or batch_size == 1:
            yield rows


def validation_batches(n_samples: int, batch_size: int, at_least: int = 64) -> Iterator[np.ndarray]:
    """Rows of each batch of a validation pass, in order.

    Fewer than `at_least` series are gone through several times: each time under other masks, which
    steadies the loss of a handful of series.
    """
    rows = np.tile(np.arange(n_samples), -(-at_least // n_samples))
    # of nearly equal size: a last batch of one series would have no variance to explain
    yield from np.array_split(rows, -(-len(rows) // max(batch_size, at_least)))


def n_batches(n_samples: int, batch_size: int) -> int:
    """Number of batches that :func:`shuffled_batches` gives in one pass."""
    n_full, rest = divmod(n_samples, batch_size)
    return n_full + (rest > 1 or (rest == 1 and n_full == 0))


#: Largest share of a device's free memory that a panel may take up.
RESIDENT_SHARE = 0.25


def batches_on(
    panel: Panel, device: torch.device, free_bytes: int | None = None
) -> Callable[[np.ndarray], Batch]:
    """Function from rows to the batch of these rows on a device.

    Parameters
    ----------
    panel : Panel
        Series.
    device : torch.device
        Where the batches go. A panel that fits into a quarter of the free memory of a CUDA device
        is copied there once and for all; else each batch is copied by itself.
    free_bytes : int, default=None
        Free memory of the device; None asks the device.

    Returns
    -------
    callable
        The same batches, wherever the panel is.
    """
    lazy = isinstance(panel.values, LazySeries)
    if free_bytes is None:
        free_bytes = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    n_bytes = 4 * int(np.prod(panel.values.shape))
    if lazy or n_bytes > RESIDENT_SHARE * free_bytes:
        return lambda rows: panel.take(rows).batch(device)
    # on the device without lengths, which the host needs to cut each batch to its longest
    values, *targets = (
        tensor
        for tensor in Panel(panel.values, None, panel.targets).batch(device)
        if tensor is not None
    )

    def resident(rows: np.ndarray) -> Batch:
        index = torch.from_numpy(rows).to(device, non_blocking=True)
        batch = values.index_select(0, index)
        rest = tuple(target.index_select(0, index) for target in targets)
        if panel.lengths is None:
            return (batch, None, *rest)
        lengths = panel.lengths[rows]
        longest = int(lengths.max())
        uniform = bool((lengths == longest).all())
        on_device = None if uniform else torch.from_numpy(lengths).to(device)
        return (batch[:, :, :longest].contiguous(), on_device, *rest)

    return resident


def in_turn(
    panel: Panel, read: Callable[[np.ndarray], Any], rows: Iterable[np.ndarray]
) -> Generator[tuple[np.ndarray, Batch], None, None]:
    """Batches in the order of their rows.

    Those of a panel that is not in memory are read ahead, by a thread of their own, while the last
    one is trained on. The order is drawn there, too.

    Parameters
    ----------
    panel : Panel
        Series.
    read : callable
        From rows to their batch, as :func:`batches_on` gives it.
    rows : iterable of ndarray
        Rows of each batch.

    Yields
    ------
    tuple
        Rows, and their batch.
    """
    batches = ((some, read(some)) for some in rows)
    yield from read_ahead(batches) if isinstance(panel.values, LazySeries) else batches
