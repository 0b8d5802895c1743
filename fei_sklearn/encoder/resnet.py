"""The encoder of the paper: a stem and four stages of residual blocks over time.

Series of unequal length share a batch by zero padding. With `lengths` given, padding is held at
zero before every convolution and left out of every batch-norm statistic, so a padded series has
the same embedding as the same series alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import (
    GELU,
    Conv1d,
    MaskedBatchNorm1d,
    initialise,
    keep_layout,
    valid_mask,
)
from fei_sklearn.encoder.layout import BLOCKS_PER_STAGE
from fei_sklearn.encoder.maps import BlockEncoder, BlockMaps

#: Widths of the published encoder sizes.
ENCODER_WIDTHS = {"tiny": 128, "small": 256, "norm": 512, "big": 1024}
STEM_WIDTH = 16


class Stem(nn.Module):
    """Convolution over all channels, batch norm, GELU, average pool by 2."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conv = Conv1d(n_channels, STEM_WIDTH, 3, padding=1, bias=False)
        self.norm = MaskedBatchNorm1d(STEM_WIDTH)
        self.activation = GELU()

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the map of the stem, zero on padding, and the steps of each series."""
        if lengths is None:
            x = self.activation(self.norm(self.conv(x)))
            return F.avg_pool1d(x, 2), None
        valid = valid_mask(lengths, x.shape[-1], x.dtype)
        x = self.conv(x * valid)
        x = self.activation(self.norm(x, valid))
        x = F.avg_pool1d(x, 2)
        n_steps = torch.div(lengths, 2, rounding_mode="floor")
        valid = valid_mask(n_steps, x.shape[-1], x.dtype)
        return x * valid, n_steps


class Shortcut(nn.Module):
    """1x1 convolution and batch norm, where a block changes the shape."""

    def __init__(
        self,
        in_width: int,
        width: int,
        stride: int,
    ) -> None:
        super().__init__()
        self.conv = Conv1d(in_width, width, 1, stride=stride, bias=False)
        self.norm = MaskedBatchNorm1d(width)

    def forward(
        self,
        x: Tensor,
        valid: Tensor | None,
    ) -> Tensor:
        """Return maps in the shape of the block's output, any number on padding."""
        out: Tensor = self.norm(self.conv(x), valid)
        return out


def _divide_rounding_up(lengths: Tensor, stride: int) -> Tensor:
    return torch.div(lengths + stride - 1, stride, rounding_mode="floor")


class ResidualBlock(nn.Module):
    """conv - norm - GELU - conv - norm, plus the shortcut, then GELU."""

    def __init__(
        self,
        in_width: int,
        width: int,
        stride: int,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = Conv1d(in_width, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = MaskedBatchNorm1d(width)
        self.activation = GELU()
        self.conv2 = Conv1d(width, width, 3, padding=1, bias=False)
        self.norm2 = MaskedBatchNorm1d(width)
        self.last_activation = GELU()
        changes_shape = stride != 1 or in_width != width
        self.shortcut = Shortcut(in_width, width, stride) if changes_shape else None

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None,
    ) -> BlockMaps:
        """Return the maps of the block for maps `x`, zero on padding."""
        inner = self.conv1(x)
        n_steps = None
        valid = None
        if lengths is not None:
            n_steps = _divide_rounding_up(lengths, self.stride)
            valid = valid_mask(n_steps, inner.shape[-1], x.dtype)
        inner = self.activation(self.norm1(inner, valid))
        if valid is not None:
            inner = inner * valid
        out = self.norm2(self.conv2(inner), valid)
        if self.shortcut is not None:
            x = self.shortcut(x, valid)
        out = out + x
        activated: Tensor = self.last_activation(out)
        if valid is not None:
            activated = activated * valid
        return BlockMaps(activated, out, n_steps)


class FEIEncoder(BlockEncoder):
    """1-D ResNet from series to a map of features over time.

    Parameters
    ----------
    n_channels : int
        Channels of the series; the stem mixes them.
    width : int, default=256
        Features D of the last stage, a multiple of 8. The stages have D/8, D/4, D/2 and D.
    stride : {1, 2}, default=2
        Stride of each stage's first block. A step of the map stands for ``2 * stride ** 4`` time
        points.
    generator : torch.Generator, default=None
        Source of the initial weights, which follow torch's own initialisation. The global random
        state is never used.

    Raises
    ------
    ValueError
        If the width or the stride is none of these.

    References
    ----------
    Fu and Hu, AAAI 2025, appendix "Encoder".
    """

    n_stages = 4

    def __init__(
        self,
        n_channels: int,
        width: int = 256,
        stride: int = 2,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if width < 8 or width % 8:
            raise ValueError(
                f"The width of the encoder must be a positive multiple of 8, got {width}."
            )
        if stride not in (1, 2):
            raise ValueError(f"stride must be 1 or 2, got {stride}.")
        self.n_channels = n_channels
        self.width = width
        self.stride = stride
        # on the meta device nothing is drawn: torch's own constructors use the global generator
        with torch.device("meta"):
            self.stem = Stem(n_channels)
            self.blocks = nn.ModuleList()
            in_width = STEM_WIDTH
            for stage_width in self.stage_widths:
                self.blocks.append(_stage(in_width, stage_width, stride))
                in_width = stage_width
        self.to_empty(device="cpu")
        initialise(self, generator)

    @property
    def stage_widths(self) -> list[int]:
        """Number of features of the map of each stage."""
        width = self.width
        return [width // 8, width // 4, width // 2, width]

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
        x, n_steps = self.stem(x, lengths)
        return map_blocks(self.blocks, x, n_steps)

    def step_positions(self, n_timepoints: int) -> Tensor:
        """Return the time points at which the steps of the last stage's map are centred.

        Parameters
        ----------
        n_timepoints : int
            Length of the series.

        Returns
        -------
        Tensor of shape (n_steps,), float64
            Step j is centred at ``2 * stride ** 4 * j + 0.5``: the pool of the stem joins time
            points 2 i and 2 i + 1, and each stage's first convolution is centred on every
            ``stride``-th step.
        """
        n_steps = n_timepoints // 2
        for _ in range(self.n_stages):
            n_steps = -(-n_steps // self.stride)
        period = 2 * self.stride**self.n_stages
        steps = torch.arange(n_steps, dtype=torch.float64)
        positions: Tensor = period * steps + 0.5
        return positions


def map_blocks(stages: nn.ModuleList, x: Tensor, n_steps: Tensor | None) -> list[BlockMaps]:
    """Return the maps of the blocks of all stages, each block on the map before it.

    Parameters
    ----------
    stages : torch.nn.ModuleList
        Lists of residual blocks.
    x : Tensor of shape (n_samples, width, n_steps)
        Input of the first block.
    n_steps : Tensor of shape (n_samples,) or None
        Steps of `x` for each series, where they differ.
    """
    maps: list[BlockMaps] = []
    for stage in stages:
        for block in stage:  # type: ignore[attr-defined]
            of_block = block(x, n_steps)
            maps.append(of_block)
            x = of_block.activated
            n_steps = of_block.n_steps
            keep_layout(x)
    return maps


def _stage(
    in_width: int,
    width: int,
    stride: int,
) -> nn.ModuleList:
    """Return the blocks of a stage. The first one changes the shape."""
    blocks = nn.ModuleList([ResidualBlock(in_width, width, stride)])
    while len(blocks) < BLOCKS_PER_STAGE:
        blocks.append(ResidualBlock(width, width, 1))
    return blocks
