"""An encoder's map when random steps of its stem's output are zeroed.

TS2Vec masks the latent vectors between its input projection and its convolutions; of our encoder
the stem is nearest to that projection.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fei_sklearn.encoder.resnet import FEIEncoder


def masked_map(
    encoder: FEIEncoder, x: Tensor, generator: torch.Generator | None, rate: float = 0.5
) -> Tensor:
    """Map of the last stage, each step of each series zeroed after the stem with chance `rate`.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder.
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series of one length.
    generator : torch.Generator or None
        Source of the mask, on the device of `x`.
    rate : float, default=0.5
        Chance of a step to be zeroed.

    Returns
    -------
    Tensor of shape (n_samples, width, n_steps)
        The map.
    """
    latent: Tensor = encoder.stem(x, None)[0]
    shape = (len(latent), 1, latent.shape[-1])
    latent = latent * (torch.rand(shape, generator=generator, device=x.device) >= rate)
    for stage in encoder.blocks:
        for block in stage:  # type: ignore[attr-defined]
            latent = block(latent, None).activated
    return latent
