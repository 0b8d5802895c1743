"""Biases of "ppv": quantiles of an encoder's maps over training series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.encoder.layout import layer_widths, select_layers
from fei_sklearn.encoder.maps import BlockMaps, layer_maps, richest_layers
from fei_sklearn.readout.spec import BIAS_QUANTILES, VIEWS
from fei_sklearn.readout.views_torch import view_of

#: Most values of a feature from which its biases are computed.
MOST_BIAS_VALUES = 20_000


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
