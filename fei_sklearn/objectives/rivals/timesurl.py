"""TimesURL: TS2Vec with a mixed spectrum, mixed negatives, and masked segments to rebuild.

Source: Liu and Chen, "TimesURL: Self-Supervised Contrastive Learning for Universal Time Series
Representation Learning", AAAI 2024, 38(12), 13918-13926. Departures: complex spectra are mixed,
where the released code takes their modulus; a negative is never mixed with itself; series are not
split in two; weights are not averaged over the run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fei_sklearn.objectives.networks import seeded_module
from fei_sklearn.objectives.rivals.crops import crop_twice, samples_per_step
from fei_sklearn.objectives.rivals.hierarchy import hierarchical_contrast
from fei_sklearn.objectives.rivals.rival import StepwiseRival, at_least_float32

#: Weight of the contrast across series; the contrast across time has the rest.
ALPHA = 0.8
#: Weight of the contrast in the loss; the reconstruction has the weight 1.
CONTRAST_WEIGHT = 0.01
#: Share of the other embedding in a mixed negative.
MIXED_SHARE = 0.8
#: Number of masked segments per channel.
N_SEGMENTS = 3
#: Length of a masked segment, as a share of the view.
SEGMENT_SHARE = 0.05


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
        The encoder; the article's contrast across time needs stride 1.
    width : int
        Number of features D of the encoder.
    n_channels : int
        Number of channels that the head rebuilds.
    n_timepoints : int
        Length of the series.
    similarity : {"dot", "cosine"}, default="dot"
        See :class:`fei_sklearn.objectives.rivals.rival.StepwiseRival`.
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
        super().__init__(
            encoder,
            width=width,
            n_channels=n_channels,
            **options,
        )
        n_out = n_channels * samples_per_step(self.encoder)
        self.head = seeded_module(generator, _reconstruction_head, width, n_out)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> TimesURLLosses:
        """Return the losses of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.
        generator : torch.Generator, default=None
            Source of all draws, on the device of `x`.

        Returns
        -------
        TimesURLLosses
            The weighted sum, and its terms.
        """

        def negatives(z1: Tensor, z2: Tensor) -> Tensor:
            first_mixed = mixed_negatives(z1, generator)
            second_mixed = mixed_negatives(z2, generator)
            return torch.cat([first_mixed, second_mixed], dim=-2)

        x = at_least_float32(x)
        step = samples_per_step(self.encoder)
        crops = crop_twice(x, lengths, step, generator)
        first = crops.first
        second = mix_spectra(crops.second, generator=generator)
        contrast = hierarchical_contrast(
            crops.shared_in_first(self.encoder(first)),
            crops.shared_in_second(self.encoder(second)),
            alpha=ALPHA,
            kind=self.similarity,
            negatives=negatives,
        )
        first_error = self.reconstruction(first, generator)
        second_error = self.reconstruction(second, generator)
        reconstruction = first_error + second_error
        loss = CONTRAST_WEIGHT * contrast + reconstruction
        return TimesURLLosses(loss, contrast, reconstruction)

    def reconstruction(
        self,
        view: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return half the mean squared error on the masked segments of a view."""
        n_samples, n_channels, _ = view.shape
        kept = segment_mask(view, generator)
        features = self.encoder(view * kept).mT
        # the head rebuilds the time points of a step one after the other
        rebuilt = self.head(features).reshape(n_samples, -1, n_channels).mT
        return masked_error(view, rebuilt, kept)


def _reconstruction_head(width: int, n_out: int) -> nn.Sequential:
    hidden = 4 * width
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.ReLU(),
        nn.Linear(hidden, n_out),
    )


def masked_error(
    truth: Tensor,
    rebuilt: Tensor,
    kept: Tensor,
) -> Tensor:
    """Return half the mean squared error where `kept` is 0."""
    masked = 1.0 - kept
    error = (truth - rebuilt).square() * masked
    n_masked = masked.sum().clamp(min=1.0)
    return 0.5 * error.sum() / n_masked


def mix_spectra(
    x: Tensor,
    *,
    rate: float = 0.5,
    n_protected: int = 3,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Replace random frequencies of each series by those of another series of the batch.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    rate : float, default=0.5
        Probability that a bin is replaced.
    n_protected : int, default=3
        Number of strongest bins per channel that are never replaced.
    generator : torch.Generator, default=None
        Source of the draws, on the device of `x`.

    Returns
    -------
    Tensor of the shape of `x`
        Mixed series. A batch of one series is returned as it is.
    """
    with torch.autocast(x.device.type, enabled=False):
        spectrum = torch.fft.rfft(x)
        draws = torch.rand(
            spectrum.shape,
            generator=generator,
            device=x.device,
        )
        n_protected = min(n_protected, spectrum.shape[-1])
        strongest = spectrum.abs().topk(n_protected)
        replaced = draws < rate
        replaced = replaced.scatter(-1, strongest.indices, False)
        index = _another(len(x), x.device, generator)
        other = spectrum[index]
        mixed = torch.where(replaced, other, spectrum)
        mixed_series: Tensor = torch.fft.irfft(mixed, n=x.shape[-1])
    return mixed_series


def mixed_negatives(z: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return each row of `z`, (..., n, width), mixed with another row."""
    index = _another(z.shape[-2], z.device, generator)
    other = z.index_select(-2, index)
    return (1.0 - MIXED_SHARE) * z + MIXED_SHARE * other


def _another(
    n: int,
    device: torch.device,
    generator: torch.Generator | None,
) -> Tensor:
    """Return another index for each of 0 .. n - 1: all indices are shifted by one random number."""
    n_shifts = max(n - 1, 1)
    shift = 1 + torch.randint(
        n_shifts,
        (1,),
        generator=generator,
        device=device,
    )
    index = torch.arange(n, device=device)
    return (index + shift) % n


def segment_mask(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw a mask of three disjoint segments per channel, each a twentieth of the series.

    All placements of disjoint segments are equally likely.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    generator : torch.Generator or None
        Source of the placements, on the device of `x`.

    Returns
    -------
    Tensor of the shape of `x`
        1 where the mask keeps.
    """
    n_samples, n_channels, n_timepoints = x.shape
    size = max(1, round(SEGMENT_SHARE * n_timepoints))
    n_free = max(n_timepoints - N_SEGMENTS * size, 0)
    shape = (n_samples, n_channels, N_SEGMENTS)
    n_free_before = torch.randint(
        n_free + 1,
        shape,
        generator=generator,
        device=x.device,
    )
    n_free_before = n_free_before.sort().values
    n_masked_before = size * torch.arange(N_SEGMENTS, device=x.device)
    start = (n_free_before + n_masked_before)[..., None]
    time = torch.arange(n_timepoints, device=x.device)
    masked = (time >= start) & (time < start + size)
    masked_by_any = masked.any(dim=-2)
    return 1.0 - masked_by_any.to(x.dtype)
