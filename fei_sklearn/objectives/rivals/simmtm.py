"""SimMTM: a series is rebuilt from others of the batch, above all from its own masked copies.

Source: Dong, Wu, Zhang, Zhang, Wang and Long, "SimMTM: A Simple Pre-Training Framework for Masked
Time-Series Modeling", NeurIPS 2023, 36, 29996-30025. As in the article, only the originals are
rebuilt. As in FEI's comparison, the method works on pooled embeddings.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.objectives.networks import mean_embedding, seeded_module
from fei_sklearn.objectives.rivals.contrast import similarities, without_itself
from fei_sklearn.objectives.rivals.projection import ProjectionHead
from fei_sklearn.objectives.rivals.rival import Rival

TEMPERATURE = 0.2
#: Masked copies per series.
N_COPIES = 3
#: Share of the time points that is masked.
MASKED_SHARE = 0.5
#: Probability that a masked run ends at a time point.
END_OF_MASK = 1 / 3
#: Hidden and output features of the projector.
PROJECTOR_WIDTHS = (256, 128)


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
        Number of features D of the encoder.
    n_channels, n_timepoints : int
        Shape of the series that the head rebuilds. A shorter series uses the first time points.
    generator : torch.Generator, default=None
        Source of the heads' initial weights.
    """

    name = "simmtm"

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
        self.encoder = encoder
        self.n_timepoints = n_timepoints
        n_values = n_channels * n_timepoints
        self.projector = seeded_module(generator, ProjectionHead, width, *PROJECTOR_WIDTHS)
        self.head = seeded_module(generator, nn.Linear, width, n_values)
        self.scales = nn.Parameter(torch.ones(2))

    def undecayed(self) -> list[nn.Parameter]:
        """Return the scales of the two losses: decay would raise the weight of both."""
        return [self.scales]

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> SimMTMLosses:
        """Return the losses of a batch.

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
            If the series are longer than the ones that the head rebuilds.
        """
        n_samples, n_channels, n_timepoints = x.shape
        if n_timepoints > self.n_timepoints:
            raise ValueError(
                f"objective='simmtm' rebuilds series of up to {self.n_timepoints} time points, got "
                f"{n_timepoints}: cut them, or fit a new model."
            )
        h = self._embeddings(x, lengths, generator)
        projected = self.projector(h)
        similarity = similarity_to_others(projected)
        contrast = copies_contrast(similarity, n_samples)

        shares = similarity.softmax(dim=1)
        mixed = shares @ h.to(similarity.dtype)
        rebuilt = self.head(mixed[:n_samples])
        rebuilt = rebuilt.reshape(n_samples, n_channels, self.n_timepoints)
        rebuilt = rebuilt[..., :n_timepoints]
        reconstruction = _mean_squared_error(rebuilt, x, lengths)
        loss = weighted(contrast, reconstruction, self.scales)
        return SimMTMLosses(loss, contrast, reconstruction)

    def _embeddings(
        self,
        x: Tensor,
        lengths: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return embeddings of the series and then of their copies, (4 * n_samples, width)."""
        copies = x.repeat(N_COPIES, 1, 1)
        masked = copies * markov_mask(copies, generator=generator)
        if lengths is not None:
            lengths = lengths.repeat(N_COPIES + 1)
        rows = torch.cat([x, masked])
        return mean_embedding(self.encoder, rows, lengths)


def similarity_to_others(v: Tensor) -> Tensor:
    """Return cosines of all rows of `v`, (n, width), over the temperature.

    The diagonal is minus infinity.
    """
    return without_itself(similarities(v, v, "cosine", TEMPERATURE))


def copies_contrast(similarity: Tensor, n_samples: int) -> Tensor:
    """Return the contrast of all rows: a sum over each row's positives, and a mean over the rows.

    The positives of a row are the other rows of its series.

    Parameters
    ----------
    similarity : Tensor of shape (n_rows, n_rows)
        Similarities over the temperature, minus infinity on the diagonal. Row i belongs to the
        series ``i % n_samples``.
    n_samples : int
        Number of series of the batch.

    Returns
    -------
    Tensor
        0-dim.
    """
    n_rows = len(similarity)
    row = torch.arange(n_rows, device=similarity.device)
    series = row % n_samples
    positive = series[:, None] == series
    positive.fill_diagonal_(False)
    log_probability = similarity.log_softmax(dim=1)
    of_positives = log_probability.masked_fill(~positive, 0.0)
    return -of_positives.sum() / n_rows


def weighted(
    contrast: Tensor,
    reconstruction: Tensor,
    scales: Tensor,
) -> Tensor:
    """Return the sum of ``loss / (2 p^2) + ln(1 + p^2)`` over both losses.

    Parameters
    ----------
    contrast, reconstruction : Tensor
        The losses, 0-dim.
    scales : Tensor of shape (2,)
        Their learned scales p.

    Returns
    -------
    Tensor
        0-dim, in the dtype of `contrast`.
    """
    square = scales.square()
    reconstruction = reconstruction.to(contrast.dtype)
    losses = torch.stack([contrast, reconstruction])
    weighted_losses = losses / (2 * (square + 1e-6))
    terms = weighted_losses + torch.log1p(square)
    return terms.sum()


def markov_mask(
    x: Tensor,
    *,
    share: float = MASKED_SHARE,
    end: float = END_OF_MASK,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw masks whose runs have geometric lengths.

    The states are a Markov chain from its stationary distribution on. The chain leaves "masked"
    with probability `end`, and "kept" with probability ``end * share / (1 - share)``. An equivalent
    process is drawn: at random time points a new state is drawn, and elsewhere the state stays.

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
        1 where a mask keeps.
    """
    renewal_draws = torch.rand(
        x.shape,
        generator=generator,
        device=x.device,
    )
    is_renewed = renewal_draws < end / (1.0 - share)
    is_renewed[..., 0] = True
    state_draws = torch.rand(
        x.shape,
        generator=generator,
        device=x.device,
    )
    is_kept = state_draws >= share
    n_timepoints = x.shape[-1]
    time = torch.arange(n_timepoints, device=x.device)
    renewal = torch.where(is_renewed, time, 0)
    last_renewal = renewal.cummax(dim=-1).values
    kept = is_kept.gather(-1, last_renewal)
    return kept.to(x.dtype)


def _mean_squared_error(
    out: Tensor,
    truth: Tensor,
    lengths: Tensor | None,
) -> Tensor:
    if lengths is None:
        return F.mse_loss(out, truth)
    valid = valid_mask(lengths, truth.shape[-1], truth.dtype)
    valid = valid.expand_as(truth)
    error = (out - truth).square() * valid
    return error.sum() / valid.sum()
