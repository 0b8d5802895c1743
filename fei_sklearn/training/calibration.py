"""Calibration: batch-norm statistics of an encoder, recomputed on clean series.

During pretraining they are moving averages that lag behind the weights, and a fresh encoder has
none at all. Readout needs the statistics of the final weights on the training series.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fei_sklearn.data import Panel
from fei_sklearn.encoder.maps import feature_maps
from fei_sklearn.training.batches import check_padding, shuffled_batches


@torch.no_grad()
def calibrate(
    encoder: nn.Module,
    panel: Panel,
    *,
    batch_size: int,
    device: torch.device,
    seed: int,
) -> None:
    """Reset the running statistics, and recompute them in one pass as the mean over the batches.

    Parameters
    ----------
    encoder : torch.nn.Module
        Encoder, changed in place and left in evaluation mode.
    panel : Panel
        Clean training series.
    batch_size : int
        Series per batch.
    device : torch.device
        Device of the encoder.
    seed : int
        Seed of the order, which keeps a panel sorted by class from biasing the batches.

    Raises
    ------
    ValueError
        If one long series would multiply the size of a batch.
    """
    check_padding(panel, batch_size)
    encoder.eval()
    norms = _tracking_norms(encoder)
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch then averages over all batches
            norm.train()
        order = torch.Generator().manual_seed(seed)
        for rows in shuffled_batches(len(panel), batch_size, order):
            batch = panel.take(rows).batch(device)
            feature_maps(encoder, *batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


def _tracking_norms(encoder: nn.Module) -> list[_BatchNorm]:
    """Return the batch-norm layers that track running statistics."""
    return [
        module
        for module in encoder.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
