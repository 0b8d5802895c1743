"""Frequency and time masks, which turn a series into its target series.

A mask is 1 where it keeps and 0 where it removes. New masks are drawn for every batch, for all its
series at once, on the device of the batch, from an explicit generator.
"""

from __future__ import annotations

import math
import numbers
from typing import Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fei_sklearn.data import on_device

__all__ = [
    "MASK_KINDS",
    "apply_mask",
    "n_positions",
    "sample_mask",
]

#: Lowest and highest share of the positions that a mask removes; a number r means (0, r).
MaskRatio = float | tuple[float, float]
MaskKind = Literal["discrete", "continuous", "temporal"]
MASK_KINDS: tuple[str, ...] = get_args(MaskKind)


def n_positions(n_timepoints: int | Tensor, kind: MaskKind = "discrete") -> int | Tensor:
    """Return the number of positions of a mask: the rfft bins of a series, or its time points.

    Parameters
    ----------
    n_timepoints : int or Tensor of shape (n_samples,)
        Length of the series, in time points.
    kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Kind of mask. "discrete" and "continuous" masks remove frequencies, "temporal" masks remove
        time points.

    Returns
    -------
    int or Tensor of shape (n_samples,)
        ``n_timepoints // 2 + 1``, or ``n_timepoints`` for temporal masks.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if check_mask_kind(kind) == "temporal":
        return n_timepoints
    return n_timepoints // 2 + 1


def check_mask_ratio(mask_ratio: MaskRatio) -> tuple[float, float]:
    """Return the mask ratio as a pair (low, high).

    Parameters
    ----------
    mask_ratio : float or pair of float
        Lowest and highest share of the positions that a mask removes, in [0, 1). A number ``r``
        means ``(0, r)``.

    Returns
    -------
    tuple of float
        The lowest and the highest share.

    Raises
    ------
    ValueError
        If a share lies outside [0, 1) or the lowest exceeds the highest.
    TypeError
        If the ratio is neither a number nor a pair of numbers.
    """
    pair: object = mask_ratio
    if isinstance(mask_ratio, numbers.Real):
        pair = (0.0, mask_ratio)
    try:
        low, high = map(float, cast(tuple[float, float], pair))
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
    """Return the mask kind, or raise a ValueError that names the valid kinds."""
    if kind not in MASK_KINDS:
        raise ValueError(f"mask_kind must be one of {list(MASK_KINDS)}, got {kind!r}.")
    return cast(MaskKind, kind)


def sample_mask(
    n_samples: int,
    n_positions: int | Tensor,
    mask_ratio: MaskRatio = (0.0, 0.7),
    kind: MaskKind = "discrete",
    *,
    n_targets: int = 1,
    width: int | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw masks for a batch of series.

    The number of removed positions is uniform on ``round(low * F) .. round(high * F)``, both ends
    included, and independent for each mask. "discrete" and "temporal" masks remove a uniformly
    random subset of that size. "continuous" masks remove one band of that size, at a uniformly
    random place.

    Parameters
    ----------
    n_samples : int
        Number of series.
    n_positions : int or Tensor of shape (n_samples,)
        Number F of maskable positions of each series, see :func:`n_positions`.
    mask_ratio : float or pair of float, default=(0.0, 0.7)
        Lowest and highest share of the positions that a mask removes, in [0, 1). A number ``r``
        means ``(0, r)``.
    kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Kind of mask.
    n_targets : int, default=1
        Number of masks per series.
    width : int, default=None
        Positions of each mask where ``n_positions`` is a tensor, at least its largest number. None
        reads that number, for which the host waits for the device.
    generator : torch.Generator, default=None
        Source of randomness, on ``device``.
    device : torch.device or str, default=None
        Device of the masks.

    Returns
    -------
    Tensor of shape (n_samples, n_targets, width), float32
        1 where the mask keeps. Positions beyond a series' own F are 1.

    Raises
    ------
    ValueError
        If a share lies outside [0, 1), or if there is no such kind.
    TypeError
        If the ratio is neither a number nor a pair of numbers.

    References
    ----------
    Fu and Hu, AAAI 2025, section "Frequency Masking" (DFM, CFM, and TDM of the ablation).
    """
    low, high = check_mask_ratio(mask_ratio)
    check_mask_kind(kind)
    sizes: int | Tensor
    if isinstance(n_positions, Tensor):
        sizes = n_positions.to(device=device, dtype=torch.long)[:, None, None]
        if width is None:
            width = int(sizes.max())
    else:
        sizes = n_positions
        width = n_positions
    fewest = _rounded(low, sizes, width)
    most = _rounded(high, sizes, width)
    shape = (n_samples, n_targets, 1)
    n_choices = most - fewest + 1
    n_removed = fewest + _randint(n_choices, shape, generator, device)
    if kind == "continuous":
        n_places = sizes - n_removed + 1
        start = _randint(n_places, shape, generator, device)
        removed = _bands(start, n_removed, width)
    else:
        noise = torch.rand(
            (n_samples, n_targets, width),
            generator=generator,
            device=device,
        )
        removed = _random_subsets(noise, n_removed, sizes)
    return (~removed).to(torch.float32)


