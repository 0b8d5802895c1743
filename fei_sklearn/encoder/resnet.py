"""The encoder of the paper: a stem and four stages of residual blocks over time.

Series of unequal length share a batch by zero padding. With `lengths` given, padding is held at
zero before every convolution and left out of every batch-norm statistic, so a padded series has
the same embedding as the same series alone.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.batch_statistics import batch_is_shared, batch_norm
from fei_sklearn.encoder.layers import Conv1d, time_first

#: Widths of the published encoder sizes.
ENCODER_WIDTHS = {"tiny": 128, "small": 256, "norm": 512, "big": 1024}
STEM_WIDTH = 16
#: Fewest features of a user's own encoder: the predictors halve them twice.
MIN_WIDTH = 4


def valid_mask(lengths: Tensor, n_steps: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """1 on a row's own steps and 0 on its padding, of shape (n_samples, 1, n_steps)."""
    steps = torch.arange(n_steps, device=lengths.device)
    return (steps < lengths[:, None]).to(dtype)[:, None]


def keep_layout(maps: Tensor) -> None:
    """Have the gradient of maps, on the CPU, come back in the layout that they have.

    A mean over time spreads its gradient in the other layout, on which the gradients of batch norm
    and of GELU take seven times as long: a seventh of a step of the small encoder.
    """
    if maps.requires_grad and maps.device.type == "cpu" and maps.stride(1) == 1:
        maps.register_hook(time_first)  # type: ignore[no-untyped-call]


class GELU(nn.GELU):
    """GELU of maps in either layout, of each row as if it were alone.

    Torch gives what lies plainly in memory to oneDNN, whose GELU takes half the time forward and
    two thirds backward. Its own, for transposed views, also rounds by how many rows there are.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: D102
        if input.stride(1) != 1:
            return super().forward(input)
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm whose statistics leave padding out.

    With a single value per channel there is no variance to speak of: the running statistics are
    used then, and left as they are. Of a batch that is spread over several processes they are the
    statistics of all of it.
    """

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:  # noqa: D102
        if not self.training:
            return super().forward(x)
        if batch_is_shared():
            return self._over_all_parts(x, valid)
        if valid is None:
            if x.shape[0] * x.shape[2] > 1:
                return self._as_image(x)
            return self._with_running_statistics(x)
        n_values = valid.sum()  # at least one for each of two series, see data.batches
        mean = (x * valid).sum(dim=(0, 2)) / n_values
        centred = (x - mean[:, None]) * valid
        variance = centred.square().sum(dim=(0, 2)) / n_values
        self._update_running_statistics(mean.detach(), variance.detach(), n_values)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (x - mean[:, None]) * scale[:, None] + self.bias[:, None]

    def _over_all_parts(self, x: Tensor, valid: Tensor | None) -> Tensor:
        out, *statistics = batch_norm(x, self.weight, self.bias, valid, self.eps)
        self._update_running_statistics(*statistics)
        return out

    def _check_input_dim(self, input: Tensor) -> None:
        """Let series pass as images, which have a dimension more."""

    def _as_image(self, x: Tensor) -> Tensor:
        return super().forward(x.unsqueeze(2)).squeeze(2)  # an index would copy, going backward

    def _with_running_statistics(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )

    def _update_running_statistics(self, mean: Tensor, variance: Tensor, n_values: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        # momentum None is torch's cumulative mean, which recalibration asks for
        rate = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        unbiased = variance * n_values / (n_values - 1)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), rate)


