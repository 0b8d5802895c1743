"""Functions on networks that objectives share: seeded modules, embeddings, passes of blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layers import initialise
from fei_sklearn.encoder.maps import feature_maps
from fei_sklearn.readout.statistics import pool

Module = TypeVar("Module", bound=nn.Module)
Arguments = ParamSpec("Arguments")


def seeded_module(
    generator: torch.Generator | None,
    build: Callable[Arguments, Module],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Module:
    """Return a new module whose initial weights come from a generator.

    Parameters
    ----------
    generator : torch.Generator or None
        Source of the weights, on the CPU; they follow torch's own initialisation.
    build : callable
        Constructor of the module.
    *args, **kwargs
        Arguments of the constructor.

    Returns
    -------
    torch.nn.Module
        The module, on the CPU.
    """
    # Nothing is drawn on the meta device: torch's constructors use the global generator.
    with torch.device("meta"):
        module = build(*args, **kwargs)
    module.to_empty(device="cpu")
    initialise(module, generator)
    return module


def mean_embedding(
    encoder: nn.Module,
    x: Tensor,
    lengths: Tensor | None,
) -> Tensor:
    """Return the mean over time of an encoder's last map.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series, zero on padding.
    lengths : Tensor of shape (n_samples,) or None
        Time points of each series, where they differ.

    Returns
    -------
    Tensor of shape (n_samples, width)
        One embedding per series.
    """
    maps = feature_maps(encoder, x, lengths)
    last_map, n_steps = maps[-1]
    return pool(last_map, n_steps)


def pass_blocks(stages: nn.ModuleList, x: Tensor) -> Tensor:
    """Return the map of the last block of a :class:`fei_sklearn.encoder.FEIEncoder`.

    Parameters
    ----------
    stages : torch.nn.ModuleList
        The encoder's attribute `blocks`, a list of lists of residual blocks.
    x : Tensor of shape (n_samples, 16, n_steps)
        Input of the first block, for series of one length.

    Returns
    -------
    Tensor of shape (n_samples, width, n_steps)
        The map after the last block's activation.
    """
    for stage in stages:
        for block in stage:  # type: ignore[attr-defined]
            x = block(x, None).activated
    return x
