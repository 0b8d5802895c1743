"""TS2Vec: two crops of a series must agree at every time step that they share.

Source: Yue, Wang, Duan, Yang, Huang, Tong and Xu, "TS2Vec: Towards Universal Representation of
Time Series", AAAI 2022, 36(8), 8980-8987. The shared encoder takes the place of its dilated
convolutions; weights are not averaged over the run.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fei_sklearn.objectives.rivals.crops import crop_twice, samples_per_step
from fei_sklearn.objectives.rivals.hierarchy import hierarchical_contrast
from fei_sklearn.objectives.rivals.latent_mask import masked_map
from fei_sklearn.objectives.rivals.rival import StepwiseRival


class TS2VecLosses(NamedTuple):
    """Loss of one batch, a 0-dim tensor."""

    loss: Tensor


class TS2VecObjective(StepwiseRival):
    """Hierarchical contrast of the shared part of two masked crops.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder; the article's time-level contrast wants stride 1.
    width, n_channels, n_timepoints : int
        Not needed here.
    similarity : {"dot", "cosine"}, default="dot"
        As in :class:`fei_sklearn.objectives.rivals.rival.StepwiseRival`.
    generator : torch.Generator, default=None
        Not needed here: there are no heads.
    """

    name = "ts2vec"

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> TS2VecLosses:
        """Loss of a batch of series, (n_samples, n_channels, n_timepoints)."""
        crops = crop_twice(x, lengths, samples_per_step(self.encoder), generator)
        z1 = masked_map(self.encoder, crops.first, generator)[..., -crops.n_shared :]
        z2 = masked_map(self.encoder, crops.second, generator)[..., : crops.n_shared]
        return TS2VecLosses(hierarchical_contrast(z1.mT, z2.mT, kind=self.similarity))
