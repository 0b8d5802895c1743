"""Pooling: from an encoder's maps over time to one vector per series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layout import stages_after
from fei_sklearn.encoder.maps import BlockMaps, layer_maps
from fei_sklearn.readout.spec import HALVES_BIASES, LAST_STAGE_BIASES, ReadoutSpec
from fei_sklearn.readout.statistics import (
    fill_padding,
    pool,
    proportion_above,
    proportion_above_in_halves,
)
from fei_sklearn.readout.views_torch import view_of


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
        :mod:`fei_sklearn.readout.biases`.
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
        return fill_padding(last.activated, last.n_steps, torch.nan)

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
