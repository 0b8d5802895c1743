"""Pooling: from an encoder's maps over time to one vector per series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.encoder.layout import layer_widths, select_layers, stages_after
from fei_sklearn.encoder.maps import BlockMaps, layer_maps, richest_layers
from fei_sklearn.readout.spec import (
    BIAS_QUANTILES,
    HALVES_BIASES,
    LAST_STAGE_BIASES,
    VIEWS,
    ReadoutSpec,
)

#: Most values of a feature from which its biases are computed.
MOST_BIAS_VALUES = 20_000

#: Standard deviation up to which a channel counts as constant.
CONSTANT_DEVIATION = 1e-6


def pool(
    maps: Tensor,
    n_steps: Tensor | None = None,
    statistic: str = "mean",
) -> Tensor:
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
        One vector per series.
    """
    if statistic == "max":
        return _max(maps, n_steps)
    mean = _mean(maps, n_steps)
    if statistic == "mean":
        return mean
    centred = maps - mean[:, :, None]
    variance = _mean(centred.square(), n_steps)
    # the root has no gradient at 0, the variance of a single step, and fine-tuning needs one
    varies = variance > 0
    positive = torch.where(varies, variance, 1.0)
    return torch.where(varies, positive.sqrt(), 0.0)


def _max(
    maps: Tensor,
    n_steps: Tensor | None,
) -> Tensor:
    if n_steps is not None:
        maps = _fill_padding(maps, n_steps, -torch.inf)
    return maps.amax(dim=-1)


def _mean(
    maps: Tensor,
    n_steps: Tensor | None,
) -> Tensor:
    if n_steps is None:
        return maps.mean(dim=-1)
    valid = valid_mask(n_steps, maps.shape[-1], maps.dtype)
    total = (maps * valid).sum(dim=-1)
    return total / n_steps[:, None].to(maps.dtype)


def _fill_padding(
    maps: Tensor,
    n_steps: Tensor,
    value: float,
) -> Tensor:
    padding = valid_mask(n_steps, maps.shape[-1]) == 0
    return maps.masked_fill(padding, value)


def proportion_above(
    maps: Tensor,
    biases: Tensor,
    n_steps: Tensor | None = None,
) -> Tensor:
    """Return the share of the steps at which a map is above each of its biases.

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
        return _share_above(maps, biases)
    valid = valid_mask(n_steps, maps.shape[-1], torch.bool)
    return _share_above(maps, biases, valid)


def proportion_above_in_halves(
    maps: Tensor,
    biases: Tensor,
    n_steps: Tensor | None = None,
) -> Tensor:
    """Return the shares of :func:`proportion_above` in the first and second half of each series.

    The middle step of an odd number of steps belongs to both halves.

    Parameters
    ----------
    maps, biases, n_steps
        As for :func:`proportion_above`.

    Returns
    -------
    Tensor of shape (n_samples, 2 * n_biases * width)
        The first half's shares, bias by bias, and then the second's.
    """
    most_steps = maps.shape[-1]
    if n_steps is None:
        n_half = -(-most_steps // 2)
        of_first = _share_above(maps[..., :n_half], biases)
        of_second = _share_above(maps[..., most_steps - n_half :], biases)
        return torch.cat([of_first, of_second], dim=1)
    first = valid_mask((n_steps + 1) // 2, most_steps, torch.bool)
    before_second = valid_mask(n_steps // 2, most_steps, torch.bool)
    second = valid_mask(n_steps, most_steps, torch.bool) & ~before_second
    of_first = _share_above(maps, biases, first)
    of_second = _share_above(maps, biases, second)
    return torch.cat([of_first, of_second], dim=1)


def _share_above(
    maps: Tensor,
    biases: Tensor,
    where: Tensor | None = None,
) -> Tensor:
    """Return shares of all steps, or of those in the mask `where`, (n_samples, 1, n_steps)."""
    maps = maps.detach()  # a share has no gradient
    # counted in floats, exact below 2 ** 24 steps, because a sum of booleans takes 5 times as long
    dtype = torch.promote_types(maps.dtype, torch.float32)
    above = torch.empty_like(maps, dtype=dtype)
    counts = []
    for bias in biases:
        torch.gt(maps, bias[:, None], out=above)
        counted = above if where is None else above * where
        counts.append(counted.sum(dim=-1))
    n_steps: int | Tensor = maps.shape[-1]
    if where is not None:
        n_steps = where.sum(dim=-1)
    shares = torch.cat(counts, dim=1) / n_steps
    return shares.to(maps.dtype)


def view_of(
    x: Tensor,
    view: str,
    lengths: Tensor | None = None,
) -> Tensor:
    """Return a view of series, which is what an encoder receives.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series, zero on padding.
    view : {"level", "shape", "change"}
        "level" is the series itself. "shape" has mean 0 and standard deviation 1 in each channel of
        each series. "change" has the first differences, the first of them twice, standardised in
        the same way.
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
        first = change[..., :1]
        x = torch.cat([first, change], dim=-1)
    standardised = _standardised(x, lengths)
    if lengths is None:
        return standardised
    valid = valid_mask(lengths, x.shape[-1], x.dtype)
    return standardised * valid


