"""Map of an encoder of whose stem's output random steps are zeroed.

TS2Vec masks the latent vectors between its input projection and its convolutions. In this package's
encoder the stem is nearest to that projection.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.networks import pass_blocks


def masked_map(
    encoder: FEIEncoder,
    x: Tensor,
    generator: torch.Generator | None,
    rate: float = 0.5,
) -> Tensor:
    """Return the map of the last stage, with random steps zeroed after the stem.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder.
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series of one length.
    generator : torch.Generator or None
        Source of the mask, on the device of `x`.
    rate : float, default=0.5
        Probability that a step of a series is zeroed.

    Returns
    -------
    Tensor of shape (n_samples, width, n_steps)
        The map.
    """
    latent, _ = encoder.stem(x, None)
    n_samples, _, n_steps = latent.shape
    draws = torch.rand(
        (n_samples, 1, n_steps),
        generator=generator,
        device=x.device,
    )
    kept = draws >= rate
    return pass_blocks(encoder.blocks, latent * kept)
