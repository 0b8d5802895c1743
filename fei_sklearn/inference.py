"""Embeddings of a panel, in tiles of one shape.

A matrix product of another shape may round differently. Every tile therefore has the same number
of rows, the last one filled up with zeros, and series of unequal length are padded to a length
that depends on their own length alone: the embedding of a series does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from fei_sklearn.data import Panel
from fei_sklearn.pooling import Readout

#: Rows of a tile, by type of device.
TILE_ROWS = {"cpu": 16, "cuda": 256, "mps": 256}
#: Rows of the tile of a series that comes alone, as in recursive forecasting. With strides of 2 two
#: rows were seen to give the same bits as sixteen; one row, or strides of 1, give others.
LONE_TILE_ROWS = 2


@torch.inference_mode()
def embed(readout: Readout, panel: Panel, *, device: torch.device) -> np.ndarray:
    """Read features out of every series.

    Parameters
    ----------
    readout : Readout
        In evaluation mode, on `device`.
    panel : Panel
        Series.
    device : torch.device
        Where to compute.

    Returns
    -------
    ndarray of shape (n_samples, n_features) or (n_samples, n_steps, n_features), float32
        Embeddings; of steps, with NaN beyond the end of shorter series.
    """
    n_rows = TILE_ROWS.get(device.type, 16)
    if len(panel) == 1 and getattr(readout.encoder, "stride", None) == 2:
        n_rows = LONE_TILE_ROWS
    masked = hasattr(readout.encoder, "stages")
    embeddings: np.ndarray | None = None
    for rows, values, lengths in _tiles(panel, n_rows, masked):
        tile = [torch.from_numpy(values).to(device)]
        if lengths is not None:
            tile.append(torch.from_numpy(lengths).to(device))
        features = readout(*tile)[: len(rows)]
        if embeddings is None:  # the first tile has the most steps
            shape = (len(panel), *features.shape[1:])
            embeddings = np.full(shape, np.nan, dtype=np.float32)
        where = (rows, slice(features.shape[1])) if features.ndim == 3 else rows
        embeddings[where] = features.float().cpu().numpy()
    assert embeddings is not None
    return embeddings


def _tiles(
    panel: Panel, n_rows: int, masked: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Rows, values and lengths of each tile, longest first; the values filled up to `n_rows`."""
    if panel.lengths is None:
        groups = {panel.values.shape[2]: np.arange(len(panel))}
    else:
        padded = _padded_length(panel.lengths) if masked else panel.lengths
        groups = {int(size): np.flatnonzero(padded == size) for size in np.unique(padded)[::-1]}
    for size, members in groups.items():
        for start in range(0, len(members), n_rows):
            rows = members[start : start + n_rows]
            values = np.zeros((n_rows, panel.values.shape[1], size), dtype=np.float32)
            width = min(size, panel.values.shape[2])
            values[: len(rows), :, :width] = panel.values[rows, :, :width]
            lengths = None
            if panel.lengths is not None and masked:
                lengths = np.full(n_rows, size, dtype=np.int64)
                lengths[: len(rows)] = panel.lengths[rows]
            yield rows, values, lengths


def _padded_length(lengths: np.ndarray) -> np.ndarray:
    """Next of a grid of lengths, four to the octave from 16 on: under a quarter is padding."""
    octave = np.floor(np.log2(np.maximum(lengths, 16))).astype(np.int64)
    step = np.maximum(2 ** (octave - 2), 4)
    padded: np.ndarray = -(-np.maximum(lengths, 16) // step) * step
    return padded
