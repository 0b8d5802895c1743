"""Embeddings of a panel, in tiles of one shape.

A matrix product of another shape may round differently. Every tile therefore has the same number
of rows, the last one filled up with zeros, and series of unequal length are padded to a length
that depends on their own length alone: the embedding of a series does not depend on its neighbours.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fei_sklearn.data import Panel
from fei_sklearn.readout.pooling import Readout

#: Rows of a tile, by type of device.
TILE_ROWS = {"cpu": 32, "cuda": 256, "mps": 256}
#: Rows of the tile of a series that comes alone, as in recursive forecasting. With strides of 2 two
#: rows were seen to give the same bits as 32; one row, or strides of 1, give others.
LONE_TILE_ROWS = 2


def embed(
    readout: Readout,
    panel: Panel,
    *,
    device: torch.device,
    others: Sequence[torch.device] = (),
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Read features out of every series.

    Parameters
    ----------
    readout : Readout
        In evaluation mode, on `device`.
    panel : Panel
        Series.
    device : torch.device
        Where to compute. Where its memory is too small for a tile, the tiles' rows are halved.
    others : sequence of torch.device, default=()
        Devices that compute as well, each with a copy of the readout and a thread that takes the
        next tile when it is done with one. On the CPU the copy is shared.
    out : ndarray, default=None
        Where to write the embeddings, such as a memory map; None makes a new array.

    Returns
    -------
    ndarray of shape (n_samples, n_features) or (n_samples, n_steps, n_features), float32
        Embeddings, the same on any number of devices; of steps, with NaN beyond the end of shorter
        series.

    Raises
    ------
    ValueError
        If `out` does not fit, or a device's memory is too small for a single series.
    """
    n_rows = TILE_ROWS.get(device.type, 32)
    if len(panel) == 1 and getattr(readout.encoder, "stride", None) == 2:
        n_rows = LONE_TILE_ROWS
    tiles = _Tiles(_tiles(panel, n_rows, hasattr(readout.encoder, "stages")))
    sink = _Sink(out, len(panel))
    # the first tile has the most steps: it decides of the output, and of what can be done at once
    at_once = _work(readout, device, tiles, sink, n_rows, most=1)
    work = partial(_work, tiles=tiles, sink=sink, at_once=at_once)
    if others:
        readouts = [readout if d == device else copy.deepcopy(readout).to(d) for d in others]
        with ThreadPoolExecutor(1 + len(others)) as pool:
            list(pool.map(work, [readout, *readouts], [device, *others]))
    else:
        work(readout, device)
    assert sink.embeddings is not None
    return sink.embeddings


class _Tiles:
    """Tiles that several threads take, one after the other."""

    def __init__(self, tiles: Iterator[Any]) -> None:
        self.tiles, self.lock = tiles, threading.Lock()

    def take(self) -> Any:
        """The next tile, or None after the last."""
        with self.lock:
            return next(self.tiles, None)

    def stop(self) -> None:
        """Leave no more tiles."""
        with self.lock:
            self.tiles = iter(())


class _Sink:
    """Where the features of tiles go."""

    def __init__(self, out: np.ndarray | None, n_samples: int) -> None:
        self.out, self.n_samples = out, n_samples
        self.embeddings: np.ndarray | None = None

    def put(self, rows: np.ndarray, features: np.ndarray) -> None:
        """Write the features of some rows."""
        if self.embeddings is None:
            self.embeddings = _output(self.out, (self.n_samples, *features.shape[1:]))
        where = (rows, slice(features.shape[1])) if features.ndim == 3 else rows
        self.embeddings[where] = features


@torch.inference_mode()
def _work(
    readout: Readout,
    device: torch.device,
    tiles: _Tiles,
    sink: _Sink,
    at_once: int,
    most: int | None = None,
) -> int:
    """Embed tiles on one device, as long as there are any or `most` of them.

    Returns the rows that could be computed at once.
    """
    try:
        for rows, *tile in islice(iter(tiles.take, None), most):
            features, at_once = _features(readout, tile, device, at_once)
            sink.put(rows, features[: len(rows)].numpy())
        return at_once
    except BaseException:
        tiles.stop()
        raise


def _features(
    readout: Readout, tile: list[np.ndarray | None], device: torch.device, at_once: int
) -> tuple[Tensor, int]:
    """Features of a tile, on the CPU, and the rows that could be computed at once."""
    arrays = [torch.from_numpy(array) for array in tile if array is not None]
    while True:
        try:
            starts = range(0, len(arrays[0]), at_once)
            parts = [[array[s : s + at_once].to(device) for array in arrays] for s in starts]
            return torch.cat([readout(*part).float().cpu() for part in parts]), at_once
        except torch.cuda.OutOfMemoryError as error:
            if at_once == 1:
                raise ValueError(
                    f"{device} has too little memory for one series of {arrays[0].shape[2]} time "
                    "points: use device='cpu', a smaller encoder, or shorter series."
                ) from error
        at_once //= 2  # after the handler, whose error keeps tensors alive
        torch.cuda.empty_cache()


def _output(out: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Where embeddings go, NaN where there may be none."""
    if out is None:
        return np.full(shape, np.nan, dtype=np.float32)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype.kind != "f":
        got = f"{getattr(out, 'dtype', type(out).__name__)} of shape {np.shape(out)}"
        raise ValueError(f"out must be a floating-point array of shape {shape}, got {got}.")
    if len(shape) == 3:
        out[...] = np.nan
    return out


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
