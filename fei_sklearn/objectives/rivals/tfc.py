"""TF-C: a series and its spectrum, each embedded by a network of its own, must agree.

Source: Zhang, Zhao, Tsiligkaridis and Zitnik, "Self-Supervised Contrastive Pre-Training for Time
Series via Time-Frequency Consistency", NeurIPS 2022, 35, 3988-4003. The loss is that of the second
release (January 2023). Departures: two encoders of this package, spectra on a logarithmic scale,
new views at each step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.encoder.maps import BlockEncoder, BlockMaps, rows_by_length
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.base import BuildEncoder
from fei_sklearn.objectives.networks import mean_embedding, seeded_module
from fei_sklearn.objectives.rivals.contrast import two_views
from fei_sklearn.objectives.rivals.projection import ProjectionHead
from fei_sklearn.objectives.rivals.rival import (
    Rival,
    at_least_float32,
    built_encoder,
    own_encoder,
)

TEMPERATURE = 0.2
#: Weight of the contrast within each domain in the loss; the consistency has the weight 1.
WITHIN_WEIGHT = 0.2
#: Standard deviation of the jitter, in standard deviations of the data.
JITTER = 0.8
#: Share of the bins that lose their amplitude.
REMOVED_SHARE = 0.1
#: Share of the bins that gain amplitude.
RAISED_SHARE = 0.1
#: Largest gain of a bin, as a share of the largest amplitude of the series.
RAISE = 0.1
#: Hidden and output features of the projectors.
PROJECTOR_WIDTHS = (256, 128)


class TFCLosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor."""

    loss: Tensor
    time_loss: Tensor
    frequency_loss: Tensor
    consistency_loss: Tensor


