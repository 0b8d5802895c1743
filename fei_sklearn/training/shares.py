"""A batch's series, shared out among the processes of a group."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn import functional as F

from fei_sklearn.data import Batch, Panel, batches_on


@dataclass(frozen=True)
class Group:
    """The processes that train together, and which of them this one is.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        How many there are.
    """

    rank: int
    size: int

    def slice(self, n_samples: int) -> slice | None:
        """Series of a batch that are this process's: as many as the others', or one more.

        None where there are fewer series than processes: each then takes the whole batch.
        """
        if n_samples < self.size:
            return None
        fewest, more = divmod(n_samples, self.size)
        start = self.rank * fewest + min(self.rank, more)
        return slice(start, start + fewest + (self.rank < more))


def processes_here(n_devices: int) -> int:
    """How many of a group's processes are on this machine, as torchrun or SLURM says."""
    n_machines = int(os.environ.get("SLURM_NNODES", 1))
    return int(os.environ.get("LOCAL_WORLD_SIZE", n_devices // n_machines))


@dataclass(frozen=True)
class BatchShare:
    """What one process holds of a batch.

    Attributes
    ----------
    batch : tuple
        Its series and their lengths, padded like the whole batch.
    slice : slice or None
        Where they are in the batch; None if this is the whole batch.
    n_samples : int
        Series of the whole batch.
    lengths : Tensor of shape (n_samples,), or None
        Time points of all of them, where they differ.
    weight : float
        Share of this part in the batch's losses, times the number of processes.
    """

    batch: Batch
    slice: slice | None
    n_samples: int
    lengths: Tensor | None
    weight: float

    def masks(self, objective: Any, generator: torch.Generator) -> Tensor:
        """Masks of these series, of those drawn for the whole batch as one process draws them."""
        masks = draw_masks(objective, self.batch[0], self.n_samples, self.lengths, generator)
        return masks if self.slice is None else masks[self.slice]

    def of_all(self, losses: Any) -> Any:
        """The whole batch's losses, from those of its parts."""
        size = distributed.get_world_size()
        mean = self.weight / size * torch.stack(list(losses)).detach()
        distributed.all_reduce(mean)
        return type(losses)(*mean)


def draw_masks(
    objective: Any,
    x: Tensor,
    n_samples: int,
    lengths: Tensor | None,
    generator: torch.Generator,
) -> Tensor:
    """Masks for `n_samples` series as long, and on the same device, as those of `x`."""
    masks: Tensor = objective.sample_masks(
        x[:1].expand(n_samples, *x.shape[1:]), lengths, generator
    )
    return masks


def shares_on(
    panel: Panel, device: torch.device, group: Group
) -> Callable[[np.ndarray], BatchShare]:
    """Function from the rows of a batch to this process's part of it on a device."""
    read = batches_on(panel, device)

    def part(rows: np.ndarray) -> BatchShare:
        where = group.slice(len(rows))
        x, lengths, *rest = read(rows if where is None else rows[where])
        n_timepoints, every = batch_lengths(panel, rows, device)
        x = F.pad(x, (0, n_timepoints - x.shape[2]))
        lengths = None if every is None else every if where is None else every[where]
        weight = 1.0 if where is None else group.size * len(x) / len(rows)
        return BatchShare((x, lengths, *rest), where, len(rows), every, weight)

    return part


def batch_lengths(
    panel: Panel, rows: np.ndarray, device: torch.device
) -> tuple[int, Tensor | None]:
    """Time points of a batch, and of each of its series if they differ."""
    if panel.lengths is None:
        return panel.max_length, None
    lengths = panel.lengths[rows]
    longest = int(lengths.max())
    every = None if bool((lengths == longest).all()) else torch.from_numpy(lengths).to(device)
    return longest, every


def skip_masks(objective: Any, panel: Panel, rows: np.ndarray, generator: torch.Generator) -> None:
    """Leave a generator as if masks for a batch had been drawn, which another process does."""
    n_timepoints, lengths = batch_lengths(panel, rows, generator.device)
    x = torch.empty((1, 1, n_timepoints), device=generator.device)
    draw_masks(objective, x, len(rows), lengths, generator)
