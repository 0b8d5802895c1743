"""Panels on their way to a network, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

#: Fewest series of which some validate.
MIN_TO_SPLIT = 8

#: Series, lengths or None, and targets if there are any.
Batch = tuple[Any, ...]


@dataclass(frozen=True)
class Panel:
    """Series ready for a network: scaled, without missing values.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints), float32
        Series, zero on padding.
    lengths : ndarray of shape (n_samples,), int64, or None
        Time points of each series, at least 2. None where all rows are used whole.
    targets : ndarray of shape (n_samples, ...), or None
        What is to be predicted, for supervised training.
    """

    values: np.ndarray
    lengths: np.ndarray | None = None
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def max_length(self) -> int:
        """Time points of the longest series."""
        return int(self.values.shape[2] if self.lengths is None else self.lengths.max())

    def take(self, rows: np.ndarray) -> Panel:
        """The series of these rows, cut to the longest of them."""
        targets = None if self.targets is None else self.targets[rows]
        if self.lengths is None:
            return Panel(self.values[rows], None, targets)
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        values = np.ascontiguousarray(self.values[rows][:, :, :longest])
        # series of one length need no lengths, and take the faster way
        return Panel(values, None if bool((lengths == longest).all()) else lengths, targets)

    def batch(self, device: torch.device) -> Batch:
        """The whole panel as tensors on a device: series, lengths or None, and targets if any."""
        arrays = [self.values, self.lengths]
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