class TimeFrequencyEncoder(BlockEncoder):
    """Encoders of a series and of its amplitudes, with their features side by side.

    Parameters
    ----------
    time, frequency : FEIEncoder
        Encoders of equal width D. Features 0 to D - 1 of the map belong to the series, the others
        to its spectrum. Pooled over steps they are the embeddings ``[h_t; h_f]``.
    """

    def __init__(self, time: FEIEncoder, frequency: FEIEncoder) -> None:
        super().__init__()
        self.time = time
        self.frequency = frequency

    @property
    def stage_widths(self) -> list[int]:
        """Number of features of each stage's map, of both encoders together."""
        return [2 * width for width in self.time.stage_widths]

    def block_maps(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> list[BlockMaps]:
        """Return the maps of all blocks of both encoders, features side by side."""
        time_maps = self.time.block_maps(x, lengths)
        spectrum = amplitudes(x, lengths)
        spectrum = rescaled(spectrum, lengths)
        frequency_maps = self.frequency.block_maps(spectrum, lengths)
        pairs = zip(time_maps, frequency_maps, strict=True)
        return [_side_by_side(of_time, of_frequency) for of_time, of_frequency in pairs]


def _side_by_side(time: BlockMaps, frequency: BlockMaps) -> BlockMaps:
    activated = torch.cat([time.activated, frequency.activated], dim=1)
    summed = torch.cat([time.summed, frequency.summed], dim=1)
    return BlockMaps(activated, summed, time.n_steps)


class TFCObjective(Rival):
    """NT-Xent within each domain, and between the projections of both domains.

    Parameters
    ----------
    encoder : TimeFrequencyEncoder
        Both encoders.
    width : int
        Number of features 2 D of both encoders together.
    n_channels : int
        Ignored.
    n_timepoints : int
        Length of the series.
    generator : torch.Generator, default=None
        Source of the projectors' initial weights.
    """

    name = "tfc"
    n_backbones = 2

    encoder: TimeFrequencyEncoder

    @staticmethod
    def build_encoder(
        build: BuildEncoder,
        n_channels: int,
        n_timepoints: int,
        generator: torch.Generator | None,
    ) -> nn.Module:
        """Return two encoders of the same kind, see :class:`TimeFrequencyEncoder`."""
        time = own_encoder(build(n_channels), TFCObjective.name)
        frequency = own_encoder(build(n_channels), TFCObjective.name)
        return TimeFrequencyEncoder(time, frequency)

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
        self.encoder = built_encoder(encoder, TimeFrequencyEncoder, self.name)
        self.n_timepoints = n_timepoints
        widths = (width // 2, *PROJECTOR_WIDTHS)
        self.time_projector = seeded_module(generator, ProjectionHead, *widths)
        self.frequency_projector = seeded_module(generator, ProjectionHead, *widths)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> TFCLosses:
        """Return the losses of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.
        generator : torch.Generator, default=None
            Source of the views, on the device of `x`.

        Returns
        -------
        TFCLosses
            The weighted sum, and its terms.
        """
        x = at_least_float32(x)
        spectrum = amplitudes(x, lengths)
        perturbed = perturb_amplitudes(spectrum, generator=generator)
        jittered = jitter(x, lengths, generator=generator)

        h_time = mean_embedding(self.encoder.time, x, lengths)
        h_jittered = mean_embedding(self.encoder.time, jittered, lengths)
        h_frequency = self._embed_spectrum(spectrum, lengths)
        h_perturbed = self._embed_spectrum(perturbed, lengths)

        time_loss = poly_nt_xent(h_time, h_jittered)
        frequency_loss = poly_nt_xent(h_frequency, h_perturbed)
        z_time = self.time_projector(h_time)
        z_frequency = self.frequency_projector(h_frequency)
        consistency_loss = poly_nt_xent(z_time, z_frequency)
        loss = WITHIN_WEIGHT * (time_loss + frequency_loss) + consistency_loss
        return TFCLosses(loss, time_loss, frequency_loss, consistency_loss)

    def _embed_spectrum(
        self,
        spectrum: Tensor,
        lengths: Tensor | None,
    ) -> Tensor:
        spectrum = rescaled(spectrum, lengths)
        return mean_embedding(self.encoder.frequency, spectrum, lengths)


def poly_nt_xent(
    u: Tensor,
    v: Tensor,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Return the NT-Xent loss of two views with the released code's polynomial term.

    Parameters
    ----------
    u, v : Tensor of shape (n, width)
        The views.
    temperature : float, default=0.2
        Divisor of the cosines.

    Returns
    -------
    Tensor
        0-dim: ``nt + 1 - n / (2 n - 1) * mean(p)``, where p is the probability of an anchor's
        positive.
    """
    n = len(u)
    rows = two_views(u, v, kind="cosine", temperature=temperature)
    probability = torch.exp(-rows).mean()
    weight = n / (2 * n - 1)
    return rows.mean() + 1.0 - weight * probability


def amplitudes(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return the amplitudes of all frequencies, each series over its own time points.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ.

    Returns
    -------
    Tensor of the shape of `x`
        Amplitudes in float32 or float64, zero on padding.
    """
    x = at_least_float32(x)
    with torch.autocast(x.device.type, enabled=False):
        if lengths is None:
            amplitude: Tensor = torch.fft.fft(x).abs()
            return amplitude
        # transforms of one size for all lengths would round by the company of a series
        spectrum = torch.zeros_like(x)
        for length, rows in rows_by_length(lengths):
            series = x[rows, :, :length]
            spectrum[rows, :, :length] = torch.fft.fft(series).abs()
        return spectrum


def rescaled(spectrum: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return ``log(1 + X / L)``: the constant part would dominate the stem's batch norm."""
    n_timepoints: int | Tensor = spectrum.shape[-1]
    if lengths is not None:
        n_timepoints = lengths[:, None, None]
    return torch.log1p(spectrum / n_timepoints)


def jitter(
    x: Tensor,
    lengths: Tensor | None = None,
    *,
    sigma: float = JITTER,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Add noise of `sigma` standard deviations of each channel over the batch.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ. Padding has no part in the deviations.
    sigma : float, default=0.8
        Standard deviation of the noise, in standard deviations of the channel.
    generator : torch.Generator, default=None
        Source of the noise, on the device of `x`.

    Returns
    -------
    Tensor of the shape of `x`
        Noisy series.
    """
    if lengths is None:
        valid = torch.ones_like(x[:, :1])
    else:
        valid = valid_mask(lengths, x.shape[-1], x.dtype)
    n_values = valid.sum()
    mean = (x * valid).sum(dim=(0, 2), keepdim=True) / n_values
    squares = ((x - mean) * valid).square()
    variance = squares.sum(dim=(0, 2), keepdim=True) / n_values
    noise = torch.randn(
        x.shape,
        generator=generator,
        device=x.device,
        dtype=x.dtype,
    )
    return x + sigma * variance.sqrt() * noise


def perturb_amplitudes(
    spectrum: Tensor,
    *,
    removed: float = REMOVED_SHARE,
    raised: float = RAISED_SHARE,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Zero random amplitudes, and raise others by up to a tenth of the largest.

    Parameters
    ----------
    spectrum : Tensor of shape (n_samples, n_channels, n_timepoints)
        Amplitudes.
    removed, raised : float, default=0.1
        Probability that an amplitude is zeroed, and that it is raised.
    generator : torch.Generator, default=None
        Source of the draws, on the device of `spectrum`.

    Returns
    -------
    Tensor of the shape of `spectrum`
        Amplitudes, not negative.
    """
    shape = (3, *spectrum.shape)
    draws = torch.rand(
        shape,
        generator=generator,
        device=spectrum.device,
    )
    removal_draws, raise_draws, sizes = draws
    largest = spectrum.amax(dim=(1, 2), keepdim=True)
    is_raised = raise_draws < raised
    is_kept = removal_draws >= removed
    gain = is_raised * sizes * RAISE * largest
    perturbed: Tensor = spectrum * is_kept + gain
    return perturbed
