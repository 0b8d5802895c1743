"""Two overlapping random crops of each series, whose maps share steps.

Source: Yue et al., TS2Vec, AAAI 2022. All bounds are multiples of a map step. Otherwise the steps
of the two maps would be centred at different time points.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fei_sklearn.encoder.resnet import FEIEncoder


class Crops(NamedTuple):
    """Two views of a batch, and the number of map steps that they share.

    The shared steps are the last ones of the first view's map, and the first ones of the second
    view's map. The views have the shape (n_samples, n_channels, n_timepoints of the view).
    """

    first: Tensor
    second: Tensor
    n_shared: int

    def shared_in_first(self, first_map: Tensor) -> Tensor:
        """Return the shared steps of the first view's map, (n_samples, n_shared, width)."""
        return first_map[..., -self.n_shared :].mT

    def shared_in_second(self, second_map: Tensor) -> Tensor:
        """Return the shared steps of the second view's map, (n_samples, n_shared, width)."""
        return second_map[..., : self.n_shared].mT


class _Bounds(NamedTuple):
    """Bounds of both crops in map steps: the first ends at `right`, the second starts at `left`."""

    outer_left: int
    left: int
    right: int
    outer_right: int


def samples_per_step(encoder: FEIEncoder) -> int:
    """Return the number of time points per step of the encoder's map."""
    return int(2 * encoder.stride**encoder.n_stages)


def crop_twice(
    x: Tensor,
    lengths: Tensor | None,
    step: int,
    generator: torch.Generator | None,
) -> Crops:
    """Draw the bounds of two crops once per batch, and their offset once per series.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : Tensor of shape (n_samples,) or None
        Time points of each series, where they differ. The bounds then fit the shortest series.
    step : int
        Time points per map step.
    generator : torch.Generator or None
        Source of the draws, on the device of `x`.

    Returns
    -------
    Crops
        Both views, and the number of steps that they share.

    Raises
    ------
    ValueError
        If a series is shorter than two map steps.
    """
    time_points: int | Tensor = x.shape[-1]
    shortest = x.shape[-1]
    if lengths is not None:
        time_points = lengths
        shortest = int(lengths.min())
    n_steps = shortest // step
    if n_steps < 2:
        raise ValueError(
            f"Two overlapping crops need series of at least {2 * step} time points at the "
            f"encoder's stride, got {shortest}: use stride=1 (4 time points), or longer series."
        )
    draws = torch.rand(
        4,
        generator=generator,
        device=x.device,
    )
    bounds = _bounds(draws.tolist(), n_steps)
    width = bounds.outer_right - bounds.outer_left
    room = time_points - step * width
    offset = torch.rand(
        len(x),
        generator=generator,
        device=x.device,
    )
    first_start = (offset * (room + 1)).long()
    second_start = first_start + step * (bounds.left - bounds.outer_left)
    first_width = bounds.right - bounds.outer_left
    second_width = bounds.outer_right - bounds.left
    return Crops(
        first=_window(x, first_start, step * first_width),
        second=_window(x, second_start, step * second_width),
        n_shared=bounds.right - bounds.left,
    )


def _bounds(draws: list[float], n_steps: int) -> _Bounds:
    """Return bounds in 0 .. `n_steps` with an overlap of at least 2, from four uniform draws."""
    overlap_draw, left_draw, outer_left_draw, outer_right_draw = draws
    n_shared = 2 + int(overlap_draw * (n_steps - 1))
    left = int(left_draw * (n_steps - n_shared + 1))
    right = left + n_shared
    outer_left = int(outer_left_draw * (left + 1))
    outer_right = right + int(outer_right_draw * (n_steps - right + 1))
    return _Bounds(outer_left, left, right, outer_right)


def _window(
    x: Tensor,
    start: Tensor,
    n_timepoints: int,
) -> Tensor:
    """Return `n_timepoints` time points of each series, from the start of that series on."""
    n_channels = x.shape[1]
    time = torch.arange(n_timepoints, device=x.device)
    index = start[:, None] + time
    index = index[:, None].expand(-1, n_channels, -1)
    return x.gather(-1, index)
