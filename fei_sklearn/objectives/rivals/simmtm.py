"""SimMTM: a series is rebuilt from others of the batch, above all its own masked copies.

Source: Dong, Wu, Zhang, Zhang, Wang and Long, "SimMTM: A Simple Pre-Training Framework for Masked
Time-Series Modeling", NeurIPS 2023, 36, 29996-30025. As in the article, the originals alone are
rebuilt; as in FEI's comparison, all happens on pooled embeddings.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.encoder.maps import feature_maps
from fei_sklearn.objectives.rivals.contrast import similarities
from fei_sklearn.objectives.rivals.projection import ProjectionHead
from fei_sklearn.objectives.rivals.rival import Rival, drawn
from fei_sklearn.readout.pooling import pool

TEMPERATURE, N_COPIES = 0.2, 3
#: Share of the time points that is masked, and the chance that a masked run ends at a time point.
MASKED_SHARE, END_OF_MASK = 0.5, 1 / 3


class SimMTMLosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor."""

    loss: Tensor
    contrast_loss: Tensor
    reconstruction_loss: Tensor


class SimMTMObjective(Rival):
    """Contrast of masked copies, and reconstruction from similar series, with learned weights.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    width : int
        Features D that the encoder gives.
    n_channels, n_timepoints : int
        What the head rebuilds; shorter series take its first time points.
    generator : torch.Generator, default=None
        Source of the heads' initial weights.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_channels: int,
        n_timepoints: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.n_timepoints = encoder, n_timepoints
        self.projector = drawn(lambda: ProjectionHead(width, 256, 128), generator)
        self.head = drawn(lambda: nn.Linear(width, n_channels * n_timepoints), generator)
        self.scales = nn.Parameter(torch.ones(2))

    def undecayed(self) -> list[nn.Parameter]:
        """The scales of the two losses: decay would raise the weight of both."""
        return [self.scales]

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> SimMTMLosses:
        """Losses of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.
        generator : torch.Generator, default=None
            Source of the masks, on the device of `x`.

        Returns
        -------
        SimMTMLosses
            The weighted sum, and its terms.

        Raises
        ------
        ValueError
            If the series are longer than what the head rebuilds.
        """
        n_samples, n_channels, n_timepoints = x.shape
        if n_timepoints > self.n_timepoints:
            raise ValueError(
                f"objective='simmtm' rebuilds series of up to {self.n_timepoints} time points, got "
                f"{n_timepoints}: cut them, or fit a new model."
            )
        copies = x.repeat(N_COPIES, 1, 1)
        masked = copies * markov_mask(copies, generator=generator)
        rows = None if lengths is None else lengths.repeat(N_COPIES + 1)
        h = pool(*feature_maps(self.encoder, torch.cat([x, masked]), rows)[-1])
        similarity = similarity_to_others(self.projector(h))
        contrast = copies_contrast(similarity, n_samples)
        rebuilt = self.head((similarity.softmax(dim=1) @ h.to(similarity.dtype))[:n_samples])
        out = rebuilt.unflatten(1, (n_channels, -1))[..., :n_timepoints]
        reconstruction = _mean_squared_error(out, x, lengths)
        return SimMTMLosses(
            weighted(contrast, reconstruction, self.scales), contrast, reconstruction
        )


def similarity_to_others(v: Tensor) -> Tensor:
    """Cosines of all rows of `v`, (n, width), over the temperature; minus infinity for itself."""
    itself = torch.eye(len(v), dtype=torch.bool, device=v.device)
    return similarities(v, v, "cosine", TEMPERATURE).masked_fill(itself, -torch.inf)


def copies_contrast(similarity: Tensor, n_samples: int) -> Tensor:
    """Sum over a row's positives, the other rows of its series, and mean over the rows.

    Parameters
    ----------
    similarity : Tensor of shape (n_rows, n_rows)
        Similarities over the temperature, minus infinity on the diagonal; row i is of series
        ``i % n_samples``.
    n_samples : int
        Series of the batch.

    Returns
    -------
    Tensor
        0-dim.
    """
    series = torch.arange(len(similarity), device=similarity.device) % n_samples
    positive = series[:, None] == series
    positive.fill_diagonal_(False)
    log_probability = similarity.log_softmax(dim=1)
    return -log_probability.masked_fill(~positive, 0.0).sum() / len(similarity)


def weighted(contrast: Tensor, reconstruction: Tensor, scales: Tensor) -> Tensor:
    """Sum of ``loss / (2 p^2) + ln(1 + p^2)`` over both losses, with their learned scales p."""
    square = scales.square()
    losses = torch.stack([contrast, reconstruction.to(contrast.dtype)])
    return (losses / (2 * (square + 1e-6)) + torch.log1p(square)).sum()


def markov_mask(
    x: Tensor,
    *,
    share: float = MASKED_SHARE,
    end: float = END_OF_MASK,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Masks whose runs have geometric lengths: 1 where they keep, of the shape of `x`.

    A chain that leaves "masked" with chance `end`, and "kept" with ``end * share / (1 - share)``,
    from its stationary distribution on. It is drawn as: at some time points, independently, the
    state is drawn anew; at the others it stays.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    share : float, default=0.5
        Share of the time points that is masked, at most ``1 - end``.
    end : float, default=1/3
        One over the mean length of a masked run.
    generator : torch.Generator, default=None
        Source of the masks, on the device of `x`.

    Returns
    -------
    Tensor of the shape of `x`
        Masks.
    """
    fresh = torch.rand(x.shape, generator=generator, device=x.device) < end / (1.0 - share)
    fresh[..., 0] = True
    state = torch.rand(x.shape, generator=generator, device=x.device) >= share
    time = torch.arange(x.shape[-1], device=x.device)
    last_fresh = torch.where(fresh, time, 0).cummax(dim=-1).values
    return state.gather(-1, last_fresh).to(x.dtype)


def _mean_squared_error(out: Tensor, truth: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return F.mse_loss(out, truth)
    valid = valid_mask(lengths, truth.shape[-1], truth.dtype).expand_as(truth)
    return ((out - truth).square() * valid).sum() / valid.sum()
