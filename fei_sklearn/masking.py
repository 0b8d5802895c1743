"""Frequency and time masks: what is removed from a series to make its target series.

A mask is 1 where it keeps and 0 where it removes. Masks are drawn anew for every batch, for all its
series at once, on the device of the batch, from an explicit generator.
"""

from __future__ import annotations

import numbers
from typing import Literal, cast, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

MaskKind = Literal["discrete", "continuous", "temporal"]
MASK_KINDS: tuple[str, ...] = get_args(MaskKind)


def n_positions(n_timepoints: int | Tensor, kind: MaskKind = "discrete") -> int | Tensor:
    """Number of positions that a mask of a series has: its rfft bins, or its time points.

    Parameters
    ----------
    n_timepoints : int or Tensor of shape (n_samples,)
        Length of the series, in time points.
    kind : {"discrete", "continuous", "temporal"}
        What is masked: frequencies ("discrete", "continuous") or time points ("temporal").

    Returns
    -------
    int or Tensor of shape (n_samples,)
        ``n_timepoints // 2 + 1``, or ``n_timepoints`` for temporal masks.
    """
    return n_timepoints if check_mask_kind(kind) == "temporal" else n_timepoints // 2 + 1


def check_mask_ratio(mask_ratio: float | tuple[float, float]) -> tuple[float, float]:
    """Return the mask ratio as a pair (low, high).

    Parameters
    ----------
    mask_ratio : float or pair of float
        Share of the positions that is removed, in [0, 1). A number ``r`` means ``(0, r)``.

    Returns
    -------
    tuple of float
        The lowest and the highest share.

    Raises
    ------
    ValueError
        If a share lies outside [0, 1) or the lowest exceeds the highest.
    TypeError
        If it is neither a number nor a pair of numbers.
    """
    pair = (0.0, mask_ratio) if isinstance(mask_ratio, numbers.Real) else mask_ratio
    try:
        low, high = (float(share) for share in cast(tuple[float, float], pair))
    except (TypeError, ValueError):
        raise TypeError(
            f"mask_ratio must be a number or a pair (low, high), got {mask_ratio!r}."
        ) from None
    if not 0.0 <= low <= high < 1.0:
        raise ValueError(
            f"mask_ratio must satisfy 0 <= low <= high < 1, got {mask_ratio!r}; "
            "0.7 means that up to 70 % of the frequencies are removed."
        )
    return low, high


def check_mask_kind(kind: str) -> MaskKind:
    """Return the mask kind, or raise a ValueError that names the valid ones."""
    if kind not in MASK_KINDS:
        raise ValueError(f"mask_kind must be one of {list(MASK_KINDS)}, got {kind!r}.")
    return cast(MaskKind, kind)


