"""Convolution over time, on the memory layout and by the kernels that are fastest on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Channels from which on matrix products are faster than oneDNN's convolutions: of what goes in for
#: the pass forward and the gradient of the series, of what comes out for that of the weights.
WIDE_IN, WIDE_OUT = 512, 256


def time_first(x: Tensor) -> Tensor:
    """The same series with the channels of a time point side by side in memory.

    On the CPU, convolutions and batch norms are faster on this layout, which they pass on: up to a
    third of a training step was saved. Torch has it for images alone (channels_last), so the layers
    below take series as images one pixel high, which costs nothing.
    """
    n_samples, n_channels, n_timepoints = x.shape
    # with one channel both layouts are one, and a view has to say which is meant
    one = n_channels == 1
    rows = x.reshape(n_samples, n_timepoints, 1) if one else x.transpose(1, 2).contiguous()
    return rows.transpose(1, 2)


class Conv1d(nn.Conv1d):
    """Convolution over time with a kernel of 1 or 3 and no bias, in training on the faster layout.

    In evaluation it keeps torch's own: narrow encoders were seen to round differently on the other
    in tiles of 2 and of 16 rows, and an embedding must not depend on that.
    """

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        x, stride = time_first(x), self.stride[0]
        if self.kernel_size == (1,):  # a matrix product takes half the time
            rows = x.transpose(1, 2)[:, ::stride]
            return F.linear(rows, self.weight[:, :, 0]).transpose(1, 2)
        if self.out_channels >= WIDE_OUT and not torch.is_autocast_enabled("cpu"):
            out: Tensor = _WideConvolution.apply(x, self.weight, stride)  # type: ignore[no-untyped-call]
            return out
        return _as_image(x, self.weight, stride)


class _WideConvolution(torch.autograd.Function):
    """Convolution of three taps with one step of padding, without a bias.

    Where channels are many and steps are few, oneDNN's convolutions reach half the rate of matrix
    products or less, those for the gradient of the weights most of all. Windows are gathered again
    for the way back, because they take three times the memory of the series.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        if x.shape[1] < WIDE_IN:
            return _as_image(x, weight, stride)
        return (_windows(x, stride) @ _as_matrix(weight).t()).transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, weight), stride = ctx.saved_tensors, ctx.stride
        rows = time_first(grad).transpose(1, 2)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0] and x.shape[1] < WIDE_IN:
            geometry = (None, [1, stride], [0, 1], [1, 1], False, [0, 0], 1)
            images = grad.unsqueeze(2), x.unsqueeze(2), weight.unsqueeze(2)
            only_x = [True, False, False]
            grad_x = torch.ops.aten.convolution_backward(*images, *geometry, only_x)[0].squeeze(2)
        elif ctx.needs_input_grad[0]:
            grad_x = _sum_of_windows(rows @ _as_matrix(weight), x.shape[2], stride)
        if ctx.needs_input_grad[1]:
            windows = _windows(x, stride)
            product = rows.flatten(0, 1).t() @ windows.flatten(0, 1)
            n_out, n_in, n_taps = weight.shape
            grad_weight = product.view(n_out, n_taps, n_in).transpose(1, 2)
        return grad_x, grad_weight, None


def _as_image(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolution of series as images one pixel high."""
    return F.conv2d(x.unsqueeze(2), weight.unsqueeze(2), None, (1, stride), (0, 1)).squeeze(2)


def _as_matrix(weight: Tensor) -> Tensor:
    """Weights for windows, of shape (n_out, 3 * n_in)."""
    return weight.transpose(1, 2).flatten(1)


def _windows(x: Tensor, stride: int) -> Tensor:
    """What each step sees, its three time points side by side: (n_samples, n_steps, 3 * n_in)."""
    n_samples, n_channels, n_timepoints = x.shape
    windows = x.new_zeros((n_samples, -(-n_timepoints // stride), 3, n_channels))
    for tap, (steps, points) in enumerate(_taps(n_timepoints, stride)):
        windows[:, steps, tap] = x.transpose(1, 2)[:, points]
    return windows.flatten(2)


def _sum_of_windows(windows: Tensor, n_timepoints: int, stride: int) -> Tensor:
    """The adjoint of :func:`_windows`, of shape (n_samples, n_in, n_timepoints)."""
    windows = windows.view(*windows.shape[:2], 3, -1)
    x = windows.new_zeros((len(windows), n_timepoints, windows.shape[3]))
    for tap, (steps, points) in enumerate(_taps(n_timepoints, stride)):
        x[:, points] += windows[:, steps, tap]
    return x.transpose(1, 2)


def _taps(n_timepoints: int, stride: int) -> list[tuple[slice, slice]]:
    """For each tap the steps whose time point is within the series, and these time points."""
    n_steps = -(-n_timepoints // stride)
    taps = []
    for tap in range(3):
        first = 1 if tap == 0 else 0  # the first step's first time point is padding
        last = min(n_steps, (n_timepoints - tap) // stride + 1)
        start = stride * first + tap - 1
        taps.append((slice(first, last), slice(start, start + stride * (last - first), stride)))
    return taps