def _bands(
    start: Tensor,
    n_removed: Tensor,
    width: int,
) -> Tensor:
    position = torch.arange(width, device=start.device)
    return (position >= start) & (position < start + n_removed)


def _random_subsets(
    noise: Tensor,
    n_removed: Tensor,
    sizes: int | Tensor,
) -> Tensor:
    """Return True at the `n_removed` smallest noises of each mask's first `sizes` positions."""
    width = noise.shape[-1]
    position = torch.arange(width, device=noise.device)
    noise = noise.masked_fill(position >= sizes, torch.inf)
    order = noise.argsort(dim=-1)
    removed = torch.zeros_like(order, dtype=torch.bool)
    return removed.scatter_(-1, order, position < n_removed)


def _rounded(
    share: float,
    sizes: int | Tensor,
    largest: int,
) -> int | Tensor:
    """Return the rounded share of each size, none above `largest`, half to even as `round` does."""
    if isinstance(sizes, int):
        return round(share * sizes)
    # float64 on the host, because not every accelerator has it
    exact = share * np.arange(largest + 1)
    rounded = np.rint(exact).astype(np.int64)
    return on_device(rounded, sizes.device)[sizes]


def _randint(
    n_values: int | Tensor,
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    device: torch.device | str | None,
) -> Tensor:
    """Draw integers from 0 to n_values - 1, where each element may have its own `n_values`."""
    uniform = torch.rand(shape, generator=generator, device=device)
    drawn = (uniform * n_values).long()
    # in float32 the product can round to n_values
    return drawn.clamp(max=n_values - 1)


