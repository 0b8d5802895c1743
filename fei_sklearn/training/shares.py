"""Shares of a batch: the series that each process of a group computes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn import functional as F

from fei_sklearn.data import Batch, Panel
from fei_sklearn.objectives.base import Losses, Objective
from fei_sklearn.training.batches import batches_on, lengths_on


@dataclass(frozen=True)
class Group:
    """The processes that train together, and the rank of this process.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    """

    rank: int
    size: int

    def slice(self, n_samples: int) -> slice | None:
        """Return the slice of a batch that this process computes on.

        Shares differ by one series at most. The result is None for fewer series than processes:
        then each process computes on the whole batch.
        """
        if n_samples < self.size:
            return None
        n_each, n_larger = divmod(n_samples, self.size)
        n_larger_before = min(self.rank, n_larger)
        start = self.rank * n_each + n_larger_before
        is_larger = self.rank < n_larger
        return slice(start, start + n_each + is_larger)

    def computes(self, number: int) -> bool:
        """Return whether this process computes on the unshared batch of a number."""
        return number % self.size == self.rank


def processes_here(n_devices: int) -> int:
    """Return how many of a group's processes run on this machine, as torchrun or SLURM sets it."""
    n_machines = int(os.environ.get("SLURM_NNODES", 1))
    n_per_machine = n_devices // n_machines
    return int(os.environ.get("LOCAL_WORLD_SIZE", n_per_machine))


@dataclass(frozen=True)
class BatchShare:
    """The share of one process in a batch.

    Attributes
    ----------
    batch : tuple
        Series of the share, padded like the whole batch, their lengths or None, and targets if
        there are any.
    slice : slice or None
        Position of the share in the batch; None if the share is the whole batch.
    n_samples : int
        Series of the whole batch.
    lengths : Tensor of shape (n_samples,), int64, or None
        Time points of all series of the whole batch; None if they are equal.
    weight : float
        Weight of the share's losses in the batch's losses, times the number of processes.
    """

    batch: Batch
    slice: slice | None
    n_samples: int
    lengths: Tensor | None
    weight: float

    def masks(self, objective: Objective, generator: torch.Generator) -> Tensor:
        """Draw the masks of the whole batch as one process would, and return the share's masks."""
        x = self.batch[0]
        masks = draw_masks(objective, x, self.n_samples, self.lengths, generator)
        if self.slice is None:
            return masks
        return masks[self.slice]

    def whole_batch_losses(self, losses: Losses) -> Losses:
        """Return the losses of the whole batch, from the shares of all processes."""
        own = torch.stack(list(losses)).detach()
        weight = self.weight / distributed.get_world_size()
        total = weight * own
        distributed.all_reduce(total)
        return type(losses)(*total)


def shares_on(
    panel: Panel,
    device: torch.device,
    group: Group,
) -> Callable[[np.ndarray], BatchShare]:
    """Return the function from the rows of a batch to this process's share on a device."""
    read = batches_on(panel, device)

    def share(rows: np.ndarray) -> BatchShare:
        n_samples = len(rows)
        own = group.slice(n_samples)
        if own is None:
            whole = read(rows)
            _, lengths, *_ = whole
            return BatchShare(whole, None, n_samples, lengths, weight=1.0)
        x, _, *targets = read(rows[own])
        n_timepoints, lengths = batch_lengths(panel, rows, device)
        n_padding = n_timepoints - x.shape[2]
        padded = F.pad(x, (0, n_padding))
        own_lengths = None if lengths is None else lengths[own]
        return BatchShare(
            batch=(padded, own_lengths, *targets),
            slice=own,
            n_samples=n_samples,
            lengths=lengths,
            weight=group.size * len(x) / n_samples,
        )

    return share


def batch_lengths(
    panel: Panel,
    rows: np.ndarray,
    device: torch.device,
) -> tuple[int, Tensor | None]:
    """Return the time points of a batch, and of each of its series if they differ."""
    if panel.lengths is None:
        return panel.max_length, None
    lengths = panel.lengths[rows]
    longest = int(lengths.max())
    return longest, lengths_on(lengths, device)


def draw_masks(
    objective: Objective,
    x: Tensor,
    n_samples: int,
    lengths: Tensor | None,
    generator: torch.Generator,
) -> Tensor:
    """Return masks for `n_samples` series with the channels, time points and device of `x`."""
    _, n_channels, n_timepoints = x.shape
    series = x[:1].expand(n_samples, n_channels, n_timepoints)
    return objective.sample_masks(series, lengths, generator)


def skip_masks(
    objective: Objective,
    panel: Panel,
    rows: np.ndarray,
    generator: torch.Generator,
) -> None:
    """Advance a generator past the masks of a batch that another process draws."""
    n_timepoints, lengths = batch_lengths(panel, rows, generator.device)
    n_samples = len(rows)
    x = torch.empty((1, 1, n_timepoints), device=generator.device)
    draw_masks(objective, x, n_samples, lengths, generator)
