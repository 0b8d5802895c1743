"""TS2Vec: two crops of a series must agree at every time step that they share.

Source: Yue, Wang, Duan, Yang, Huang, Tong and Xu, "TS2Vec: Towards Universal Representation of
Time Series", AAAI 2022, 36(8), 8980-8987. The shared encoder takes the place of its dilated
convolutions; weights are not averaged over the run.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fei_sklearn.baselines.crops import crop_twice, samples_per_step
from fei_sklearn.baselines.hierarchy import hierarchical_contrast
from fei_sklearn.baselines.latent_mask import masked_map
from fei_sklearn.baselines.rival import Rival, own_encoder


class TS2VecLosses(NamedTuple):
    """Loss of one batch, a 0-dim tensor."""

    loss: Tensor


class TS2VecObjective(Rival):
    """Hierarchical contrast of the shared part of two masked crops.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder; the article's time-level contrast wants stride 1.
    width, n_channels, n_timepoints : int
        Not needed here.
    similarity : {"dot", "cosine"}, default="dot"
        Similarity of features. "dot" is the article's; gradients are then clipped at norm 1, as the
        encoder's features are nearly non-negative and their products large.
    generator : torch.Generator, default=None
        Not needed here: there are no heads.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_channels: int,
        n_timepoints: int,
        similarity: str = "dot",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.encoder = own_encoder(encoder, "ts2vec")
        self.n_timepoints, self.similarity = n_timepoints, similarity
        self.max_gradient_norm = 1.0 if similarity == "dot" else None

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> TS2VecLosses:
        """Loss of a batch of series, (n_samples, n_channels, n_timepoints)."""
        crops = crop_twice(x, lengths, samples_per_step(self.encoder), generator)
        z1 = masked_map(self.encoder, crops.first, generator)[..., -crops.n_shared :]
        z2 = masked_map(self.encoder, crops.second, generator)[..., : crops.n_shared]
        return TS2VecLosses(hierarchical_contrast(z1.mT, z2.mT, kind=self.similarity))
