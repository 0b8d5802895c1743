"""Statistics of a batch that is spread over several processes, each holding some of its series.

Inside :func:`shared_batch` every process of the group computes on its own part of one batch, and
what is a statistic of the batch is computed over all parts: the losses are those of one process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

_batch_is_shared: ContextVar[bool] = ContextVar("batch_is_shared", default=False)


@contextmanager
def shared_batch() -> Iterator[None]:
    """Within this block the batch is one of the whole process group's, and here is a part of it."""
    token = _batch_is_shared.set(True)
    try:
        yield
    finally:
        _batch_is_shared.reset(token)


def batch_is_shared() -> bool:
    """Whether the batch at hand is a part of one that is spread over the process group."""
    return _batch_is_shared.get()


def combined_statistics(n: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number, mean and variance of a batch, from those of the part that is here.

    Parameters
    ----------
    n : Tensor of shape ()
        Values of this part.
    mean, variance : Tensor of shape (n_features,)
        Of this part; the variance without Bessel's correction.

    Returns
    -------
    tuple of Tensor
        The same of the whole batch, with the same bits in every process.

    References
    ----------
    T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for Computing the Sample Variance", The
    American Statistician 37(3), 1983.
    """
    own = torch.cat([n.reshape(1).to(mean.dtype), mean, variance])
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    table = torch.stack(parts)
    counts, means, variances = table[:, :1], *table[:, 1:].chunk(2, dim=1)
    total = counts.sum()
    shares = counts / total
    whole = (shares * means).sum(dim=0)
    return total, whole, (shares * (variances + (means - whole).square())).sum(dim=0)


def variance(values: Tensor) -> Tensor:
    """Variance of each feature over the batch, without Bessel's correction.

    Parameters
    ----------
    values : Tensor of shape (n_samples, n_targets, n_features)
        Of the series that are here.

    Returns
    -------
    Tensor of shape (n_features,)
        Over all series of the batch.
    """
    if not batch_is_shared():
        return values.var(dim=(0, 1), correction=0)
    own, mean = torch.var_mean(values, dim=(0, 1), correction=0)
    n = mean.new_tensor(values.shape[0] * values.shape[1])
    return combined_statistics(n, mean, own)[2]


def batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, valid: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Batch norm over all parts of a batch, in training.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_steps)
        The part that is here.
    weight, bias : Tensor of shape (n_channels,)
        Of the layer.
    valid : Tensor of shape (n_samples, 1, n_steps) or None
        1 on a series' own steps, which alone enter the statistics; None takes all.
    eps : float
        Added to the variance.

    Returns
    -------
    tuple of Tensor
        x normalised, and the mean, the variance and the number of values of the whole batch.
    """
    out: tuple[Tensor, Tensor, Tensor, Tensor]
    out = _BatchNorm.apply(x, weight, bias, valid, eps)  # type: ignore[no-untyped-call]
    return out


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, valid: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values = x.to(weight.dtype)
        if valid is None:
            n = values.new_tensor(x.shape[0] * x.shape[2])
            # for its statistics alone: torch.var_mean takes five times as long in this layout
            _, mean, scale = torch.native_batch_norm(
                values.unsqueeze(2), None, None, None, None, True, 0.0, eps
            )
            own = (scale.square().reciprocal() - eps).clamp(min=0.0)
        else:
            n = valid.sum().to(values.dtype)
            mean = (values * valid).sum(dim=(0, 2)) / n
            own = ((values - mean[:, None]) * valid).square().sum(dim=(0, 2)) / n
        n, mean, variance = combined_statistics(n, mean, own)
        ctx.save_for_backward(x, weight, mean, variance, n, valid)
        ctx.eps = eps
        # as images, whose memory layout is kept
        out = F.batch_norm(values.unsqueeze(2), mean, variance, weight, bias, False, 0.0, eps)
        ctx.mark_non_differentiable(mean, variance, n)
        return out.squeeze(2).to(x.dtype), mean, variance, n

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, n, valid = ctx.saved_tensors
        grad, values, scale = (
            grad.to(weight.dtype),
            x.to(weight.dtype),
            (variance + ctx.eps).rsqrt(),
        )
        _, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad.unsqueeze(2),
            values.unsqueeze(2),
            *(weight, mean, variance, None, None, False, ctx.eps, [False, True, True]),
        )
        sums = torch.stack([grad_bias, grad_weight])
        distributed.all_reduce(sums)  # what all parts' losses ask of the mean and the variance
        of_mean, of_variance = sums / n
        grad_x = values - mean[:, None]
        grad_x.mul_((scale * of_variance)[:, None]).add_(of_mean[:, None])
        if valid is not None:
            grad_x.mul_(valid)
        grad_x.neg_().add_(grad).mul_((weight * scale)[:, None])
        return grad_x.to(x.dtype), grad_weight, grad_bias, None, None
