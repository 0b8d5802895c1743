"""Batches of an epoch: which rows train and validate, in which order, and how they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fei_sklearn.data import Batch, LazySeries, Panel, on_device, unequal
from fei_sklearn.training.prefetch import read_ahead

T = TypeVar("T")

#: Fewest series of a panel that gives some to validation.
MIN_TO_SPLIT = 8

#: Fewest series that a validation pass goes through, counted with repetitions.
MIN_VALIDATED = 64

#: Largest share of a device's free memory that a panel may take up.
RESIDENT_SHARE = 0.25

#: Points of a padded batch, per point of the panel, above which a large batch is refused.
MAX_GROWTH = 16

#: Points of a batch below which padding does no harm: their maps take about one gigabyte.
SMALL_BATCH = 2**21

#: Function from rows of a panel to their batch.
ReadBatch = Callable[[np.ndarray], Batch]


def split(
    n_samples: int,
    fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows at random into rows for training and rows for validation.

    Parameters
    ----------
    n_samples : int
        Number of series.
    fraction : float
        Share that validates, in [0, 1). All series of a panel of fewer than 8 series train, and at
        least two always do.
    seed : int
        Seed of the draw.

    Returns
    -------
    tuple of ndarray
        Training rows and validation rows, each sorted.
    """
    n_validation = 0
    if fraction > 0 and n_samples >= MIN_TO_SPLIT:
        n_wanted = round(fraction * n_samples)
        n_validation = min(max(1, n_wanted), n_samples - 2)
    generator = np.random.default_rng(seed)
    order = generator.permutation(n_samples)
    training = np.sort(order[n_validation:])
    validation = np.sort(order[:n_validation])
    return training, validation


