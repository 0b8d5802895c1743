"""Two overlapping random crops of each series, whose maps share steps.

Source: Yue et al., TS2Vec, AAAI 2022. All bounds are drawn in units of a map step, or the two maps
would be off by a fraction of one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fei_sklearn.encoder.resnet import FEIEncoder


class Crops(NamedTuple):
    """Both views, (n_samples, n_channels, ...), and the map steps that they share.

    These are the last ones of the first view's map, and the first ones of the second's.
    """

    first: Tensor
    second: Tensor
    n_shared: int


def samples_per_step(encoder: FEIEncoder) -> int:
    """Time points that a step of the encoder's map stands for."""
    return int(2 * encoder.stride**encoder.n_stages)


def crop_twice(
    x: Tensor, lengths: Tensor | None, step: int, generator: torch.Generator | None
) -> Crops:
    """Draw the bounds once for the batch, and an offset for each series.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ: the bounds then fit the shortest.
    step : int
        Time points of a map step.
    generator : torch.Generator or None
        Source of the draws, on the device of `x`.

    Returns
    -------
    Crops
        The views and their overlap.

    Raises
    ------
    ValueError
        If a series is shorter than two map steps.
    """
    shortest = x.shape[-1] if lengths is None else int(lengths.min())
    n_units = shortest // step
    if n_units < 2:
        raise ValueError(
            f"Two overlapping crops need series of at least {2 * step} time points at the "
            f"encoder's stride, got {shortest}: use stride=1 (4 time points), or longer series."
        )
    draws = torch.rand(4, generator=generator, device=x.device).tolist()
    n_shared = 2 + int(draws[0] * (n_units - 1))
    left = int(draws[1] * (n_units - n_shared + 1))
    right = left + n_shared
    outer_left = int(draws[2] * (left + 1))
    outer_right = right + int(draws[3] * (n_units - right + 1))
    room = (x.shape[-1] if lengths is None else lengths) - step * (outer_right - outer_left)
    start = (torch.rand(len(x), generator=generator, device=x.device) * (room + 1)).long()
    return Crops(
        first=_window(x, start, step * (right - outer_left)),
        second=_window(x, start + step * (left - outer_left), step * (outer_right - left)),
        n_shared=n_shared,
    )


def _window(x: Tensor, start: Tensor, n_timepoints: int) -> Tensor:
    """The `n_timepoints` time points of each series from its own start on."""
    index = start[:, None] + torch.arange(n_timepoints, device=x.device)
    return x.gather(-1, index[:, None].expand(-1, x.shape[1], -1))