class Stem(nn.Module):
    """Convolution over all channels, batch norm, GELU, average pool by 2."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conv = Conv1d(n_channels, STEM_WIDTH, 3, padding=1, bias=False)
        self.norm = MaskedBatchNorm1d(STEM_WIDTH)
        self.activation = GELU()

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:  # noqa: D102
        if lengths is None:
            return F.avg_pool1d(self.activation(self.norm(self.conv(x))), 2), None
        valid = valid_mask(lengths, x.shape[-1], x.dtype)
        x = self.activation(self.norm(self.conv(x * valid), valid))
        lengths = torch.div(lengths, 2, rounding_mode="floor")
        x = F.avg_pool1d(x, 2)
        return x * valid_mask(lengths, x.shape[-1], x.dtype), lengths


class Shortcut(nn.Module):
    """1x1 convolution and batch norm, where a block changes the shape."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = Conv1d(in_width, width, 1, stride=stride, bias=False)
        self.norm = MaskedBatchNorm1d(width)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:  # noqa: D102
        out: Tensor = self.norm(self.conv(x), valid)
        return out


class BlockMaps(NamedTuple):
    """What a residual block gives.

    Attributes
    ----------
    activated : Tensor of shape (n_samples, width, n_steps)
        Its map, zero on padding.
    summed : Tensor of shape (n_samples, width, n_steps)
        The sum that its last GELU is given, which is any number on padding.
    n_steps : Tensor of shape (n_samples,) or None
        Steps of each series, where they differ.
    """

    activated: Tensor
    summed: Tensor
    n_steps: Tensor | None


