"""TF-C: a series and its spectrum, each embedded by a network of its own, must agree.

Source: Zhang, Zhao, Tsiligkaridis and Zitnik, "Self-Supervised Contrastive Pre-Training for Time
Series via Time-Frequency Consistency", NeurIPS 2022, 35, 3988-4003; the loss is that of the second
release (January 2023). Departures: two encoders of the shared kind, spectra on a logarithmic scale,
views drawn anew at each step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.encoder.maps import BlockMaps, feature_maps
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.base import BuildEncoder
from fei_sklearn.objectives.rivals.contrast import two_views
from fei_sklearn.objectives.rivals.projection import ProjectionHead
from fei_sklearn.objectives.rivals.rival import Rival, at_least_float32, drawn, own_encoder
from fei_sklearn.readout.pooling import pool

TEMPERATURE, WITHIN_WEIGHT = 0.2, 0.2
#: Standard deviation of the jitter, in units of the data's.
JITTER = 0.8
#: Share of the bins that lose their amplitude, share of those that gain some, and the most they
#: gain in units of the largest amplitude.
REMOVED_SHARE, RAISED_SHARE, RAISE = 0.1, 0.1, 0.1


class TFCLosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor."""

    loss: Tensor
    time_loss: Tensor
    frequency_loss: Tensor
    consistency_loss: Tensor


class TimeFrequencyEncoder(nn.Module):
    """Encoders of the series and of its amplitudes; the features of both stand side by side.

    Parameters
    ----------
    time, frequency : FEIEncoder
        Of equal width D. Features 0 to D - 1 of the map are of the series, the rest of its
        spectrum; pooled over steps they are the embeddings ``[h_t; h_f]``.
    """

    def __init__(self, time: FEIEncoder, frequency: FEIEncoder) -> None:
        super().__init__()
        self.time, self.frequency = time, frequency

    @property
    def stage_widths(self) -> list[int]:
        """Number of features of each stage's map, of both encoders together."""
        return [2 * width for width in self.time.stage_widths]

    def stages(
        self, x: Tensor, lengths: Tensor | None = None
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Maps of all stages, as :meth:`FEIEncoder.stages` gives them."""
        return [(maps.activated, maps.n_steps) for maps in self.block_maps(x, lengths)[1::2]]

    def block_maps(self, x: Tensor, lengths: Tensor | None = None) -> list[BlockMaps]:
        """Maps of all blocks, as :meth:`FEIEncoder.block_maps` gives them."""
        of_time = self.time.block_maps(x, lengths)
        spectrum = rescaled(amplitudes(x, lengths), lengths)
        of_frequency = self.frequency.block_maps(spectrum, lengths)
        return [
            BlockMaps(
                torch.cat([a.activated, b.activated], dim=1),
                torch.cat([a.summed, b.summed], dim=1),
                a.n_steps,
            )
            for a, b in zip(of_time, of_frequency, strict=True)
        ]

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map of the last stage, of shape (n_samples, 2 D, n_steps)."""
        return self.stages(x, lengths)[-1][0]


class TFCObjective(Rival):
    """NT-Xent within each domain, and between their projections.

    Parameters
    ----------
    encoder : TimeFrequencyEncoder
        Both encoders.
    width : int
        Features 2 D of both.
    n_channels, n_timepoints : int
        Not needed here.
    generator : torch.Generator, default=None
        Source of the projectors' initial weights.
    """

    n_backbones = 2
    encoder: TimeFrequencyEncoder

    @staticmethod
    def build_encoder(
        build: BuildEncoder, n_channels: int, n_timepoints: int, generator: torch.Generator | None
    ) -> nn.Module:
        """Two encoders of the same kind."""
        time, frequency = (own_encoder(build(n_channels), "tfc") for _ in range(2))
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
        assert isinstance(encoder, TimeFrequencyEncoder)
        self.encoder, self.n_timepoints = encoder, n_timepoints
        self.time_projector = drawn(lambda: ProjectionHead(width // 2, 256, 128), generator)
        self.frequency_projector = drawn(lambda: ProjectionHead(width // 2, 256, 128), generator)

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> TFCLosses:
        """Losses of a batch.

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
            The sum, and its terms.
        """
        x = at_least_float32(x)
        spectrum = amplitudes(x, lengths)
        perturbed = perturb_amplitudes(spectrum, generator=generator)
        time = [
            _embed(self.encoder.time, view, lengths)
            for view in (x, jitter(x, lengths, generator=generator))
        ]
        frequency = [
            _embed(self.encoder.frequency, rescaled(view, lengths), lengths)
            for view in (spectrum, perturbed)
        ]
        time_loss = poly_nt_xent(time[0], time[1])
        frequency_loss = poly_nt_xent(frequency[0], frequency[1])
        consistency = poly_nt_xent(
            self.time_projector(time[0]), self.frequency_projector(frequency[0])
        )
        loss = WITHIN_WEIGHT * (time_loss + frequency_loss) + consistency
        return TFCLosses(loss, time_loss, frequency_loss, consistency)


def _embed(encoder: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    return pool(*feature_maps(encoder, x, lengths)[-1])


def poly_nt_xent(u: Tensor, v: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent of two views, (n, width) each, with the released code's polynomial term.

    ``nt + 1 - n / (2 n - 1) * mean(p)``, where p is the probability of an anchor's positive.
    """
    rows = two_views(u, v, kind="cosine", temperature=temperature)
    n = len(u)
    return rows.mean() + 1.0 - n / (2 * n - 1) * torch.exp(-rows).mean()


def amplitudes(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Amplitudes of all frequencies, of the shape of `x`; each series over its own time points."""
    x = at_least_float32(x)
    with torch.autocast(x.device.type, enabled=False):
        if lengths is None:
            whole: Tensor = torch.fft.fft(x).abs()
            return whole
        spectrum = torch.zeros_like(x)
        for n in torch.unique(lengths).tolist():
            rows = torch.nonzero(lengths == n).squeeze(1)
            spectrum[rows, :, :n] = torch.fft.fft(x[rows, :, :n]).abs()
        return spectrum


def rescaled(spectrum: Tensor, lengths: Tensor | None = None) -> Tensor:
    """``log(1 + X / L)``, or the constant part would rule the batch norm of the stem."""
    n: int | Tensor = spectrum.shape[-1] if lengths is None else lengths[:, None, None]
    return torch.log1p(spectrum / n)


def jitter(
    x: Tensor,
    lengths: Tensor | None = None,
    *,
    sigma: float = JITTER,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Add noise of `sigma` standard deviations of each channel over the batch."""
    valid = torch.ones_like(x[:, :1])
    if lengths is not None:
        valid = valid_mask(lengths, x.shape[-1], x.dtype)
    n_values = valid.sum()
    mean = (x * valid).sum(dim=(0, 2), keepdim=True) / n_values
    variance = ((x - mean) * valid).square().sum(dim=(0, 2), keepdim=True) / n_values
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + sigma * variance.sqrt() * noise


def perturb_amplitudes(
    spectrum: Tensor,
    *,
    removed: float = REMOVED_SHARE,
    raised: float = RAISED_SHARE,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Zero some amplitudes at random, and raise some by up to a tenth of the largest."""
    coin = torch.rand((3, *spectrum.shape), generator=generator, device=spectrum.device)
    largest = spectrum.amax(dim=(1, 2), keepdim=True)
    gain = (coin[1] < raised) * coin[2] * RAISE * largest
    return spectrum * (coin[0] >= removed) + gain
