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

#: Channels from which on matrix products are faster than oneDNN's convolutions: input channels for
#: the forward pass and the gradient of the series, output channels for the gradient of the weights.
WIDE_IN = 512
WIDE_OUT = 256

#: Time points that a convolution window covers.
N_TAPS = 3


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
        # autocast does not know the derivative of our own function
        if self.out_channels < WIDE_OUT or torch.is_autocast_enabled("cpu"):
            return _convolve_as_image(x, self.weight, stride)
        out: Tensor = _WideConvolution.apply(x, self.weight, stride)  # type: ignore[no-untyped-call]
        return out


class _WideConvolution(torch.autograd.Function):
    """Convolution of three taps with one step of padding, without a bias.

    Where there are many channels and few steps, oneDNN's convolutions reach at most half the speed
    of matrix products; the gradient of the weights is the slowest. The backward pass gathers the
    windows again, because they take three times the memory of the series.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        stride: int,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        if x.shape[1] < WIDE_IN:
            return _convolve_as_image(x, weight, stride)
        rows = _windows(x, stride) @ _as_matrix(weight).t()
        return rows.transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,
        grad: Tensor,
    ) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        rows = time_first(grad).transpose(1, 2)
        grad_x = None
        grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _gradient_of_series(grad, rows, x, weight, ctx.stride)
        if ctx.needs_input_grad[1]:
            grad_weight = _gradient_of_weight(rows, x, weight, ctx.stride)
        return grad_x, grad_weight, None


def _gradient_of_series(
    grad: Tensor,
    rows: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
) -> Tensor:
    """Return the gradient of `x`; `rows` is `grad` with time before channels."""
    if x.shape[1] >= WIDE_IN:
        windows = rows @ _as_matrix(weight)
        return _sum_of_windows(windows, x.shape[2], stride)
    grad_image, _, _ = torch.ops.aten.convolution_backward(
        grad.unsqueeze(2),
        x.unsqueeze(2),
        weight.unsqueeze(2),
        bias_sizes=None,
        stride=[1, stride],
        padding=[0, 1],
        dilation=[1, 1],
        transposed=False,
        output_padding=[0, 0],
        groups=1,
        output_mask=[True, False, False],
    )
    gradient: Tensor = grad_image.squeeze(2)
    return gradient


def _gradient_of_weight(
    rows: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
) -> Tensor:
    """Return the gradient of `weight`, given the output's, with time before channels."""
    n_out, n_in, n_taps = weight.shape
    windows = _windows(x, stride)
    grads = rows.flatten(0, 1)
    product = grads.t() @ windows.flatten(0, 1)
    return product.view(n_out, n_taps, n_in).transpose(1, 2)


def _convolve_single_steps(
    x: Tensor,
    weight: Tensor,
    stride: int,
) -> Tensor:
    """Return the convolution with a kernel of 1 as a matrix product, in half the time."""
    rows = x.transpose(1, 2)[:, ::stride]
    matrix = weight[:, :, 0]
    return F.linear(rows, matrix).transpose(1, 2)


def _convolve_as_image(
    x: Tensor,
    weight: Tensor,
    stride: int,
) -> Tensor:
    """Return the convolution of series as images one pixel high."""
    image = F.conv2d(
        x.unsqueeze(2),
        weight.unsqueeze(2),
        stride=(1, stride),
        padding=(0, 1),
    )
    return image.squeeze(2)


def _as_matrix(weight: Tensor) -> Tensor:
    """Return weights for windows, of shape (n_out, 3 * n_in)."""
    return weight.transpose(1, 2).flatten(1)


def _windows(
    x: Tensor,
    stride: int,
) -> Tensor:
    """Return the three time points of each step side by side: (n_samples, n_steps, 3 * n_in)."""
    n_samples, n_channels, n_timepoints = x.shape
    n_steps = _n_steps(n_timepoints, stride)
    windows = x.new_zeros((n_samples, n_steps, N_TAPS, n_channels))
    rows = x.transpose(1, 2)
    for tap in range(N_TAPS):
        steps, points = _tap(tap, n_timepoints, stride)
        windows[:, steps, tap] = rows[:, points]
    return windows.flatten(2)


def _sum_of_windows(
    windows: Tensor,
    n_timepoints: int,
    stride: int,
) -> Tensor:
    """Return the adjoint of :func:`_windows`, of shape (n_samples, n_in, n_timepoints)."""
    n_samples, n_steps, _ = windows.shape
    windows = windows.view(n_samples, n_steps, N_TAPS, -1)
    rows = windows.new_zeros((n_samples, n_timepoints, windows.shape[3]))
    for tap in range(N_TAPS):
        steps, points = _tap(tap, n_timepoints, stride)
        rows[:, points] += windows[:, steps, tap]
    return rows.transpose(1, 2)


def _tap(
    tap: int,
    n_timepoints: int,
    stride: int,
) -> tuple[slice, slice]:
    """Return the steps at which a tap falls within the series, and its time points there."""
    first = 1 if tap == 0 else 0  # the first time point of the first window is padding
    n_steps = _n_steps(n_timepoints, stride)
    last = min(n_steps, (n_timepoints - tap) // stride + 1)
    start = stride * first + tap - 1
    stop = start + stride * (last - first)
    return slice(first, last), slice(start, stop, stride)


def _n_steps(
    n_timepoints: int,
    stride: int,
) -> int:
    return -(-n_timepoints // stride)


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
