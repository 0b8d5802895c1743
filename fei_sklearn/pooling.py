"""From maps over time to one vector a series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fei_sklearn.encoder import valid_mask

STATISTICS = ("mean", "max", "std")


def pool(maps: Tensor, n_steps: Tensor | None = None, statistic: str = "mean") -> Tensor:
    """Summarise maps over time, padding left out.

    Parameters
    ----------
    maps : Tensor of shape (n_samples, width, n_steps)
        Features over time, zero on padding.
    n_steps : Tensor of shape (n_samples,), default=None
        Steps of each series, where they differ.
    statistic : {"mean", "max", "std"}, default="mean"
        "mean" is the paper's; "std" is the population standard deviation.

    Returns
    -------
    Tensor of shape (n_samples, width)
        One vector a series.
    """
    if statistic == "max":
        if n_steps is not None:
            padding = valid_mask(n_steps, maps.shape[-1]) == 0
            maps = maps.masked_fill(padding, -torch.inf)
        return maps.amax(dim=-1)
    mean = _mean(maps, n_steps)
    if statistic == "mean":
        return mean
    return _mean((maps - mean[:, :, None]).square(), n_steps).sqrt()


def _mean(maps: Tensor, n_steps: Tensor | None) -> Tensor:
    if n_steps is None:
        return maps.mean(dim=-1)
    valid = valid_mask(n_steps, maps.shape[-1], maps.dtype)
    return (maps * valid).sum(dim=-1) / n_steps[:, None].to(maps.dtype)


def pool_stages(
    stages: Sequence[tuple[Tensor, Tensor | None]], statistics: Sequence[str]
) -> Tensor:
    """Statistics of several stages side by side, stage by stage and then statistic by statistic."""
    return torch.cat([pool(*stage, s) for stage in stages for s in statistics], dim=1)
