"""InfoTS's seven candidate augmentations of a batch of series of one length.

Source: Luo et al., InfoTS, AAAI 2023. A warp is drawn as the positions at which a series is read
between its time points, for a whole batch at once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

Generator = torch.Generator | None

#: Number of random speeds of a time warp.
N_SPEEDS = 101
#: Fastest over slowest speed of a time warp.
SPEED_RATIO = 10.0


def candidates(x: Tensor, generator: Generator) -> Tensor:
    """Return all augmentations of a batch.

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
    views = [augment(x, generator) for augment in AUGMENTATIONS]
    return torch.stack(views)


def subsequence(x: Tensor, generator: Generator) -> Tensor:
    """Keep one window, the same for all series, and zero the rest."""
    n_timepoints = x.shape[-1]
    n_sizes = n_timepoints - 1
    size = 2 + _integers(n_sizes, x, generator, 1)
    n_places = n_timepoints - size + 1
    share = _uniform(x, generator, 1)
    start = (share * n_places).long()
    kept = _in_window(x, start, size)
    return x * kept


def cutout(x: Tensor, generator: Generator) -> Tensor:
    """Zero one window of a tenth of the length, the same for all series."""
    n_timepoints = x.shape[-1]
    size = n_timepoints // 10
    n_places = n_timepoints - size - 1
    start = _integers(n_places, x, generator, 1)
    cut = _in_window(x, start, size)
    return x * ~cut


def jitter(x: Tensor, generator: Generator) -> Tensor:
    """Add noise of standard deviation 0.3."""
    noise = _normal(x, generator, *x.shape)
    return x + 0.3 * noise


def scaling(x: Tensor, generator: Generator) -> Tensor:
    """Multiply each channel of each series by a factor of mean 1 and standard deviation 0.5."""
    n_samples, n_channels, _ = x.shape
    noise = _normal(x, generator, n_samples, n_channels, 1)
    factor = 1.0 + 0.5 * noise
    return x * factor


def time_warp(x: Tensor, generator: Generator) -> Tensor:
    """Read each series at a speed that changes smoothly."""
    n_samples, _, n_timepoints = x.shape
    speeds = _uniform(x, generator, n_samples, N_SPEEDS)
    positions = warp_positions(speeds, n_timepoints)
    return read_at(x, positions)


def window_slice(x: Tensor, generator: Generator) -> Tensor:
    """Stretch a window of half the length to the whole length, another window per series."""
    n_samples, _, n_timepoints = x.shape
    size = math.ceil(0.5 * n_timepoints)
    n_places = n_timepoints - size
    start = _integers(n_places, x, generator, n_samples, 1)
    time = torch.arange(
        n_timepoints,
        device=x.device,
        dtype=x.dtype,
    )
    # the centres of n_timepoints equal cells of the window
    centre = (time + 0.5) * size / n_timepoints - 0.5
    in_window = centre.clamp(0, size - 1)
    return read_at(x, start + in_window)


def window_warp(x: Tensor, generator: Generator) -> Tensor:
    """Halve or double the duration of a window, and stretch the result to the length again."""
    n_samples, _, n_timepoints = x.shape
    size = math.ceil(0.3 * n_timepoints)
    n_places = n_timepoints - size - 2
    start = 1 + _integers(n_places, x, generator, n_samples, 1)
    draws = _uniform(x, generator, n_samples, 1)
    factor = torch.where(draws < 0.5, 0.5, 2.0)
    factor = factor.to(x.dtype)
    positions = window_warp_positions(start, size, factor, n_timepoints)
    return read_at(x, positions)


AUGMENTATIONS = (
    subsequence,
    cutout,
    jitter,
    scaling,
    time_warp,
    window_slice,
    window_warp,
)


def window_warp_positions(
    start: Tensor,
    size: int,
    factor: Tensor,
    n_timepoints: int,
) -> Tensor:
    """Return where a series is read if one of its windows lasts longer or shorter.

    Parameters
    ----------
    start : Tensor of shape (n_samples, 1)
        First time point of the window.
    size : int
        Time points of the window.
    factor : Tensor of shape (n_samples, 1)
        New over old duration of the window.
    n_timepoints : int
        Length of the series, before and after.

    Returns
    -------
    Tensor of shape (n_samples, n_timepoints)
        Positions from 0 to ``n_timepoints - 1``.
    """
    added = size * (factor - 1.0)
    share = torch.linspace(
        0,
        1,
        n_timepoints,
        device=factor.device,
        dtype=factor.dtype,
    )
    warped_time = share * (n_timepoints - 1 + added)
    warped_end = start + size * factor
    in_window = start + (warped_time - start) / factor
    after_window = warped_time - added
    from_window_on = torch.where(warped_time <= warped_end, in_window, after_window)
    return torch.where(warped_time <= start, warped_time, from_window_on)