class ResidualBlock(nn.Module):
    """conv - norm - GELU - conv - norm, plus the shortcut, then GELU."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
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

    def forward(self, x: Tensor, lengths: Tensor | None) -> BlockMaps:  # noqa: D102
        valid = None
        inner = self.conv1(x)
        if lengths is not None:
            lengths = torch.div(lengths + self.stride - 1, self.stride, rounding_mode="floor")
            valid = valid_mask(lengths, inner.shape[-1], x.dtype)
        inner = self.activation(self.norm1(inner, valid))
        if valid is not None:
            inner = inner * valid
        out = self.norm2(self.conv2(inner), valid)
        out = out + (x if self.shortcut is None else self.shortcut(x, valid))
        activated: Tensor = self.last_activation(out)
        return BlockMaps(activated if valid is None else activated * valid, out, lengths)


class FEIEncoder(nn.Module):
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
        self.n_channels, self.width, self.stride = n_channels, width, stride
        # On the meta device nothing is drawn: torch's own constructors use the global generator.
        with torch.device("meta"):
            self.stem = Stem(n_channels)
            self.blocks = nn.ModuleList()
            in_width = STEM_WIDTH
            for stage_width in self.stage_widths:
                first = ResidualBlock(in_width, stage_width, stride)
                second = ResidualBlock(stage_width, stage_width, 1)
                self.blocks.append(nn.ModuleList([first, second]))
                in_width = stage_width
        self.to_empty(device="cpu")
        initialise(self, generator)

    @property
    def stage_widths(self) -> list[int]:
        """Number of features of each stage's map."""
        return [self.width // 8, self.width // 4, self.width // 2, self.width]

    def stages(
        self, x: Tensor, lengths: Tensor | None = None
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Maps of all stages.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, at least 2 time points long.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ; what follows is padding.

        Returns
        -------
        list of (Tensor of shape (n_samples, stage_width, n_steps), Tensor or None)
            The map of each stage, zero on padding, and the number of steps of each series (None
            without `lengths`).
        """
        return [(maps.activated, maps.n_steps) for maps in self.block_maps(x, lengths)[1::2]]

    def block_maps(self, x: Tensor, lengths: Tensor | None = None) -> list[BlockMaps]:
        """Maps of both blocks of all stages, before and after their last GELU.

        Parameters
        ----------
        x, lengths
            As `stages` takes them.

        Returns
        -------
        list of BlockMaps
            Eight of them, from the first stage to the last.
        """
        x, lengths = self.stem(x, lengths)
        maps: list[BlockMaps] = []
        for stage in self.blocks:
            for block in stage:  # type: ignore[attr-defined]
                maps.append(block(x, lengths))
                x, _, lengths = maps[-1]
                keep_layout(x)
        return maps

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map of the last stage, of shape (n_samples, width, n_steps)."""
        return self.stages(x, lengths)[-1][0]

    def step_positions(self, n_timepoints: int) -> Tensor:
        """Time points at which the steps of the last stage's map are centred.

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
        positions: Tensor = period * torch.arange(n_steps, dtype=torch.float64) + 0.5
        return positions


def feature_maps(
    encoder: nn.Module, x: Tensor, lengths: Tensor | None = None, *, all_stages: bool = False
) -> list[tuple[Tensor, Tensor | None]]:
    """Maps of an encoder, whether it is ours or the user's own.

    An encoder with a method ``stages(x, lengths)`` is asked for them. Any other torch module sees
    series of one length at a time, so that no padding reaches it.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ.
    all_stages : bool, default=False
        Whether to give the maps of all stages, or of the last one alone.

    Returns
    -------
    list of (Tensor of shape (n_samples, width, n_steps), Tensor or None)
        Maps, and the number of steps of each series.

    Raises
    ------
    ValueError
        If all stages are asked of an encoder that has none.
    """
    if all_stages:
        check_has_layers(encoder, "all")
    stages = getattr(encoder, "stages", None)
    if stages is not None:
        maps: list[tuple[Tensor, Tensor | None]] = stages(x, lengths)
        return maps if all_stages else maps[-1:]
    if lengths is None:
        return [(encoder(x), None)]
    groups = [torch.nonzero(lengths == n).squeeze(1) for n in torch.unique(lengths)]
    parts = [encoder(x[rows, :, : int(lengths[rows[0]])]) for rows in groups]
    n_steps = torch.empty_like(lengths)
    whole = parts[0].new_zeros((len(x), parts[0].shape[1], max(p.shape[2] for p in parts)))
    for rows, part in zip(groups, parts, strict=True):
        whole[rows, :, : part.shape[2]] = part
        n_steps[rows] = part.shape[2]
    return [(whole, n_steps)]


def check_has_layers(encoder: nn.Module, layers: str) -> None:
    """Raise a ValueError if an encoder cannot give the maps of its stages, or of its blocks."""
    method = {"all": "stages", "blocks": "block_maps"}.get(layers)
    if method is not None and not hasattr(encoder, method):
        raise ValueError(
            f"layers={layers!r} needs an encoder with a method {method}(x, lengths), "
            f"{type(encoder).__name__} has none; use layers='last'."
        )


@torch.no_grad()
def map_widths(encoder: nn.Module, n_channels: int, n_timepoints: int) -> tuple[int, ...]:
    """Features of the maps of each stage, the last one last; without stages, of the one map.

    Raises
    ------
    ValueError
        If a foreign encoder does not give (n_samples, width, n_steps).
    """
    stage_widths = getattr(encoder, "stage_widths", None)
    if stage_widths is not None:
        return tuple(stage_widths)
    was_training, x = encoder.training, torch.zeros((2, n_channels, n_timepoints))
    out = encoder.eval()(x)
    stages: Any = getattr(encoder, "stages", None)
    earlier = [] if stages is None else stages(x, None)[:-1]
    encoder.train(was_training)
    if not isinstance(out, Tensor) or out.ndim != 3 or len(out) != 2:
        got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            "An encoder must map (n_samples, n_channels, n_timepoints) to (n_samples, width, "
            f"n_steps); for {(2, n_channels, n_timepoints)} it gave {got}."
        )
    if out.shape[1] < MIN_WIDTH:
        raise ValueError(
            f"An encoder must have a width of at least {MIN_WIDTH}, {type(encoder).__name__} has "
            f"{out.shape[1]}."
        )
    return (*(int(maps.shape[1]) for maps, _ in earlier), int(out.shape[1]))


def initialise(module: nn.Module, generator: torch.Generator | None) -> None:
    """Give a module's layers torch's default initial weights, drawn from `generator`.

    Convolutions and linear layers: uniform on +- 1 / sqrt(fan_in), biases included. Batch norm: the
    identity, with fresh running statistics.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            bound = 1.0 / math.sqrt(layer.weight[0].numel())
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                if layer.bias is not None:
                    layer.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(layer, nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.reset_parameters()
