"""Batch-norm statistics of an encoder, computed anew on clean series.

During pretraining they are moving averages that lag behind the weights, and a fresh encoder has
none at all. Readout wants those of the final weights on the series themselves.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fei_sklearn.data import Panel, shuffled_batches
from fei_sklearn.encoder.maps import feature_maps


@torch.no_grad()
def calibrate(
    encoder: nn.Module, panel: Panel, *, batch_size: int, device: torch.device, seed: int
) -> None:
    """Reset and recompute the running statistics in one pass, as the mean over the batches.

    Parameters
    ----------
    encoder : torch.nn.Module
        The encoder, changed in place and left in evaluation mode.
    panel : Panel
        Clean training series.
    batch_size : int
        Series a batch.
    device : torch.device
        Where the encoder is.
    seed : int
        Seed of the order, which keeps a panel sorted by class from biasing the batches.
    """
    encoder.eval()
    norms = [m for m in encoder.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's cumulative mean
        norm.train()
    try:
        order = torch.Generator().manual_seed(seed)
        for rows in shuffled_batches(len(panel), batch_size, order) if norms else ():
            feature_maps(encoder, *panel.take(rows).batch(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
