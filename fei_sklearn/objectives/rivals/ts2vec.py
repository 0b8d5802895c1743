"""TS2Vec: two crops of a series must agree at every time step that they share.

Source: Yue, Wang, Duan, Yang, Huang, Tong and Xu, "TS2Vec: Towards Universal Representation of
Time Series", AAAI 2022, 36(8), 8980-8987. Departures: this package's encoder replaces the dilated
convolutions, and weights are not averaged over the run.
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
    """Hierarchical contrast of the steps that two masked crops share.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder; the article's contrast across time needs stride 1.
    width, n_channels : int
        Ignored.
    n_timepoints : int
        Length of the series.
    similarity : {"dot", "cosine"}, default="dot"
        See :class:`fei_sklearn.objectives.rivals.rival.StepwiseRival`.
    generator : torch.Generator, default=None
        Ignored: there are no heads.
    """

    name = "ts2vec"

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> TS2VecLosses:
        """Return the loss of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.
        generator : torch.Generator, default=None
            Source of crops and masks, on the device of `x`.

        Returns
        -------
        TS2VecLosses
            The loss.
        """
        step = samples_per_step(self.encoder)
        crops = crop_twice(x, lengths, step, generator)
        first = masked_map(self.encoder, crops.first, generator)
        second = masked_map(self.encoder, crops.second, generator)
        contrast = hierarchical_contrast(
            crops.shared_in_first(first),
            crops.shared_in_second(second),
            kind=self.similarity,
        )
        return TS2VecLosses(contrast)