def _standardised(
    x: Tensor,
    lengths: Tensor | None,
) -> Tensor:
    """Return series with mean 0 and standard deviation 1 per channel, any number on padding."""
    centred = x - _mean(x, lengths)[..., None]
    variance = _mean(centred.square(), lengths)
    deviation = variance[..., None].sqrt()
    return torch.where(deviation > CONSTANT_DEVIATION, centred / deviation, 0.0)


class Readout(nn.Module):
    """Encoder and readout: one vector per series, or one vector per step.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    spec : ReadoutSpec, default=None
        Statistics, layers and views. None is the paper's readout, the mean of the last stage.
    biases : dict of str to Tensor of shape (n_biases, sum of widths), default=None
        Biases of "ppv" for each view, on the maps of the layers side by side, see
        :func:`fit_biases` and :func:`biases_of_layers`.
    separate_channels : bool, default=False
        Whether the encoder is univariate, and the vectors of the channels stand side by side.
    """

    def __init__(
        self,
        encoder: nn.Module,
        spec: ReadoutSpec | None = None,
        *,
        biases: Mapping[str, Tensor] | None = None,
        separate_channels: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.spec = spec or ReadoutSpec()
        self.separate_channels = separate_channels
        for view, of_view in (biases or {}).items():
            self.register_buffer(_buffer_of(view), of_view)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Embed series.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.

        Returns
        -------
        Tensor of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
            Features. Steps beyond the end of a series are NaN.
        """
        n_samples, n_channels, n_timepoints = x.shape
        if self.separate_channels:
            x = x.reshape(n_samples * n_channels, 1, n_timepoints)
            if lengths is not None:
                lengths = lengths.repeat_interleave(n_channels)
        if self.spec.statistics:
            return self._features(x, lengths).reshape(n_samples, -1)
        steps = self._steps(x, lengths)
        n_steps = steps.shape[-1]
        return steps.reshape(n_samples, -1, n_steps).transpose(1, 2)

    def _steps(
        self,
        x: Tensor,
        lengths: Tensor | None,
    ) -> Tensor:
        """Return the last map of the first view, NaN on padding."""
        seen = view_of(x, self.spec.views[0], lengths)
        (last,) = layer_maps(self.encoder, seen, lengths, "last")
        if last.n_steps is None:
            return last.activated
        return _fill_padding(last.activated, last.n_steps, torch.nan)

    def _features(
        self,
        x: Tensor,
        lengths: Tensor | None,
    ) -> Tensor:
        """Return features view by view, map by map, and then statistic by statistic."""
        views = self.spec.views
        # the views pass the encoder in one batch, as further series
        seen = torch.cat([view_of(x, view, lengths) for view in views])
        n_seen = None if lengths is None else lengths.repeat(len(views))
        maps = layer_maps(self.encoder, seen, n_seen, self.spec.layers)
        by_layer = [_split_views(of_layer, len(views)) for of_layer in maps]
        features = []
        for index, view in enumerate(views):
            of_view = [of_layer[index] for of_layer in by_layer]
            features += self._features_of_view(view, of_view)
        return torch.cat(features, dim=1)

    def _features_of_view(
        self,
        view: str,
        maps: Sequence[BlockMaps],
    ) -> list[Tensor]:
        """Return the features of one view, map by map, and then statistic by statistic."""
        widths = [of_layer.summed.shape[1] for of_layer in maps]
        stages_later = stages_after(self.spec.layers, len(maps))
        biases: Sequence[Tensor] = ()
        if "ppv" in self.spec.statistics:
            side_by_side = self.get_buffer(_buffer_of(view))
            biases = torch.split(side_by_side, widths, dim=1)
        features = []
        for index, of_layer in enumerate(maps):
            for statistic in self.spec.statistics:
                if statistic == "ppv":
                    feature = _ppv(of_layer, biases[index], stages_later[index])
                else:
                    feature = _pool_block(of_layer, statistic)
                features.append(feature)
        return features


def _buffer_of(view: str) -> str:
    """Return the name of the buffer that holds the biases of a view."""
    return f"biases_{view}"


def _split_views(
    maps: BlockMaps,
    n_views: int,
) -> list[BlockMaps]:
    """Split maps of all views in one batch into the maps of each view."""
    activated = maps.activated.chunk(n_views)
    summed = maps.summed.chunk(n_views)
    n_steps: Sequence[Tensor | None] = [None] * n_views
    if maps.n_steps is not None:
        n_steps = maps.n_steps.chunk(n_views)
    return [BlockMaps(*of_view) for of_view in zip(activated, summed, n_steps, strict=True)]


def _pool_block(
    maps: BlockMaps,
    statistic: str,
) -> Tensor:
    """Return the mean of a block's map, or another statistic of the sums before its last GELU.

    GELU squeezes everything below zero. The maximum of a feature that seldom fires would hardly
    differ over a small panel, and a series that makes the feature fire would be an outlier of any
    size once features are standardised.
    """
    if statistic == "mean":
        return pool(maps.activated, maps.n_steps)
    return pool(maps.summed, maps.n_steps, statistic)


def _ppv(
    maps: BlockMaps,
    biases: Tensor,
    n_later: int,
) -> Tensor:
    """Return the "ppv" features of a map, given how many stages follow; see `spec.n_shares`."""
    _, summed, n_steps = maps
    if n_later == 0:
        return proportion_above(summed, biases[LAST_STAGE_BIASES], n_steps)
    whole = proportion_above(summed, biases, n_steps)
    if n_later == 1:
        return whole
    halves = proportion_above_in_halves(summed, biases[HALVES_BIASES], n_steps)
    return torch.cat([whole, halves], dim=1)


@torch.no_grad()
def fit_biases(
    encoder: nn.Module,
    x: Tensor,
    lengths: Tensor | None = None,
) -> dict[str, list[Tensor]]:
    """Return the biases of "ppv": quantiles of the maps' values over training series.

    Parameters
    ----------
    encoder : torch.nn.Module
        In evaluation mode. Without blocks, the maps of its stages are used; without stages, its one
        map.
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series of the training panel, ready for the encoder.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ.

    Returns
    -------
    dict of str to list of Tensor of shape (n_biases, width)
        For each view the biases of all these maps, from the first map to the last.
    """
    layers = richest_layers(encoder)
    biases = {}
    for view in VIEWS:
        seen = view_of(x, view, lengths)
        maps = layer_maps(encoder, seen, lengths, layers)
        biases[view] = [_quantiles(of_layer) for of_layer in maps]
    return biases


def _quantiles(maps: BlockMaps) -> Tensor:
    """Return the quantiles of each feature over series and steps, of shape (n_biases, width)."""
    _, width, n_steps = maps.summed.shape
    values = maps.summed.float().movedim(1, -1).reshape(-1, width)
    if maps.n_steps is not None:
        valid = valid_mask(maps.n_steps, n_steps, torch.bool)
        values = values[valid.reshape(-1)]
    every = -(-len(values) // MOST_BIAS_VALUES)
    quantiles = values.new_tensor(BIAS_QUANTILES)
    return torch.quantile(values[::every], quantiles, dim=0)


def biases_of_layers(
    biases: Tensor,
    encoder: nn.Module,
    stage_widths: Sequence[int],
    layers: str,
) -> Tensor:
    """Select the biases of some layers from the biases of all maps of an encoder.

    Parameters
    ----------
    biases : Tensor of shape (n_biases, sum of widths)
        Biases of a view as :func:`fit_biases` returns them, side by side.
    encoder : torch.nn.Module
        The encoder, or another one of its architecture.
    stage_widths : sequence of int
        Features of the encoder's maps.
    layers : {"last", "all", "blocks"}
        Layers that are read, which the encoder has.

    Returns
    -------
    Tensor of shape (n_biases, sum of widths of the layers)
        Biases of the maps of these layers, side by side.
    """
    fitted_layers = richest_layers(encoder)
    widths = layer_widths(stage_widths, fitted_layers)
    of_maps = torch.split(biases, list(widths), dim=1)
    if fitted_layers == "blocks":
        of_maps = tuple(select_layers(of_maps, layers))
    elif layers == "last":
        of_maps = of_maps[-1:]
    return torch.cat(of_maps, dim=1)
