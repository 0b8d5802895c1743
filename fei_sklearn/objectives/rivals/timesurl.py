"""TimesURL: TS2Vec with a mixed spectrum, mixed negatives, and masked segments to rebuild.

Source: Liu and Chen, "TimesURL: Self-Supervised Contrastive Learning for Universal Time Series
Representation Learning", AAAI 2024, 38(12), 13918-13926. Departures: spectra are mixed as real
series have them (one coin for both halves of a bin; the released code takes a modulus), negatives
are mixed with another series than itself, series are not split in two, weights are not averaged.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fei_sklearn.objectives.rivals.crops import crop_twice, samples_per_step
from fei_sklearn.objectives.rivals.hierarchy import hierarchical_contrast
from fei_sklearn.objectives.rivals.rival import StepwiseRival, at_least_float32, drawn

#: Weight of the contrast across series, and of all contrast beside the reconstruction.
ALPHA, CONTRAST_WEIGHT = 0.8, 0.01
#: Share of the other embedding in a mixed negative.
MIXED_SHARE = 0.8
N_SEGMENTS, SEGMENT_SHARE = 3, 0.05


class TimesURLLosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor."""

    loss: Tensor
    contrast_loss: Tensor
    reconstruction_loss: Tensor


class TimesURLObjective(StepwiseRival):
    """Hierarchical contrast with mixed negatives, and reconstruction of masked segments.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder; the article's time-level contrast wants stride 1.
    width : int
        Features D that the encoder gives.
    n_channels : int
        Channels that the head rebuilds.
    n_timepoints : int
        Not needed here.
    similarity : {"dot", "cosine"}, default="dot"
        As in :class:`fei_sklearn.objectives.rivals.rival.StepwiseRival`.
    generator : torch.Generator, default=None
        Source of the head's initial weights.
    """

    name = "timesurl"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_channels: int,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        super().__init__(encoder, width=width, n_channels=n_channels, **options)
        n_out = n_channels * samples_per_step(self.encoder)
        self.head = drawn(
            lambda: nn.Sequential(
                nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, n_out)
            ),
            generator,
        )

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> TimesURLLosses:
        """Losses of a batch of series, (n_samples, n_channels, n_timepoints)."""
        crops = crop_twice(at_least_float32(x), lengths, samples_per_step(self.encoder), generator)
        first, second = crops.first, mix_spectra(crops.second, generator=generator)
        contrast = hierarchical_contrast(
            self.encoder(first)[..., -crops.n_shared :].mT,
            self.encoder(second)[..., : crops.n_shared].mT,
            alpha=ALPHA,
            kind=self.similarity,
            negatives=lambda z1, z2: torch.cat(
                [mixed_negatives(z1, generator), mixed_negatives(z2, generator)], dim=-2
            ),
        )
        rebuilt = self.reconstruction(first, generator) + self.reconstruction(second, generator)
        return TimesURLLosses(CONTRAST_WEIGHT * contrast + rebuilt, contrast, rebuilt)

    def reconstruction(self, view: Tensor, generator: torch.Generator | None) -> Tensor:
        """Half the mean squared error on the masked segments of a view."""
        kept = segment_mask(view, generator)
        out = self.head(self.encoder(view * kept).mT)  # (n_samples, n_steps, step * n_channels)
        out = out.unflatten(-1, (-1, view.shape[1])).flatten(1, 2).mT
        return masked_error(view, out, kept)


def masked_error(truth: Tensor, rebuilt: Tensor, kept: Tensor) -> Tensor:
    """Half the mean squared error where `kept` is 0."""
    masked = 1.0 - kept
    return 0.5 * ((truth - rebuilt).square() * masked).sum() / masked.sum().clamp(min=1.0)


def mix_spectra(
    x: Tensor, *, rate: float = 0.5, n_protected: int = 3, generator: torch.Generator | None = None
) -> Tensor:
    """Replace random frequencies of each series by those of another series of the batch.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    rate : float, default=0.5
        Chance of a bin to be replaced.
    n_protected : int, default=3
        The strongest bins of a channel are never replaced.
    generator : torch.Generator, default=None
        Source of the draws, on the device of `x`.

    Returns
    -------
    Tensor of the shape of `x`
        Mixed series. A series alone in its batch stays as it is.
    """
    with torch.autocast(x.device.type, enabled=False):
        spectrum = torch.fft.rfft(x)
        replaced = torch.rand(spectrum.shape, generator=generator, device=x.device) < rate
        strongest = spectrum.abs().topk(min(n_protected, spectrum.shape[-1]), dim=-1).indices
        replaced = replaced.scatter(-1, strongest, False)
        other = spectrum[_another(len(x), x.device, generator)]
        mixed: Tensor = torch.fft.irfft(torch.where(replaced, other, spectrum), n=x.shape[-1])
    return mixed


def mixed_negatives(z: Tensor, generator: torch.Generator | None) -> Tensor:
    """Each row of `z`, (..., n, width), mixed with another one."""
    other = z.index_select(-2, _another(z.shape[-2], z.device, generator))
    return (1.0 - MIXED_SHARE) * z + MIXED_SHARE * other


def _another(n: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """For each of n the index of another: a shift, under which none keeps its place."""
    shift = 1 + torch.randint(max(n - 1, 1), (1,), generator=generator, device=device)
    return (torch.arange(n, device=device) + shift) % n


def segment_mask(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Three disjoint segments of a twentieth each, per channel: 1 where kept, of the shape of x.

    All placements of disjoint segments are equally likely.
    """
    n_timepoints = x.shape[-1]
    size = max(1, round(SEGMENT_SHARE * n_timepoints))
    free = max(n_timepoints - N_SEGMENTS * size, 0)
    shape = (*x.shape[:2], N_SEGMENTS)
    gaps = torch.randint(free + 1, shape, generator=generator, device=x.device).sort().values
    start = gaps + size * torch.arange(N_SEGMENTS, device=x.device)
    time = torch.arange(n_timepoints, device=x.device)
    inside = (time >= start[..., None]) & (time < start[..., None] + size)
    return 1.0 - inside.any(dim=-2).to(x.dtype)
