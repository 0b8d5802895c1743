"""From maps over time to one vector a series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.encoder.layout import stages_after
from fei_sklearn.encoder.maps import BlockMaps, layer_maps, richest_layers
from fei_sklearn.readout.spec import (
    BIAS_QUANTILES,
    HALVES,
    LAST_STAGE,
    VIEWS,
    ReadoutSpec,
)

#: Most values of a feature from which its biases are taken.
MOST_BIAS_VALUES = 20_000


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
    variance = _mean((maps - mean[:, :, None]).square(), n_steps)
    varies = variance > 0
    # the root has no gradient at 0, as of maps of one step, and fine-tuning needs one
    return torch.where(varies, torch.where(varies, variance, 1.0).sqrt(), 0.0)


def proportion_above(maps: Tensor, biases: Tensor, n_steps: Tensor | None = None) -> Tensor:
    """Share of the steps at which a map is above each of its biases.

    Parameters
    ----------
    maps : Tensor of shape (n_samples, width, n_steps)
        Features over time.
    biases : Tensor of shape (n_biases, width)
        Biases of each feature.
    n_steps : Tensor of shape (n_samples,), default=None
        Steps of each series, where they differ.

    Returns
    -------
    Tensor of shape (n_samples, n_biases * width)
        The proportions of positive values of MiniRocket, bias by bias.

    References
    ----------
    Dempster, Schmidt and Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time
    Series Classification", KDD 2021.
    """
    if n_steps is None:
        return _share(maps, biases)
    return _share(maps, biases, valid_mask(n_steps, maps.shape[-1], torch.bool))


def proportion_above_in_halves(
    maps: Tensor, biases: Tensor, n_steps: Tensor | None = None
) -> Tensor:
    """Shares as of :func:`proportion_above`, in the first and in the second half of each series.

    The middle step of an odd number of them belongs to both.

    Returns
    -------
    Tensor of shape (n_samples, 2 * n_biases * width)
        The first half's shares, bias by bias, and then the second's.
    """
    longest = maps.shape[-1]
    if n_steps is None:
        half = -(-longest // 2)
        halves = [_share(part, biases) for part in (maps[..., :half], maps[..., longest - half :])]
        return torch.cat(halves, dim=1)
    first = valid_mask((n_steps + 1) // 2, longest, torch.bool)
    second = valid_mask(n_steps, longest, torch.bool) & ~valid_mask(
        n_steps // 2, longest, torch.bool
    )
    return torch.cat([_share(maps, biases, part) for part in (first, second)], dim=1)


def _share(maps: Tensor, biases: Tensor, where: Tensor | None = None) -> Tensor:
    """Shares of the steps, or of those that `where` of shape (n_samples, 1, n_steps) names."""
    maps = maps.detach()  # a share has no gradient
    # counted in floats, exact below 2 ** 24 steps: to sum truth values takes five times as long
    above = torch.empty_like(maps, dtype=torch.promote_types(maps.dtype, torch.float32))
    counts = []
    for bias in biases:
        torch.gt(maps, bias[:, None], out=above)
        counts.append((above if where is None else above * where).sum(dim=-1))
    n_steps = maps.shape[-1] if where is None else where.sum(dim=-1)
    return (torch.cat(counts, dim=1) / n_steps).to(maps.dtype)


def _mean(maps: Tensor, n_steps: Tensor | None) -> Tensor:
    if n_steps is None:
        return maps.mean(dim=-1)
    valid = valid_mask(n_steps, maps.shape[-1], maps.dtype)
    return (maps * valid).sum(dim=-1) / n_steps[:, None].to(maps.dtype)


def view_of(x: Tensor, view: str, lengths: Tensor | None = None) -> Tensor:
    """A series as an encoder is to see it.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series, zero on padding.
    view : {"level", "shape", "change"}
        As it is; each channel of each series with mean 0 and standard deviation 1; its first
        differences, standardised likewise, the first of them twice.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, n_timepoints)
        The view, zero on padding. A constant channel is 0 throughout.
    """
    if view == "level":
        return x
    if view == "change":
        change = x.diff(dim=-1)
        x = torch.cat([change[..., :1], change], dim=-1)
    valid = None if lengths is None else valid_mask(lengths, x.shape[-1], x.dtype)
    centred = x - _mean(x, lengths)[..., None]
    spread = _mean(centred.square(), lengths)[..., None].sqrt()
    x = torch.where(spread > 1e-6, centred / spread, 0.0)
    return x if valid is None else x * valid


class Readout(nn.Module):
    """An encoder and what is read out of it: one vector a series, or one a step.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    spec : ReadoutSpec, default=ReadoutSpec()
        Statistics, layers and views; by default the paper's, the mean of the last stage.
    biases : dict of str to Tensor of shape (n_biases, sum of widths), default=None
        Biases of "ppv" on the maps of the layers, side by side, for each view; see
        :func:`fit_biases`.
    separate_channels : bool, default=False
        Whether the encoder is univariate, and the vectors of the channels stand side by side.
    """

    def __init__(
        self,
        encoder: nn.Module,
        spec: ReadoutSpec | None = None,
        *,
        biases: dict[str, Tensor] | None = None,
        separate_channels: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.spec = spec or ReadoutSpec()
        self.separate_channels = separate_channels
        for view, values in (biases or {}).items():
            self.register_buffer(f"biases_{view}", values)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features of shape (n_samples, n_features), or (n_samples, n_steps, n_features).

        Steps beyond the end of a series are NaN.
        """
        n_samples, n_channels, n_timepoints = x.shape
        if self.separate_channels:
            x = x.reshape(n_samples * n_channels, 1, n_timepoints)
            lengths = None if lengths is None else lengths.repeat_interleave(n_channels)
        if self.spec.statistics:
            return self._features(x, lengths).reshape(n_samples, -1)
        maps = layer_maps(self.encoder, view_of(x, self.spec.views[0], lengths), lengths, "last")
        activated, _, n_steps = maps[0]
        if n_steps is not None:
            padding = valid_mask(n_steps, activated.shape[-1]) == 0
            activated = activated.masked_fill(padding, torch.nan)
        return activated.reshape(n_samples, -1, activated.shape[-1]).transpose(1, 2)

    def _features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Features view by view, map by map, and then statistic by statistic."""
        views = self.spec.views
        # the views pass the encoder side by side, as so many more series
        seen = torch.cat([view_of(x, view, lengths) for view in views])
        n_seen = None if lengths is None else lengths.repeat(len(views))
        maps = layer_maps(self.encoder, seen, n_seen, self.spec.layers)
        parts = zip(*(_by_view(m, len(views)) for m in maps), strict=True)
        features = [self._of_view(*part) for part in zip(views, parts, strict=True)]
        return torch.cat(features, dim=1)

    def _of_view(self, view: str, maps: Sequence[BlockMaps]) -> Tensor:
        biases: Sequence[Tensor | None] = [None] * len(maps)
        if "ppv" in self.spec.statistics:
            every: Tensor = getattr(self, f"biases_{view}")
            biases = torch.split(every, [m.summed.shape[1] for m in maps], dim=1)
        later = stages_after(self.spec.layers, len(maps))
        return torch.cat(
            [
                _statistic(m, statistic, bias, n_later)
                for m, bias, n_later in zip(maps, biases, later, strict=True)
                for statistic in self.spec.statistics
            ],
            dim=1,
        )


def _by_view(maps: BlockMaps, n_views: int) -> list[BlockMaps]:
    """A map of all views as one map for each."""
    n_steps = [None] * n_views if maps.n_steps is None else maps.n_steps.chunk(n_views)
    activated, summed = maps.activated.chunk(n_views), maps.summed.chunk(n_views)
    return [BlockMaps(*part) for part in zip(activated, summed, n_steps, strict=True)]


def _statistic(maps: BlockMaps, statistic: str, biases: Tensor | None, n_later: int) -> Tensor:
    """The mean of a map, or one of the other statistics of the sums before its last GELU.

    GELU squeezes all that is below zero: the maximum of a feature that seldom fires would hardly
    differ over a small panel, and a series that makes it fire would be an outlier of any size once
    features are standardised.
    """
    if statistic == "mean":
        return pool(maps.activated, maps.n_steps)
    if statistic != "ppv":
        return pool(maps.summed, maps.n_steps, statistic)
    assert biases is not None
    return _shares(maps, biases, n_later)


def _shares(maps: BlockMaps, biases: Tensor, n_later: int) -> Tensor:
    """What "ppv" gives of a map of a stage after which so many come, see `readout.n_shares`."""
    _, summed, n_steps = maps
    if n_later == 0:
        return proportion_above(summed, biases[LAST_STAGE], n_steps)
    whole = proportion_above(summed, biases, n_steps)
    if n_later == 1:
        return whole
    halves = proportion_above_in_halves(summed, biases[HALVES], n_steps)
    return torch.cat([whole, halves], dim=1)


@torch.no_grad()
def fit_biases(
    encoder: nn.Module, x: Tensor, lengths: Tensor | None = None
) -> dict[str, list[Tensor]]:
    """Biases of "ppv": quantiles of the maps' values over training series.

    Parameters
    ----------
    encoder : torch.nn.Module
        In evaluation mode. Without blocks, its stages count; without stages, its one map.
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series of the training panel, as the encoder takes them.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ.

    Returns
    -------
    dict of str to list of Tensor of shape (n_biases, width)
        For each view the biases of all these maps, in their order.
    """
    layers = richest_layers(encoder)
    biases = {}
    for view in VIEWS:
        maps = layer_maps(encoder, view_of(x, view, lengths), lengths, layers)
        biases[view] = [_quantiles(m.summed, m.n_steps) for m in maps]
    return biases


def _quantiles(maps: Tensor, n_steps: Tensor | None) -> Tensor:
    values = maps.float().movedim(1, -1).reshape(-1, maps.shape[1])
    if n_steps is not None:
        values = values[valid_mask(n_steps, maps.shape[-1]).reshape(-1) > 0]
    values = values[:: -(-len(values) // MOST_BIAS_VALUES)]
    return torch.quantile(values, values.new_tensor(BIAS_QUANTILES), dim=0)