def apply_mask(
    x: Tensor,
    mask: Tensor,
    kind: MaskKind = "discrete",
    *,
    lengths: Tensor | None = None,
) -> Tensor:
    """Return the target series: each series without what its masks remove.

    Frequency masks give ``irfft(rfft(x) * mask, n=L)``, temporal masks ``x * mask``. All channels
    of a series have the same mask.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    mask : Tensor of shape (n_samples, n_targets, n_positions)
        1 where the mask keeps.
    kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Kind of mask. Its positions are time points if it is "temporal", and rfft bins otherwise.
    lengths : Tensor of shape (n_samples,), default=None
        Number of time points of each series, where they differ. The rest of a row is padding, and
        zero in the result. None means that every row is used whole.

    Returns
    -------
    Tensor of shape (n_samples, n_targets, n_channels, n_timepoints)
        The target series.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    mask = mask.to(x.dtype)
    if check_mask_kind(kind) == "temporal":
        return _remove_time_points(x, mask, lengths)
    if lengths is None:
        return _remove_frequencies(x, mask)
    return _remove_own_frequencies(x, mask, lengths)


def _remove_time_points(
    x: Tensor,
    mask: Tensor,
    lengths: Tensor | None,
) -> Tensor:
    kept = mask[:, :, None]
    if lengths is None:
        return x[:, None] * kept
    # the mask ends at the longest series; the padding beyond it is zero and stays so
    n_timepoints = x.shape[-1]
    longest = mask.shape[-1]
    position = torch.arange(longest, device=lengths.device)
    valid = position < lengths[:, None]
    valid = valid.to(x.dtype)
    kept = kept * valid[:, None, None]
    targets = x[:, None, :, :longest] * kept
    n_beyond = n_timepoints - longest
    return F.pad(targets, (0, n_beyond))


def _remove_frequencies(x: Tensor, mask: Tensor) -> Tensor:
    n_timepoints = x.shape[-1]
    spectrum = torch.fft.rfft(x)
    masked = spectrum[:, None] * mask[:, :, None]
    # without n an odd length would lose its last time point
    targets: Tensor = torch.fft.irfft(masked, n=n_timepoints)
    return targets


def _remove_own_frequencies(x: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
    """Return series without the masked frequencies of their own lengths, zero on padding."""
    n_samples, n_channels, n_timepoints = x.shape
    n_targets, n_bins = mask.shape[1:]
    bin_number = torch.arange(n_timepoints, device=x.device)
    # the upper half of a real series' spectrum mirrors the lower half
    mirrored = torch.minimum(bin_number, lengths[:, None] - bin_number)
    mirrored = mirrored.clamp(min=0, max=n_bins - 1)
    kept = mask.gather(-1, mirrored[:, None].expand(-1, n_targets, -1))
    spectrum = spectra(x, lengths)
    masked = spectrum[:, None] * kept[:, :, None]
    # the inverse transform is the transform of the conjugate, over the length
    conjugate = masked.conj().reshape(n_samples, n_targets * n_channels, n_timepoints)
    series = spectra(conjugate, lengths).real / lengths[:, None, None]
    return series.reshape(masked.shape)


def spectra(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the Fourier transform of each series over its own time points.

    A spectrum belongs to one length. Bluestein's algorithm computes the spectra of all lengths by
    transforms of one size: no length is read from the device, and the number of operators does not
    depend on the number of lengths.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series, real or complex; values on padding are ignored.
    lengths : Tensor of shape (n_samples,)
        Number of time points of each series.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, n_timepoints)
        Complex spectra, zero behind the last bin of each series.

    References
    ----------
    L. Bluestein, "A linear filtering approach to the computation of discrete Fourier transform",
    IEEE Transactions on Audio and Electroacoustics 18(4), 1970.
    """
    n_timepoints = x.shape[-1]
    position = torch.arange(n_timepoints, device=x.device)
    n_own = lengths[:, None]
    # exp(-i pi k^2 / L), whose phase is reduced in integers: k^2 loses digits in float32
    phase = (position * position) % (2 * n_own)
    dtype = x.real.dtype
    angle = phase.to(dtype) * (-math.pi / n_own.to(dtype))
    chirp = torch.polar(torch.ones_like(angle), angle)
    valid = position < n_own
    chirp_within = (chirp * valid)[:, None]

    # 2 jk = j^2 + k^2 - (k - j)^2 turns the transform into a convolution with the inverse chirp
    size = 1 << (2 * n_timepoints - 2).bit_length()
    inverse = chirp.conj()
    kernel = inverse.new_zeros((len(x), 1, size))
    kernel[:, 0, :n_timepoints] = inverse
    kernel[:, 0, size - n_timepoints + 1 :] = inverse[:, 1:].flip(-1)
    transformed = torch.fft.fft(x * chirp_within, n=size)
    convolved = torch.fft.ifft(transformed * torch.fft.fft(kernel))
    of_own_bins: Tensor = convolved[..., :n_timepoints] * chirp_within
    return of_own_bins