def sample_mask(
    n_samples: int,
    n_positions: int | Tensor,
    mask_ratio: float | tuple[float, float] = (0.0, 0.7),
    kind: MaskKind = "discrete",
    *,
    n_targets: int = 1,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw masks for a batch of series.

    The number of removed positions is uniform on ``round(low * F) .. round(high * F)``, both ends
    included, drawn anew for each mask. "discrete" and "temporal" masks remove a uniformly random
    subset of that size, "continuous" masks one contiguous band at a uniformly random place.

    Parameters
    ----------
    n_samples : int
        Number of series.
    n_positions : int or Tensor of shape (n_samples,)
        Number F of maskable positions of each series, see :func:`n_positions`.
    mask_ratio : float or pair of float, default=(0.0, 0.7)
        Lowest and highest share removed, in [0, 1); a number r means (0, r).
    kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Kind of mask.
    n_targets : int, default=1
        Number of masks for each series.
    generator : torch.Generator, default=None
        Source of randomness, on ``device``.
    device : torch.device or str, default=None
        Where the masks are made.

    Returns
    -------
    Tensor of shape (n_samples, n_targets, max(n_positions)), float32
        1 where the mask keeps. Positions beyond a series' own F are 1.

    Raises
    ------
    ValueError
        For a share outside [0, 1) or an unknown kind.

    References
    ----------
    Fu and Hu, AAAI 2025, section "Frequency Masking" (DFM, CFM, and TDM of the ablation).
    """
    low, high = check_mask_ratio(mask_ratio)
    check_mask_kind(kind)
    if isinstance(n_positions, Tensor):
        sizes = n_positions.to(device=device, dtype=torch.long)
        width = int(sizes.max())
    else:
        sizes = torch.full((n_samples,), n_positions, dtype=torch.long, device=device)
        width = n_positions
    sizes = sizes[:, None, None]
    fewest, most = _rounded(low, sizes), _rounded(high, sizes)
    shape = (n_samples, n_targets, 1)
    n_removed = fewest + _randint(most - fewest + 1, shape, generator, device)
    position = torch.arange(width, device=device)
    if kind == "continuous":
        start = _randint(sizes - n_removed + 1, shape, generator, device)
        removed = (position >= start) & (position < start + n_removed)
    else:
        noise = torch.rand((n_samples, n_targets, width), generator=generator, device=device)
        noise = noise.masked_fill(position >= sizes, torch.inf)
        order = noise.argsort(dim=-1)
        removed = torch.zeros_like(order, dtype=torch.bool)
        removed.scatter_(-1, order, position < n_removed)
    return (~removed).to(torch.float32)


def _rounded(share: float, sizes: Tensor) -> Tensor:
    # round half to even, as Python's round does on each size
    rounded: Tensor = torch.round(share * sizes.to(torch.float64)).to(torch.long)
    return rounded


def _randint(
    n_values: Tensor,
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    device: torch.device | str | None,
) -> Tensor:
    """Uniform integers in 0 .. n_values - 1, with a bound of their own for each element."""
    uniform = torch.rand(shape, generator=generator, device=device)
    # float32 rand can round to n_values in the product: clamp to the last value
    return torch.minimum((uniform * n_values).long(), n_values - 1)


def apply_mask(
    x: Tensor, mask: Tensor, kind: MaskKind = "discrete", *, lengths: Tensor | None = None
) -> Tensor:
    """Remove from each series what its masks remove.

    Frequency masks give ``irfft(rfft(x) * mask, n=L)``, temporal masks ``x * mask``; every channel
    of a series gets the same mask.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    mask : Tensor of shape (n_samples, n_targets, n_positions)
        1 where the mask keeps.
    kind : {"discrete", "continuous", "temporal"}, default="discrete"
        What the positions of the mask are: rfft bins, or time points.
    lengths : Tensor of shape (n_samples,), default=None
        Number of time points of each series, where they differ; the rest of a row is padding,
        and zero in the result. None means that every row is used whole.

    Returns
    -------
    Tensor of shape (n_samples, n_targets, n_channels, n_timepoints)
        The target series.
    """
    mask = mask.to(x.dtype)
    if check_mask_kind(kind) == "temporal":
        if lengths is None:
            return x[:, None] * mask[:, :, None]
        longest = mask.shape[-1]  # what is padding beyond it is zero and stays so
        kept = mask[:, :, None] * _valid(lengths, longest, x.dtype)
        return F.pad(x[:, None, :, :longest] * kept, (0, x.shape[-1] - longest))
    if lengths is None:
        return _filter(x, mask)
    # A spectrum belongs to one length, so each length is transformed on its own.
    target = x.new_zeros((x.shape[0], mask.shape[1], *x.shape[1:]))
    for length in torch.unique(lengths).tolist():
        rows = torch.nonzero(lengths == length).squeeze(1)
        bins = mask[rows, :, : length // 2 + 1]
        target[rows, :, :, :length] = _filter(x[rows, :, :length], bins)
    return target


def _filter(x: Tensor, mask: Tensor) -> Tensor:
    # n= keeps odd lengths whole
    spectrum = torch.fft.rfft(x)[:, None] * mask[:, :, None]
    filtered: Tensor = torch.fft.irfft(spectrum, n=x.shape[-1])
    return filtered


def _valid(lengths: Tensor, n_timepoints: int, dtype: torch.dtype) -> Tensor:
    position = torch.arange(n_timepoints, device=lengths.device)
    return (position < lengths[:, None]).to(dtype)[:, None, None]