def shuffled_batches(
    n_samples: int,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[np.ndarray]:
    """Yield the rows of each batch of one pass over a panel, in random order.

    A last batch of a single series is left out unless it is the only one or `batch_size` is 1:
    batch norm has no variance to divide by there.

    Parameters
    ----------
    n_samples, batch_size : int
        Series of the panel, and of a batch.
    generator : torch.Generator
        Source of the order, on the CPU.

    Yields
    ------
    ndarray of int64
        Rows of a batch.
    """
    permutation = torch.randperm(n_samples, generator=generator)
    order = permutation.numpy()
    singles_allowed = n_samples == 1 or batch_size == 1
    for start in range(0, n_samples, batch_size):
        rows = order[start : start + batch_size]
        if len(rows) > 1 or singles_allowed:
            yield rows


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return the number of batches that :func:`shuffled_batches` yields in one pass."""
    n_full, rest = divmod(n_samples, batch_size)
    has_smaller_batch = rest > 1 or (rest == 1 and n_full == 0)
    return n_full + has_smaller_batch


def validation_batches(
    n_samples: int,
    batch_size: int,
    at_least: int = MIN_VALIDATED,
) -> Iterator[np.ndarray]:
    """Yield the rows of each batch of a validation pass, in order.

    A panel of fewer than `at_least` series is repeated. Each repetition has other masks, which
    steadies the loss of a handful of series. Batches are of nearly equal size, because a last batch
    of one series would have no variance to explain.

    Parameters
    ----------
    n_samples, batch_size : int
        Series of the panel, and of a batch.
    at_least : int, default=64
        Fewest series of the pass, and of the largest batch.

    Yields
    ------
    ndarray of int
        Rows of a batch.
    """
    n_repetitions = _ceil_divide(at_least, n_samples)
    once = np.arange(n_samples)
    rows = np.tile(once, n_repetitions)
    largest = max(batch_size, at_least)
    n_validation_batches = _ceil_divide(len(rows), largest)
    yield from np.array_split(rows, n_validation_batches)


def check_padding(panel: Panel, batch_size: int) -> None:
    """Raise if one long series would multiply the memory of a batch of short ones.

    Parameters
    ----------
    panel : Panel
        Series.
    batch_size : int
        Series per batch.

    Raises
    ------
    ValueError
        If a batch that is padded to the longest series is many times as large as the whole panel.
    """
    n_rows = min(batch_size, len(panel))
    longest = panel.max_length
    if _is_padding_harmless(panel, n_rows, longest):
        return
    raise ValueError(
        f"A batch of {n_rows} series is padded to the longest series, of {longest:,} time points, "
        "and would be many times as large as the whole panel. Cut long series into windows of "
        "some thousand time points, leave them to transform, or give a smaller batch_size."
    )


def rows_to_pad(panel: Panel, rows: np.ndarray) -> np.ndarray:
    """Return the rows of a sample, without the longest series if they would multiply its memory."""
    if panel.lengths is None:
        return rows
    by_length = rows[np.argsort(panel.lengths[rows], kind="stable")]
    while not _is_padding_harmless(panel, len(by_length), int(panel.lengths[by_length[-1]])):
        by_length = by_length[:-1]
    return np.sort(by_length)


def _is_padding_harmless(panel: Panel, n_rows: int, n_timepoints: int) -> bool:
    """Return whether a padded batch is small, or not many times as large as its panel."""
    if panel.lengths is None:
        return True
    n_padded = n_rows * n_timepoints
    growth = n_padded / int(panel.lengths.sum())
    return growth <= MAX_GROWTH or n_padded <= SMALL_BATCH


def batches_on(
    panel: Panel,
    device: torch.device,
    free_bytes: int | None = None,
) -> ReadBatch:
    """Return the function from rows to their batch on a device.

    A panel that fits into a quarter of the free memory of a CUDA device is copied there once.
    Otherwise each batch is copied when it is read. The batches are the same.

    Parameters
    ----------
    panel : Panel
        Series.
    device : torch.device
        Device of the batches.
    free_bytes : int, default=None
        Free memory of the device; None measures it.

    Returns
    -------
    callable
        Function from an array of rows to series, lengths or None, and targets if there are any.
    """
    if _fits(panel, device, free_bytes):
        return _resident(panel, device)
    return lambda rows: panel.take(rows).batch(device)


def read_in_order(
    panel: Panel,
    read: Callable[[np.ndarray], T],
    rows: Iterable[np.ndarray],
) -> Generator[tuple[np.ndarray, T], None, None]:
    """Yield batches in the order of their rows.

    A thread reads the batches of lazy series ahead, while the caller trains on the batch before.
    That thread also iterates over `rows`.

    Parameters
    ----------
    panel : Panel
        Series.
    read : callable
        Function from rows to their batch, or to a share of it.
    rows : iterable of ndarray
        Rows of each batch.

    Yields
    ------
    tuple
        Rows of a batch, and the batch.
    """
    batches = ((batch_rows, read(batch_rows)) for batch_rows in rows)
    if isinstance(panel.values, LazySeries):
        yield from read_ahead(batches)
    else:
        yield from batches


def _fits(
    panel: Panel,
    device: torch.device,
    free_bytes: int | None,
) -> bool:
    """Return whether a panel may be copied to a device as a whole."""
    if isinstance(panel.values, LazySeries):
        return False
    if free_bytes is None:
        free_bytes = 0
        if device.type == "cuda":
            free_bytes, _ = torch.cuda.mem_get_info(device)
    n_bytes = 4 * math.prod(panel.values.shape)
    return n_bytes <= RESIDENT_SHARE * free_bytes


def _resident(panel: Panel, device: torch.device) -> ReadBatch:
    """Copy a panel to a device, and return the function from rows to their batch."""
    # lengths stay on the host, which needs them to cut each batch to its longest series
    without_lengths = Panel(panel.values, None, panel.targets, panel.weights)
    values, _, *targets = without_lengths.batch(device)

    def read(rows: np.ndarray) -> Batch:
        index = on_device(rows, device)
        series = values.index_select(0, index)
        batch_targets = [target.index_select(0, index) for target in targets]
        if panel.lengths is None:
            return series, None, *batch_targets
        lengths = panel.lengths[rows]
        longest = int(lengths.max())
        series = series[:, :, :longest].contiguous()
        return series, lengths_on(lengths, device), *batch_targets

    return read


def lengths_on(lengths: np.ndarray, device: torch.device) -> Tensor | None:
    """Return lengths on a device, or None if all of them are equal."""
    if unequal(lengths) is None:
        return None
    return on_device(lengths, device)


def _ceil_divide(number: int, divisor: int) -> int:
    return -(-number // divisor)
