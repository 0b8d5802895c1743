"""The dilated encoder: a bank of dilated convolutions at full resolution, and a thin residual body.

The front end convolves a univariate series with kernels of nine taps whose mean is zero, so that
its maps do not depend on the level of the series. MiniRocket (Dempster et al., KDD 2021) has such
kernels too, but fixed ones. The readout of :mod:`fei_sklearn.readout.front` takes statistics of
these maps; the body is what pretraining needs to train them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import GELU, MaskedBatchNorm1d, initialise, valid_mask
from fei_sklearn.encoder.layout import KERNELS_PER_GROUP, N_DILATIONS, N_GROUPS
from fei_sklearn.encoder.maps import BlockEncoder, BlockMaps, FrontKernels
from fei_sklearn.encoder.resnet import ResidualBlock, map_blocks

#: Taps of a kernel.
N_TAPS = 9

#: Kernels of one dilation.
N_KERNELS = N_GROUPS * KERNELS_PER_GROUP

#: Features of the stages of the body.
STAGE_WIDTHS = (16, 32, 64, 128)

#: Time points of the front end's maps that the body sees as one step.
POOL = 4


class FrontBank(nn.Module):
    """Parallel dilated convolutions of one channel, with zeros around each series."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(N_DILATIONS, N_KERNELS, N_TAPS))

    @property
    def kernels(self) -> Tensor:
        """Kernels, of mean zero by construction, of shape (n_dilations, n_kernels, 9)."""
        return self.weight - self.weight.mean(dim=-1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of series (n_samples, 1, n_timepoints), dilation by dilation."""
        return convolve(x, self.kernels)


def convolve(x: Tensor, kernels: Tensor) -> Tensor:
    """Return the convolutions of series with kernels of dilations 1, 2, 4 and so on.

    One matrix product of nine shifted series takes a third of the time of torch's convolution.

    Parameters
    ----------
    x : Tensor of shape (n_samples, 1, n_timepoints)
        Series.
    kernels : Tensor of shape (n_dilations, n_kernels, n_taps)
        Kernels of each dilation.

    Returns
    -------
    Tensor of shape (n_samples, n_dilations * n_kernels, n_timepoints)
        Maps.
    """
    n_dilations, n_kernels, n_taps = kernels.shape
    n_samples, _, n_timepoints = x.shape
    series = x[:, 0]
    maps = []
    for index in range(n_dilations):
        dilation = 2**index
        margin = n_taps // 2 * dilation
        padded = F.pad(series, (margin, margin))
        shifted = []
        for tap in range(n_taps):
            start = tap * dilation
            shifted.append(padded[:, start : start + n_timepoints])
        windows = torch.stack(shifted).reshape(n_taps, -1)
        of_dilation = kernels[index] @ windows
        maps.append(of_dilation.view(n_kernels, n_samples, n_timepoints))
    return torch.cat(maps).transpose(0, 1)


class Front(nn.Module):
    """Bank of dilated convolutions, batch norm, GELU, average pool by 4."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = FrontBank()
        self.norm = MaskedBatchNorm1d(N_DILATIONS * N_KERNELS)
        self.activation = GELU()

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the pooled map, zero on padding, and the steps of each series."""
        if lengths is None:
            x = self.activation(self.norm(self.bank(x)))
            return _mean_pool(x), None
        valid = valid_mask(lengths, x.shape[-1], x.dtype)
        x = self.bank(x * valid)
        x = self.activation(self.norm(x, valid))
        pooled = _mean_pool(x * valid)
        # a window that is part padding has the mean of its valid steps
        share = _mean_pool(valid)
        pooled = pooled / share.clamp(min=1 / POOL)
        n_steps = torch.div(lengths + POOL - 1, POOL, rounding_mode="floor")
        return pooled, n_steps


def _mean_pool(x: Tensor) -> Tensor:
    """Return means of windows of :data:`POOL` steps; the last window may be shorter."""
    return F.avg_pool1d(x, POOL, ceil_mode=True)


class DilatedEncoder(BlockEncoder):
    """Encoder with a dilated front end: six dilations of sixteen kernels, then four stages.

    Parameters
    ----------
    n_channels : int, default=1
        Channels of the series, which must be one: panels of several channels are encoded channel by
        channel.
    stride : {1, 2}, default=2
        Stride of the first block of each stage but the first stage. A step of the map stands for
        ``4 * stride ** 3`` time points.
    generator : torch.Generator, default=None
        Source of the initial weights. The global random state is never used.

    Raises
    ------
    ValueError
        If there are several channels, or if the stride is neither 1 nor 2.

    Notes
    -----
    The initial kernels of a dilation are groups of eight orthonormal ones: a group spans all
    kernels of nine taps and mean zero.
    """

    n_stages = 4

    def __init__(
        self,
        n_channels: int = 1,
        stride: int = 2,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if n_channels != 1:
            raise ValueError(
                "The dilated encoder takes one channel at a time: use channels='independent' for "
                f"series of {n_channels} channels."
            )
        if stride not in (1, 2):
            raise ValueError(f"stride must be 1 or 2, got {stride}.")
        self.width = STAGE_WIDTHS[-1]
        self.stride = stride
        # on the meta device nothing is drawn: torch's own constructors use the global generator
        with torch.device("meta"):
            self.front = Front()
            self.blocks = nn.ModuleList()
            in_width = N_DILATIONS * N_KERNELS
            for stage, width in enumerate(STAGE_WIDTHS):
                first = ResidualBlock(in_width, width, 1 if stage == 0 else stride)
                second = ResidualBlock(width, width, 1)
                self.blocks.append(nn.ModuleList([first, second]))
                in_width = width
        self.to_empty(device="cpu")
        initialise(self, generator)
        with torch.no_grad():
            self.front.bank.weight.copy_(_orthonormal_kernels(generator))

    @property
    def stage_widths(self) -> list[int]:
        """Number of features of the map of each stage."""
        return list(STAGE_WIDTHS)

    def block_maps(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> list[BlockMaps]:
        """Return the maps of both blocks of all stages, before and after their last GELU.

        Parameters
        ----------
        x, lengths
            As for `stages`.

        Returns
        -------
        list of BlockMaps
            Eight items, from the first stage to the last.
        """
        x, n_steps = self.front(x, lengths)
        return map_blocks(self.blocks, x, n_steps)

    def front_weight(self) -> Tensor:
        """Return the kernels of the front end times the scale of their batch norm.

        Its shift is left out: statistics that compare a map with quantiles of itself do not need
        it. The encoder must not be folded.

        Returns
        -------
        Tensor of shape (n_dilations, n_kernels, 9)
            Kernels, with gradients for fine-tuning.
        """
        norm = self.front.norm
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        kernels = self.front.bank.kernels
        scaled = kernels * scale.view(*kernels.shape[:2], 1)
        # once more, because rounding leaves a mean that a series of a high level would show
        centred: Tensor = scaled - scaled.mean(dim=-1, keepdim=True)
        return centred

    def front_bank(self) -> FrontKernels:
        """Return the kernels of `front_weight` and their dilations as arrays."""
        kernels = self.front_weight().detach().float().cpu().numpy()
        dilations = 2 ** np.arange(N_DILATIONS)
        return FrontKernels(kernels, dilations)

    def step_positions(self, n_timepoints: int) -> Tensor:
        """Return the time points at which the steps of the last stage's map are centred.

        Parameters
        ----------
        n_timepoints : int
            Length of the series.

        Returns
        -------
        Tensor of shape (n_steps,), float64
            Step j is centred at ``4 * stride ** 3 * j + 1.5``: the pool of the front end joins four
            time points, and each later stage's first convolution is centred on every ``stride``-th
            step.
        """
        n_steps = -(-n_timepoints // POOL)
        for _ in range(self.n_stages - 1):
            n_steps = -(-n_steps // self.stride)
        period = POOL * self.stride ** (self.n_stages - 1)
        steps = torch.arange(n_steps, dtype=torch.float64)
        positions: Tensor = period * steps + (POOL - 1) / 2
        return positions


def _orthonormal_kernels(generator: torch.Generator | None) -> Tensor:
    """Return random groups of eight orthonormal kernels of mean zero."""
    constant = torch.ones(N_TAPS, 1)
    others = torch.eye(N_TAPS)[:, 1:]
    vectors = _orthonormal_columns(torch.cat([constant, others], dim=1))
    basis = vectors[:, 1:]
    n_groups = N_DILATIONS * N_GROUPS
    drawn = torch.randn(n_groups, KERNELS_PER_GROUP, KERNELS_PER_GROUP, generator=generator)
    rotations = _orthonormal_columns(drawn)
    kernels: Tensor = rotations @ basis.T
    return torch.reshape(kernels, (N_DILATIONS, N_KERNELS, N_TAPS))


def _orthonormal_columns(matrices: Tensor) -> Tensor:
    """Return the orthonormal factor of matrices; it is unique, because signs are fixed."""
    factors: Tensor
    factors, upper = torch.linalg.qr(matrices)
    signs = torch.sign(torch.diagonal(upper, dim1=-2, dim2=-1))
    return torch.mul(factors, signs[..., None, :])
