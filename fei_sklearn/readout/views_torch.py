"""Views of series in torch, which an encoder receives: the series, its shape, its changes."""

from __future__ import annotations

import torch
from torch import Tensor

from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.readout.statistics import pool

#: Standard deviation up to which a channel counts as constant.
CONSTANT_DEVIATION = 1e-6


def view_of(
    x: Tensor,
    view: str,
    lengths: Tensor | None = None,
) -> Tensor:
    """Return a view of series, which is what an encoder receives.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series, zero on padding.
    view : {"level", "shape", "change"}
        "level" is the series itself. "shape" has mean 0 and standard deviation 1 in each channel of
        each series. "change" has the first differences, the first of them twice, standardised in
        the same way.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ.

    Returns
    -------
    Tensor of shape (n_samples, n_channels, n_timepoints)
        The view, zero on padding. A constant channel is 0 throughout.
    """
    if view == "level":
        return x
    if view == "change":
        change = x.diff(dim=-1)
        first = change[..., :1]
        x = torch.cat([first, change], dim=-1)
    standardised = _standardised(x, lengths)
    if lengths is None:
        return standardised
    valid = valid_mask(lengths, x.shape[-1], x.dtype)
    return standardised * valid


def _standardised(
    x: Tensor,
    lengths: Tensor | None,
) -> Tensor:
    """Return series with mean 0 and standard deviation 1 per channel, any number on padding."""
    centred = x - pool(x, lengths)[..., None]
    variance = pool(centred.square(), lengths)
    deviation = variance[..., None].sqrt()
    return torch.where(deviation > CONSTANT_DEVIATION, centred / deviation, 0.0)
