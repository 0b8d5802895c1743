"""Readouts, and what NumPy computes in their place."""

from __future__ import annotations

import numpy as np
import torch
from quick import quick, walks
from torch import nn

#: Time points of four series.
LENGTHS = np.array([30, 17, 2, 9])


def rich(**params):
    """Return a narrow embedder that trains for two epochs, with the default readout."""
    return quick(**({"pooling": "auto"} | params))


def ragged(n=20):
    """Return series of two channels and of several lengths."""
    return [series[:, : LENGTHS[i % 4]] for i, series in enumerate(walks(n))]


class Staged(nn.Module):
    """A user's own encoder with stages, and no blocks."""

    def __init__(self, n_channels):
        super().__init__()
        self.first = nn.Conv1d(n_channels, 6, 3, padding=1)
        self.second = nn.Conv1d(6, 12, 3, padding=1)

    def stages(self, x, lengths=None):
        first = self.first(x).relu()
        return [(first, lengths), (self.second(first), lengths)]

    def forward(self, x):
        return self.stages(x)[-1][0]


def numpys_view(series, view):
    """Return a view of one series of shape (n_channels, n_timepoints)."""
    if view == "level":
        return series
    if view == "change":
        series = np.diff(series, axis=1)
        series = np.concatenate([series[:, :1], series], axis=1)
    deviation = series.std(axis=1, keepdims=True)
    centred = series - series.mean(axis=1, keepdims=True)
    return np.divide(centred, deviation, out=np.zeros_like(series), where=deviation > 1e-6)


def numpys_maps(encoder, series, view):
    """Return (activated, summed) of each block for one series that is scaled already."""
    seen = numpys_view(series.astype(np.float64), view).astype(np.float32)
    with torch.no_grad():
        blocks = encoder.block_maps(torch.from_numpy(seen[np.newaxis]))
    return [(block.activated[0].numpy(), block.summed[0].numpy()) for block in blocks]