def warp_positions(
    speeds: Tensor,
    n_timepoints: int,
    ratio: float = SPEED_RATIO,
) -> Tensor:
    """Return where a series is read: smooth, increasing positions with both ends fixed.

    Parameters
    ----------
    speeds : Tensor of shape (n_samples, n_speeds)
        Speeds, which are shifted so that the fastest is `ratio` times the slowest. A monotone cubic
        interpolates their running sum.
    n_timepoints : int
        Length of the series.
    ratio : float, default=10.0
        Fastest over slowest speed.

    Returns
    -------
    Tensor of shape (n_samples, n_timepoints)
        Positions from 0 to ``n_timepoints - 1``.
    """
    anchors = warp_anchors(speeds, ratio)
    time = torch.linspace(
        0,
        1,
        n_timepoints,
        device=speeds.device,
        dtype=speeds.dtype,
    )
    return (n_timepoints - 1) * monotone_cubic(anchors, time)


def warp_anchors(speeds: Tensor, ratio: float = SPEED_RATIO) -> Tensor:
    """Return the share of a series that is read by each of evenly spaced times.

    Parameters
    ----------
    speeds : Tensor of shape (n_samples, n_speeds)
        Speeds, which are shifted so that the fastest is `ratio` times the slowest.
    ratio : float, default=10.0
        Fastest over slowest speed.

    Returns
    -------
    Tensor of shape (n_samples, n_speeds + 1)
        Increasing shares from 0 to 1.
    """
    slowest = speeds.amin(dim=1, keepdim=True)
    fastest = speeds.amax(dim=1, keepdim=True)
    shift = (fastest - ratio * slowest) / (1.0 - ratio)
    shifted = speeds - shift
    running_sum = shifted.cumsum(dim=1)
    running_sum = F.pad(running_sum, (1, 0))
    return running_sum / running_sum[:, -1:]


def monotone_cubic(knots: Tensor, at: Tensor) -> Tensor:
    """Interpolate increasing values at evenly spaced knots on [0, 1] without overshooting.

    Parameters
    ----------
    knots : Tensor of shape (n, n_knots)
        Strictly increasing values at ``0, 1 / (n_knots - 1), ..., 1``, at least three per row.
    at : Tensor of shape (n_points,)
        Points in [0, 1].

    Returns
    -------
    Tensor of shape (n, n_points)
        Values of the cubic Hermite spline with the slopes of Fritsch and Butland (PCHIP).
    """
    rises = knots.diff(dim=1)
    slopes = _knot_slopes(rises)
    n_intervals = rises.shape[1]
    place = at * n_intervals
    last = n_intervals - 1
    left = place.long().clamp(max=last)
    right = left + 1
    t = place - left
    # Hermite's basis: the values and the slopes at both ends of an interval
    left_value = (1 + 2 * t) * (1 - t) ** 2
    left_slope = t * (1 - t) ** 2
    right_value = t**2 * (3 - 2 * t)
    right_slope = t**2 * (t - 1)
    return (
        left_value * knots[:, left]
        + left_slope * slopes[:, left]
        + right_value * knots[:, right]
        + right_slope * slopes[:, right]
    )


def _knot_slopes(rises: Tensor) -> Tensor:
    """Return slopes at all knots, from the rises (n, n_knots - 1) between them."""
    before = rises[:, :-1]
    after = rises[:, 1:]
    harmonic_mean = 2.0 * after * before / (after + before)
    first = _end_slope(before[:, :1], after[:, :1])
    last = _end_slope(after[:, -1:], before[:, -1:])
    return torch.cat([first, harmonic_mean, last], dim=1)


def _end_slope(nearest: Tensor, next_: Tensor) -> Tensor:
    """Return the three-point estimate at an end of an increasing curve, at least 0."""
    estimate = (3 * nearest - next_) / 2
    return estimate.clamp(min=0.0)


def read_at(x: Tensor, positions: Tensor) -> Tensor:
    """Read each series between its time points, by linear interpolation.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    positions : Tensor of shape (n_samples, n_positions)
        Positions in [0, n_timepoints - 1].

    Returns
    -------
    Tensor of shape (n_samples, n_channels, n_positions)
        Values at these positions.
    """
    _, n_channels, n_timepoints = x.shape
    last_below = max(n_timepoints - 2, 0)
    below = positions.floor().clamp(0, last_below)
    weight_above = (positions - below).to(x.dtype)
    weight_above = weight_above[:, None]
    index_below = below.long()[:, None]
    index_below = index_below.expand(-1, n_channels, -1)
    value_below = x.gather(-1, index_below)
    value_above = x.gather(-1, index_below + 1)
    return value_below * (1 - weight_above) + value_above * weight_above


def _in_window(
    x: Tensor,
    start: Tensor,
    size: Tensor | int,
) -> Tensor:
    n_timepoints = x.shape[-1]
    time = torch.arange(n_timepoints, device=x.device)
    return (time >= start) & (time < start + size)


def _uniform(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    return torch.rand(
        shape,
        generator=generator,
        device=x.device,
        dtype=x.dtype,
    )


def _normal(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    return torch.randn(
        shape,
        generator=generator,
        device=x.device,
        dtype=x.dtype,
    )


def _integers(n: int, x: Tensor, generator: Generator, *shape: int) -> Tensor:
    """Draw integers from 0 to n - 1, or 0 where a short series leaves no choice."""
    return torch.randint(
        max(n, 1),
        shape,
        generator=generator,
        device=x.device,
    )
