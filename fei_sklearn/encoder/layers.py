"""Layers over time: convolution, GELU and batch norm, in the fastest memory layout on the CPU.

Series of unequal length share a batch by zero padding, which :func:`valid_mask` tells from values.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.batch_statistics import batch_is_shared, batch_norm


def valid_mask(
    lengths: Tensor,
    n_steps: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return 1 on the steps of each series and 0 on its padding.

    Parameters
    ----------
    lengths : Tensor of shape (n_samples,)
        Steps of each series.
    n_steps : int
        Steps of the batch, padding included.
    dtype : torch.dtype, default=torch.float32
        Type of the mask.

    Returns
    -------
    Tensor of shape (n_samples, 1, n_steps)
        The mask.
    """
    steps = torch.arange(n_steps, device=lengths.device)
    mask = (steps < lengths[:, None]).to(dtype)
    return mask[:, None]


def time_first(x: Tensor) -> Tensor:
    """Return the same series with the channels of a time point side by side in memory.

    On the CPU, convolutions and batch norms are faster in this layout, and they pass it on: it
    saves up to a third of a training step. Torch has the layout for images alone (channels_last),
    so the layers of this module treat series as images one pixel high, at no cost.
    """
    n_samples, n_channels, n_timepoints = x.shape
    if n_channels == 1:
        # both layouts are the same memory, so a reshape has to set the strides
        rows = x.reshape(n_samples, n_timepoints, 1)
        return rows.transpose(1, 2)
    rows = x.transpose(1, 2).contiguous()
    return rows.transpose(1, 2)


def keep_layout(maps: Tensor) -> None:
    """Let the gradient of maps, on the CPU, arrive in the layout of the maps.

    A mean over time spreads its gradient in the other layout, in which the gradients of batch norm
    and of GELU take seven times as long: a seventh of a step of the small encoder.
    """
    is_time_first = maps.stride(1) == 1
    if is_time_first and maps.requires_grad and maps.device.type == "cpu":
        maps.register_hook(time_first)  # type: ignore[no-untyped-call]


class Conv1d(nn.Conv1d):
    """Convolution over time with a kernel of 1 or 3 and no bias, in training in the faster layout.

    In evaluation mode the layout is torch's own: in the other one, narrow encoders were seen to
    round differently in tiles of 2 and of 16 rows, and an embedding must not depend on the tile.
    """

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        x = time_first(x)
        stride = self.stride[0]
        if self.kernel_size == (1,):
            return _convolve_single_steps(x, self.weight, stride)
        image = F.conv2d(
            x.unsqueeze(2),
            self.weight.unsqueeze(2),
            stride=(1, stride),
            padding=(0, int(self.padding[0])),
        )
        return image.squeeze(2)


def _convolve_single_steps(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the convolution with a kernel of 1 as a matrix product.

    With oneDNN's convolution in its place, training an encoder of width 64 on two threads crashes
    (torch 2.13 on an AMD EPYC).
    """
    rows = x.transpose(1, 2)[:, ::stride]
    matrix = weight[:, :, 0]
    return F.linear(rows, matrix).transpose(1, 2)


class GELU(nn.GELU):
    """GELU of maps in either layout, of each row as if it were alone.

    Torch passes contiguous arrays to oneDNN, whose GELU takes half the time forward and two thirds
    backward. Torch's own GELU, for transposed views, also rounds differently for other numbers of
    rows.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: D102
        if input.stride(1) != 1:
            return super().forward(input)
        rows = input.transpose(1, 2)
        return super().forward(rows).transpose(1, 2)


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm whose statistics leave padding out.

    A single value per channel has no variance: the running statistics are used then, and left as
    they are. For a batch shared by several processes, the statistics cover the whole batch.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(
        self,
        x: Tensor,
        valid: Tensor | None = None,
    ) -> Tensor:
        """Normalise maps.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features, n_steps)
            Maps.
        valid : Tensor of shape (n_samples, 1, n_steps), default=None
            1 on the steps of each series and 0 on padding; None without padding.

        Returns
        -------
        Tensor of shape (n_samples, n_features, n_steps)
            Normalised maps, any number on padding.
        """
        if not self.training:
            return super().forward(x)
        if batch_is_shared():
            return self._with_shared_statistics(x, valid)
        if valid is not None:
            return self._with_masked_statistics(x, valid)
        n_values = x.shape[0] * x.shape[2]
        if n_values <= 1:
            return self._with_running_statistics(x)
        image = super().forward(x.unsqueeze(2))
        return image.squeeze(2)  # an index would copy in the backward pass

    def _with_shared_statistics(
        self,
        x: Tensor,
        valid: Tensor | None,
    ) -> Tensor:
        out, mean, variance, n_values = batch_norm(
            x,
            self.weight,
            self.bias,
            valid,
            self.eps,
        )
        self._update_running_statistics(mean, variance, n_values)
        return out

    def _with_masked_statistics(
        self,
        x: Tensor,
        valid: Tensor,
    ) -> Tensor:
        n_values = valid.sum()  # at least 2: batches of several series, with a step each
        total = (x * valid).sum(dim=(0, 2))
        mean = total / n_values
        centred = (x - mean[:, None]) * valid
        total_square = centred.square().sum(dim=(0, 2))
        variance = total_square / n_values
        self._update_running_statistics(mean.detach(), variance.detach(), n_values)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = (x - mean[:, None]) * scale[:, None]
        return normalised + self.bias[:, None]

    def _with_running_statistics(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=False,
            momentum=0.0,
            eps=self.eps,
        )

    def _update_running_statistics(
        self,
        mean: Tensor,
        variance: Tensor,
        n_values: Tensor,
    ) -> None:
        self.num_batches_tracked.add_(1)
        rate: Any = self.momentum
        if rate is None:
            # torch's cumulative mean, which recalibration sets
            rate = self.num_batches_tracked.to(self.running_mean.dtype).reciprocal()
        unbiased = variance * n_values / (n_values - 1)
        dtype = self.running_mean.dtype
        self.running_mean.lerp_(mean.to(dtype), rate)
        self.running_var.lerp_(unbiased.to(dtype), rate)

    def _check_input_dim(self, input: Tensor) -> None:
        """Let series pass as images, which have one dimension more."""


def initialise(
    module: nn.Module,
    generator: torch.Generator | None,
) -> None:
    """Give the layers of a module torch's default initial weights, drawn from `generator`.

    Convolutions and linear layers: uniform on +- 1 / sqrt(fan_in), biases included. Batch norm: the
    identity, with fresh running statistics.

    Parameters
    ----------
    module : torch.nn.Module
        Module on the CPU, whose layers are initialised in place.
    generator : torch.Generator or None
        Source of the weights; None is torch's global one.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            _draw_uniformly(layer, generator)
        elif isinstance(layer, nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.reset_parameters()


@torch.no_grad()
def _draw_uniformly(
    layer: nn.Conv1d | nn.Linear,
    generator: torch.Generator | None,
) -> None:
    fan_in = layer.weight[0].numel()
    bound = 1.0 / math.sqrt(fan_in)
    layer.weight.uniform_(-bound, bound, generator=generator)
    if layer.bias is not None:
        layer.bias.uniform_(-bound, bound, generator=generator)
