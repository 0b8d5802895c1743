"""InfoTS's seven candidate augmentations of a batch of series of one length.

Source: Luo et al., InfoTS, AAAI 2023. Warps are drawn as positions at which a series is read
between its time points, for a whole batch at once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Generator = torch.Generator | None

N_SPEEDS, SPEED_RATIO = 101, 10.0


def candidates(x: Tensor, generator: Generator) -> Tensor:
    """All augmentations of a batch.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Standardised series, of at least 2 time points.
    generator : torch.Generator or None
        Source of the draws, on the device of `x`.

    Returns
    -------
    Tensor of shape (7, n_samples, n_channels, n_timepoints)
        Subsequence, cutout, jitter, scaling, time warp, window slice, window warp.
    """
    return torch.stack([augment(x, generator) for augment in AUGMENTATIONS])


def subsequence(x: Tensor, generator: Generator) -> Tensor:
    """Keep one window, the same for all series, and zero the rest."""
    size = 2 + _integers(x.shape[-1] - 1, x, generator, 1)
    start = (_uniform(x, generator, 1) * (x.shape[-1] - size + 1)).long()
    return x * _inside(x, start, size)


def cutout(x: Tensor, generator: Generator) -> Tensor:
    """Zero one window of a tenth, the same for all series."""
    size = x.shape[-1] // 10
    start = _integers(x.shape[-1] - size - 1, x, generator, 1)
    return x * ~_inside(x, start, torch.full_like(start, size))


def jitter(x: Tensor, generator: Generator) -> Tensor:
    """Add noise of standard deviation 0.3."""
    return x + 0.3 * _normal(x, generator, *x.shape)


def scaling(x: Tensor, generator: Generator) -> Tensor:
    """Multiply each channel of each series by a factor of mean 1 and standard deviation 0.5."""
    return x * (1.0 + 0.5 * _normal(x, generator, *x.shape[:2], 1))


def time_warp(x: Tensor, generator: Generator) -> Tensor:
    """Read each series at a speed that changes smoothly."""
    speeds = _uniform(x, generator, len(x), N_SPEEDS)
    return read_at(x, warp_positions(speeds, x.shape[-1]))


def window_slice(x: Tensor, generator: Generator) -> Tensor:
    """Stretch a window of half the length, of each series another, to the whole."""
    n_timepoints = x.shape[-1]
    size = math.ceil(0.5 * n_timepoints)
    start = _integers(n_timepoints - size, x, generator, len(x), 1)
    time = torch.arange(n_timepoints, device=x.device, dtype=x.dtype)
    inside = ((time + 0.5) * size / n_timepoints - 0.5).clamp(0, size - 1)
    return read_at(x, start + inside)


def window_warp(x: Tensor, generator: Generator) -> Tensor:
    """Halve or double the duration of a window, and stretch the result to the length again."""
    n_timepoints = x.shape[-1]
    size = math.ceil(0.3 * n_timepoints)
    start = 1 + _integers(n_timepoints - size - 2, x, generator, len(x), 1)
    factor = torch.where(_uniform(x, generator, len(x), 1) < 0.5, 0.5, 2.0).to(x.dtype)
    return read_at(x, window_warp_positions(start, size, factor, n_timepoints))


AUGMENTATIONS = (subsequence, cutout, jitter, scaling, time_warp, window_slice, window_warp)


def window_warp_positions(start: Tensor, size: int, factor: Tensor, n_timepoints: int) -> Tensor:
    """Where a series is read, (n_samples, n_timepoints), if a window lasts `factor` as long.

    `start` and `factor` have the shape (n_samples, 1). Both ends of the series stay.
    """
    longer = size * (factor - 1.0)
    share = torch.linspace(0, 1, n_timepoints, device=factor.device, dtype=factor.dtype)
    warped = share * (n_timepoints - 1 + longer)
    in_window = start + (warped - start) / factor
    return torch.where(
        warped <= start,
        warped,
        torch.where(warped <= start + size * factor, in_window, warped - longer),
    )


def warp_positions(speeds: Tensor, n_timepoints: int, ratio: float = SPEED_RATIO) -> Tensor:
    """Where a series is read, (n_samples, n_timepoints): smooth, increasing, both ends fixed.

    Parameters
    ----------
    speeds : Tensor of shape (n_samples, n_speeds)
        Shifted so that the fastest is `ratio` times the slowest; their running sum is interpolated
        by a monotone cubic.
    n_timepoints : int
        Length of the series.
    ratio : float, default=10.0
        Fastest over slowest speed.
    """
    anchors = warp_anchors(speeds, ratio)
    time = torch.linspace(0, 1, n_timepoints, device=speeds.device, dtype=speeds.dtype)
    return (n_timepoints - 1) * monotone_cubic(anchors, time)


def warp_anchors(speeds: Tensor, ratio: float = SPEED_RATIO) -> Tensor:
    """Share of a series that is read by each of evenly spaced moments, from 0 to 1."""
    slowest, fastest = speeds.amin(dim=1, keepdim=True), speeds.amax(dim=1, keepdim=True)
    shifted = speeds - (fastest - ratio * slowest) / (1.0 - ratio)
    total = torch.nn.functional.pad(shifted.cumsum(dim=1), (1, 0))
    return total / total[:, -1:]


def monotone_cubic(knots: Tensor, at: Tensor) -> Tensor:
    """Interpolate increasing values at evenly spaced knots on [0, 1] without overshooting.

    Parameters
    ----------
    knots : Tensor of shape (n, n_knots)
        Strictly increasing values at ``0, 1 / (n_knots - 1), ..., 1``, three of them at least.
    at : Tensor of shape (n_points,)
        In [0, 1].

    Returns
    -------
    Tensor of shape (n, n_points)
        Values of the cubic Hermite spline with the slopes of Fritsch and Butland (PCHIP).
    """
    rise = knots.diff(dim=1)
    inner = 2.0 * rise[:, 1:] * rise[:, :-1] / (rise[:, 1:] + rise[:, :-1])
    first = _end_slope(rise[:, :1], rise[:, 1:2])
    last = _end_slope(rise[:, -1:], rise[:, -2:-1])
    slope = torch.cat([first, inner, last], dim=1)
    n_intervals = rise.shape[1]
    place = at * n_intervals
    k = place.long().clamp(max=n_intervals - 1)
    t = place - k
    return (
        (1 + 2 * t) * (1 - t) ** 2 * knots[:, k]
        + t * (1 - t) ** 2 * slope[:, k]
        + t**2 * (3 - 2 * t) * knots[:, k + 1]
        + t**2 * (t - 1) * slope[:, k + 1]
    )


def _end_slope(nearest: Tensor, next_: Tensor) -> Tensor:
    """Three-point estimate at an end of an increasing curve, kept from changing its sign."""
    return ((3 * nearest - next_) / 2).clamp(min=0.0)


def read_at(x: Tensor, positions: Tensor) -> Tensor:
    """Read each series between its time points, by linear interpolation.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    positions : Tensor of shape (n_samples, n_positions)
        In [0, n_timepoints - 1].

    Returns
    -------
    Tensor of shape (n_samples, n_channels, n_positions)
        Values there.
    """
    below = positions.floor().clamp(0, max(x.shape[-1] - 2, 0))
    weight = (positions - below)[:, None].to(x.dtype)
    index = below.long()[:, None].expand(-1, x.shape[1], -1)
    return x.gather(-1, index) * (1 - weight) + x.gather(-1, index + 1) * weight


def _inside(x: Tensor, start: Tensor, size: Tensor) -> Tensor:
    time = torch.arange(x.shape[-1], device=x.device)
    return (time >= start) & (time < start + size)


def _uniform(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)


def _normal(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)


def _integers(n: int, x: Tensor, generator: Generator, *shape: int) -> Tensor:
    """Uniform on 0 to n - 1, or 0 where a short series leaves no choice."""
    return torch.randint(max(n, 1), shape, generator=generator, device=x.device)
