"""Statistics of maps over time, padding left out."""

from __future__ import annotations

import torch
from torch import Tensor

from fei_sklearn.encoder.layers import valid_mask


def pool(
    maps: Tensor,
    n_steps: Tensor | None = None,
    statistic: str = "mean",
) -> Tensor:
    """Summarise maps over time, padding left out.

    Parameters
    ----------
    maps : Tensor of shape (n_samples, width, n_steps)
        Features over time, zero on padding.
    n_steps : Tensor of shape (n_samples,), default=None
        Steps of each series, where they differ.
    statistic : {"mean", "max", "std"}, default="mean"
        "mean" is the paper's; "std" is the population standard deviation.

    Returns
    -------
    Tensor of shape (n_samples, width)
        One vector per series.
    """
    if statistic == "max":
        return _max(maps, n_steps)
    mean = _mean(maps, n_steps)
    if statistic == "mean":
        return mean
    centred = maps - mean[:, :, None]
    variance = _mean(centred.square(), n_steps)
    # the root has no gradient at 0, the variance of a single step, and fine-tuning needs one
    varies = variance > 0
    positive = torch.where(varies, variance, 1.0)
    return torch.where(varies, positive.sqrt(), 0.0)


def _max(
    maps: Tensor,
    n_steps: Tensor | None,
) -> Tensor:
    if n_steps is not None:
        maps = fill_padding(maps, n_steps, -torch.inf)
    return maps.amax(dim=-1)


def _mean(
    maps: Tensor,
    n_steps: Tensor | None,
) -> Tensor:
    if n_steps is None:
        return maps.mean(dim=-1)
    valid = valid_mask(n_steps, maps.shape[-1], maps.dtype)
    total = (maps * valid).sum(dim=-1)
    return total / n_steps[:, None].to(maps.dtype)


def fill_padding(
    maps: Tensor,
    n_steps: Tensor,
    value: float,
) -> Tensor:
    """Return maps with a value at each step beyond the end of its series."""
    padding = valid_mask(n_steps, maps.shape[-1]) == 0
    return maps.masked_fill(padding, value)


def proportion_above(
    maps: Tensor,
    biases: Tensor,
    n_steps: Tensor | None = None,
) -> Tensor:
    """Return the share of the steps at which a map is above each of its biases.

    Parameters
    ----------
    maps : Tensor of shape (n_samples, width, n_steps)
        Features over time.
    biases : Tensor of shape (n_biases, width)
        Biases of each feature.
    n_steps : Tensor of shape (n_samples,), default=None
        Steps of each series, where they differ.

    Returns
    -------
    Tensor of shape (n_samples, n_biases * width)
        The proportions of positive values of MiniRocket, bias by bias.

    References
    ----------
    Dempster, Schmidt and Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time
    Series Classification", KDD 2021.
    """
    if n_steps is None:
        return _share_above(maps, biases)
    valid = valid_mask(n_steps, maps.shape[-1], torch.bool)
    return _share_above(maps, biases, valid)


def proportion_above_in_halves(
    maps: Tensor,
    biases: Tensor,
    n_steps: Tensor | None = None,
) -> Tensor:
    """Return the shares of :func:`proportion_above` in the first and second half of each series.

    The middle step of an odd number of steps belongs to both halves.

    Parameters
    ----------
    maps, biases, n_steps
        As for :func:`proportion_above`.

    Returns
    -------
    Tensor of shape (n_samples, 2 * n_biases * width)
        The first half's shares, bias by bias, and then the second's.
    """
    most_steps = maps.shape[-1]
    if n_steps is None:
        n_half = -(-most_steps // 2)
        of_first = _share_above(maps[..., :n_half], biases)
        of_second = _share_above(maps[..., most_steps - n_half :], biases)
        return torch.cat([of_first, of_second], dim=1)
    first = valid_mask((n_steps + 1) // 2, most_steps, torch.bool)
    before_second = valid_mask(n_steps // 2, most_steps, torch.bool)
    second = valid_mask(n_steps, most_steps, torch.bool) & ~before_second
    of_first = _share_above(maps, biases, first)
    of_second = _share_above(maps, biases, second)
    return torch.cat([of_first, of_second], dim=1)


def _share_above(
    maps: Tensor,
    biases: Tensor,
    where: Tensor | None = None,
) -> Tensor:
    """Return shares of all steps, or of those in the mask `where`, (n_samples, 1, n_steps)."""
    maps = maps.detach()  # a share has no gradient
    # counted in floats, exact below 2 ** 24 steps, because a sum of booleans takes 5 times as long
    dtype = torch.promote_types(maps.dtype, torch.float32)
    above = torch.empty_like(maps, dtype=dtype)
    counts = []
    for bias in biases:
        torch.gt(maps, bias[:, None], out=above)
        counted = above if where is None else above * where
        counts.append(counted.sum(dim=-1))
    n_steps: int | Tensor = maps.shape[-1]
    if where is not None:
        n_steps = where.sum(dim=-1)
    shares = torch.cat(counts, dim=1) / n_steps
    return shares.to(maps.dtype)
