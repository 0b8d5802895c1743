"""From maps over time to one vector a series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fei_sklearn.encoder import feature_maps, valid_mask

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


class Readout(nn.Module):
    """An encoder and what is read out of it: one vector a series, or one a step.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    statistics : sequence of {"mean", "max", "std"}, default=("mean",)
        Statistics over time, side by side. None at all gives the last map step by step.
    all_stages : bool, default=False
        Whether to pool the maps of all stages, or of the last alone.
    separate_channels : bool, default=False
        Whether the encoder is univariate, and the vectors of the channels stand side by side.
    """

    def __init__(
        self,
        encoder: nn.Module,
        statistics: Sequence[str] = ("mean",),
        *,
        all_stages: bool = False,
        separate_channels: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.statistics, self.all_stages = tuple(statistics), all_stages
        self.separate_channels = separate_channels

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features of shape (n_samples, n_features), or (n_samples, n_steps, n_features).

        Steps beyond the end of a series are NaN.
        """
        n_samples, n_channels, n_timepoints = x.shape
        if self.separate_channels:
            x = x.reshape(n_samples * n_channels, 1, n_timepoints)
            lengths = None if lengths is None else lengths.repeat_interleave(n_channels)
        stages = feature_maps(self.encoder, x, lengths, all_stages=self.all_stages)
        if self.statistics:
            return pool_stages(stages, self.statistics).reshape(n_samples, -1)
        maps, n_steps = stages[-1]
        if n_steps is not None:
            maps = maps.masked_fill(valid_mask(n_steps, maps.shape[-1]) == 0, torch.nan)
        return maps.reshape(n_samples, -1, maps.shape[-1]).transpose(1, 2)
