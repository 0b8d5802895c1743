"""Statistics of a batch that several processes share, each with some of its series.

Inside :func:`shared_batch` every process of the group computes on its own share of one batch.
Statistics of the batch are then computed over all shares, so that the losses are the same as in one
process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

#: Normalised maps; mean, variance and number of values of the whole batch.
Normalised = tuple[Tensor, Tensor, Tensor, Tensor]

_batch_is_shared: ContextVar[bool] = ContextVar("batch_is_shared", default=False)


class Statistics(NamedTuple):
    """Statistics over the series and time of a batch.

    Attributes
    ----------
    n : Tensor of shape ()
        Number of values.
    mean : Tensor of shape (n_features,)
        Mean of each feature.
    variance : Tensor of shape (n_features,)
        Variance of each feature, without Bessel's correction.
    """

    n: Tensor
    mean: Tensor
    variance: Tensor


@contextmanager
def shared_batch() -> Iterator[None]:
    """Declare that each process of the group computes on a share of one batch."""
    token = _batch_is_shared.set(True)
    try:
        yield
    finally:
        _batch_is_shared.reset(token)


def batch_is_shared() -> bool:
    """Return whether the present batch is shared by the process group."""
    return _batch_is_shared.get()


def combined_statistics(
    n: Tensor,
    mean: Tensor,
    variance: Tensor,
) -> Statistics:
    """Combine the statistics of all processes' shares into the statistics of the batch.

    Every process of the group must call this function.

    Parameters
    ----------
    n : Tensor of shape ()
        Number of values of this share.
    mean : Tensor of shape (n_features,)
        Mean over this share.
    variance : Tensor of shape (n_features,)
        Variance over this share, without Bessel's correction.

    Returns
    -------
    Statistics
        Number, mean and variance of the batch, with the same bits in every process.

    References
    ----------
    T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for Computing the Sample Variance", The
    American Statistician 37(3), 1983.
    """
    count = n.reshape(1).to(mean.dtype)
    row = torch.cat([count, mean, variance])
    n_processes = distributed.get_world_size()
    rows = [torch.empty_like(row) for _ in range(n_processes)]
    distributed.all_gather(rows, row)
    table = torch.stack(rows)
    counts = table[:, :1]
    means, variances = table[:, 1:].chunk(2, dim=1)
    total = counts.sum()
    weights = counts / total
    whole_mean = (weights * means).sum(dim=0)
    between = (means - whole_mean).square()
    whole_variance = weights * (variances + between)
    return Statistics(total, whole_mean, whole_variance.sum(dim=0))


def variance(values: Tensor) -> Tensor:
    """Return the variance of each feature over the batch, without Bessel's correction.

    Parameters
    ----------
    values : Tensor of shape (n_samples, n_targets, n_features)
        Values of the series of this process.

    Returns
    -------
    Tensor of shape (n_features,)
        Variance over all series of the batch.
    """
    if not batch_is_shared():
        return values.var(dim=(0, 1), correction=0)
    n_samples, n_targets, _ = values.shape
    own_variance, own_mean = torch.var_mean(
        values,
        dim=(0, 1),
        correction=0,
    )
    n = own_mean.new_full((), n_samples * n_targets)
    return combined_statistics(n, own_mean, own_variance).variance


def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    valid: Tensor | None,
    eps: float,
) -> Normalised:
    """Normalise the share of this process by the statistics of the whole batch, in training.

    Every process of the group must call this function, and its backward pass.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_steps)
        Maps of the series of this process.
    weight, bias : Tensor of shape (n_channels,)
        Parameters of the layer.
    valid : Tensor of shape (n_samples, 1, n_steps) or None
        1 on a series' own steps, which alone enter the statistics. None means all steps.
    eps : float
        Number that is added to the variance.

    Returns
    -------
    tuple of Tensor
        Normalised maps; mean, variance and number of values of the whole batch.
    """
    out: Normalised
    out = _BatchNorm.apply(x, weight, bias, valid, eps)  # type: ignore[no-untyped-call]
    return out


class _BatchNorm(torch.autograd.Function):
    """Batch norm whose gradient takes account of the other processes' losses."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        valid: Tensor | None,
        eps: float,
    ) -> Normalised:
        values = x.to(weight.dtype)
        own = _own_statistics(values, valid, eps)
        n, mean, variance = combined_statistics(*own)
        ctx.save_for_backward(x, weight, mean, variance, n, valid)
        ctx.eps = eps
        # as images: torch keeps their memory layout
        images = values.unsqueeze(2)
        out = F.batch_norm(images, mean, variance, weight, bias, eps=eps)
        ctx.mark_non_differentiable(mean, variance, n)
        return out.squeeze(2).to(x.dtype), mean, variance, n

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, n, valid = ctx.saved_tensors
        grad = grad.to(weight.dtype)
        values = x.to(weight.dtype)
        scale = (variance + ctx.eps).rsqrt()
        needed = [False, True, True]  # gradients of the input, the weight and the bias
        _, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad.unsqueeze(2),
            values.unsqueeze(2),
            weight,
            mean,
            variance,
            None,
            None,
            False,
            ctx.eps,
            needed,
        )
        # the mean and the variance depend on all shares, and the losses of all depend on them
        sums = torch.stack([grad_bias, grad_weight])
        distributed.all_reduce(sums)
        grad_mean, grad_variance = sums / n
        variance_factor = scale * grad_variance
        grad_x = values - mean[:, None]
        grad_x.mul_(variance_factor[:, None])
        grad_x.add_(grad_mean[:, None])
        if valid is not None:
            grad_x.mul_(valid)
        grad_x.neg_().add_(grad)
        factor = weight * scale
        grad_x.mul_(factor[:, None])
        return grad_x.to(x.dtype), grad_weight, grad_bias, None, None


def _own_statistics(
    values: Tensor,
    valid: Tensor | None,
    eps: float,
) -> Statistics:
    """Return statistics of maps (n_samples, n_channels, n_steps) where `valid` is 1."""
    if valid is not None:
        n = valid.sum().to(values.dtype)
        mean = (values * valid).sum(dim=(0, 2)) / n
        centred = (values - mean[:, None]) * valid
        variance = centred.square().sum(dim=(0, 2)) / n
        return Statistics(n, mean, variance)
    n_samples, _, n_steps = values.shape
    n = values.new_full((), n_samples * n_steps)
    # batch norm for its statistics alone: var_mean takes five times as long in this layout
    images = values.unsqueeze(2)
    _, mean, inverse_deviation = torch.native_batch_norm(
        images, None, None, None, None, True, 0.0, eps
    )
    variance = inverse_deviation.square().reciprocal() - eps
    return Statistics(n, mean, variance.clamp(min=0.0))
