"""Embeddings of a panel, in tiles of one shape.

A matrix product of another shape may round differently. The shape of a tile therefore depends on
the shape of its series alone: series of unequal length are padded to a grid of lengths, each of
which has its number of rows, and the last tile of a length is filled up with zeros. The embedding
of a series does not depend on its neighbours.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from fei_sklearn.data import Panel, on_device
from fei_sklearn.encoder.maps import has_stages
from fei_sklearn.encoder.memory import is_out_of_memory, release_memory
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.readout.front import FrontReadout
from fei_sklearn.readout.pooling import Readout

__all__ = ["embed"]

#: Most rows of a tile, by type of device.
TILE_ROWS = {"cpu": 32, "cuda": 256, "mps": 256, "xpu": 256}

#: Time points up to which a tile has most rows, over all channels that are embedded one by one. A
#: tile of longer series has fewer rows and the same number of values: 32 series of 400,000 points,
#: or of 1,000 channels of 128 points, would take 3.5 GB, even if all rows but one are padding.
MOST_ROWS_TIMEPOINTS = 4096

#: Rows of the tile of a series that comes alone, as in recursive forecasting. With strides of 2 two
#: rows were seen to give the same bits as 32; one row, or strides of 1, give others.
LONE_TILE_ROWS = 2

#: Shortest length that series of unequal length are padded to.
SHORTEST_PADDED = 16


def embed(
    readout: Readout | FrontReadout,
    panel: Panel,
    *,
    device: torch.device,
    others: Sequence[torch.device] = (),
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Read features out of every series.

    Parameters
    ----------
    readout : Readout or FrontReadout
        A Readout is in evaluation mode, on `device`. A FrontReadout needs no tiles: it embeds each
        row by itself, with torch's number of threads, on `device` alone.
    panel : Panel
        Series.
    device : torch.device
        Device that computes. Where its memory is too small for a tile, the tile is computed in
        slices of half its rows, and so on.
    others : sequence of torch.device, default=()
        Further devices, each with a copy of the readout and a thread that takes the next tile when
        one is done. On `device` itself, such as the CPU, the readout is shared.
    out : ndarray, default=None
        Array that receives the embeddings, such as a memory map; None makes a new array.

    Returns
    -------
    ndarray of shape (n_samples, n_features) or (n_samples, n_steps, n_features), float32
        Embeddings, the same on any number of devices. Embeddings of steps beyond the end of a
        shorter series are NaN.

    Raises
    ------
    ValueError
        If `out` does not fit, or a device's memory is too small for a single series.
    """
    if isinstance(readout, FrontReadout):
        return _embed_front(readout, panel, device, out)
    most_rows = _most_rows(readout.encoder, panel)
    n_channels = 1
    if readout.separate_channels:
        n_channels = panel.values.shape[1]
    rows_for = partial(rows_per_tile, device, most_rows=most_rows, n_channels=n_channels)
    masked = has_stages(readout.encoder)
    tiles = _TileQueue(_tiles(panel, rows_for, masked=masked))
    output = _Output(out, len(panel))
    # the first tile has the most steps: it fixes the output's shape and the slices that fit
    n_slices = _embed_tiles(readout, device, tiles, output, n_slices=1, most_tiles=1)
    embed_rest = partial(_embed_tiles, tiles=tiles, output=output, n_slices=n_slices)
    if not others:
        embed_rest(readout, device)
        return output.embeddings()
    devices = [device, *others]
    readouts = [readout]
    for other in others:
        readouts.append(_readout_on(other, readout, device))
    with ThreadPoolExecutor(len(devices)) as threads:
        list(threads.map(embed_rest, readouts, devices))
    return output.embeddings()


def _embed_front(
    readout: FrontReadout,
    panel: Panel,
    device: torch.device,
    out: np.ndarray | None,
) -> np.ndarray:
    """Return the embeddings of a panel by a dilated front end."""
    n_samples, n_channels, _ = panel.values.shape
    if n_samples == 0:
        raise _no_series()
    if out is not None:
        shape = (n_samples, n_channels * readout.n_features)
        out = _output_array(out, shape)
    n_threads = torch.get_num_threads()
    return readout.embed(panel, device=device, n_threads=n_threads, out=out)


def _no_series() -> ValueError:
    return ValueError("There is no series to embed: give a panel of at least one.")


def _readout_on(other: torch.device, readout: Readout, device: torch.device) -> Readout:
    """Return a copy of the readout on another device, or the readout itself on its own."""
    if other == device:
        return readout
    return copy.deepcopy(readout).to(other)


def rows_per_tile(
    device: torch.device,
    n_timepoints: int,
    most_rows: int | None = None,
    n_channels: int = 1,
) -> int:
    """Return the rows of a tile of series of a padded length, a power of 2.

    Parameters
    ----------
    device : torch.device
        Device that computes.
    n_timepoints : int
        Padded length.
    most_rows : int, default=None
        Most rows; None is the device's.
    n_channels : int, default=1
        Channels of a row that the encoder embeds one by one. Each takes the place of a series.
    """
    most_of_device = TILE_ROWS.get(device.type, 32)
    most_values = most_of_device * MOST_ROWS_TIMEPOINTS
    fitting = max(most_values // (n_channels * n_timepoints), 1)
    n_rows: int = 1 << (fitting.bit_length() - 1)
    return min(n_rows, most_rows or most_of_device)


def _most_rows(
    encoder: nn.Module,
    panel: Panel,
) -> int | None:
    """Return the most rows of a tile of a panel, None for the device's."""
    is_lone = len(panel) == 1
    if is_lone and isinstance(encoder, FEIEncoder) and encoder.stride == 2:
        return LONE_TILE_ROWS
    return None


@dataclass(frozen=True)
class _Tile:
    """Series that are embedded at once.

    Attributes
    ----------
    rows : ndarray of int
        Rows of the panel.
    values : ndarray of shape (n_rows, n_channels, n_timepoints), float32
        Their series, and rows of zeros after them.
    lengths : ndarray of shape (n_rows,) or None
        Time points of each series, if the encoder needs them.
    """

    rows: np.ndarray
    values: np.ndarray
    lengths: np.ndarray | None


class _TileQueue:
    """Tiles that several threads take, one after the other."""

    def __init__(self, tiles: Iterator[_Tile]) -> None:
        self.tiles = tiles
        self.lock = threading.Lock()

    def take(self) -> _Tile | None:
        """Return the next tile, or None after the last."""
        with self.lock:
            return next(self.tiles, None)

    def stop(self) -> None:
        """Drop the tiles that are left."""
        with self.lock:
            self.tiles = iter(())


class _Output:
    """Array that collects the features of tiles; the first ones fix its shape."""

    def __init__(
        self,
        out: np.ndarray | None,
        n_samples: int,
    ) -> None:
        self.out = out
        self.n_samples = n_samples
        self.array: np.ndarray | None = None

    def put(
        self,
        rows: np.ndarray,
        features: np.ndarray,
    ) -> None:
        """Write the features of some rows."""
        if self.array is None:
            shape = (self.n_samples, *features.shape[1:])
            self.array = _output_array(self.out, shape)
        if features.ndim == 3:
            n_steps = features.shape[1]
            self.array[rows, :n_steps] = features
        else:
            self.array[rows] = features

    def embeddings(self) -> np.ndarray:
        """Return the array."""
        if self.array is None:
            raise _no_series()
        return self.array


def _output_array(
    out: np.ndarray | None,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Return the array for embeddings of this shape, NaN where a step may have none."""
    if out is None:
        return np.full(shape, np.nan, dtype=np.float32)
    is_floating = isinstance(out, np.ndarray) and out.dtype.kind == "f"
    is_wide = is_floating and out.dtype.itemsize >= 4  # float16 overflows
    if not is_wide or out.shape != shape:
        dtype = getattr(out, "dtype", type(out).__name__)
        raise ValueError(
            f"out must be an array of float32 or float64 of shape {shape}, got {dtype} of shape "
            f"{np.shape(out)}."
        )
    if len(shape) == 3:
        out[...] = np.nan
    return out


@torch.inference_mode()
def _embed_tiles(
    readout: Readout,
    device: torch.device,
    tiles: _TileQueue,
    output: _Output,
    n_slices: int,
    most_tiles: int | None = None,
) -> int:
    """Embed tiles on one device until none is left, or `most_tiles` are done.

    Returns the number of slices of a tile that fit in the device's memory one by one.
    """
    try:
        for tile in islice(iter(tiles.take, None), most_tiles):
            features, n_slices = _features(readout, tile, device, n_slices)
            n_series = len(tile.rows)
            output.put(tile.rows, features[:n_series].numpy())
        return n_slices
    except BaseException:
        tiles.stop()
        raise


def _features(
    readout: Readout,
    tile: _Tile,
    device: torch.device,
    n_slices: int,
) -> tuple[Tensor, int]:
    """Return the features of a tile, on the CPU, and the slices in which they were computed."""
    while True:
        n_rows = max(len(tile.values) // n_slices, 1)
        try:
            return _features_in_slices(readout, tile, device, n_rows), n_slices
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if n_rows == 1:
                raise ValueError(_too_little_memory(tile, device)) from error
        # outside the handler, whose error keeps tensors alive
        n_slices *= 2
        release_memory(device)


def _too_little_memory(
    tile: _Tile,
    device: torch.device,
) -> str:
    """Return the message for a device that cannot embed a single series."""
    n_timepoints = tile.values.shape[2]
    remedy = "a smaller encoder, pooling='mean', or shorter series"
    if device.type != "cpu":
        remedy = f"device='cpu', {remedy}"
    return (
        f"{device} has too little memory for one series of {n_timepoints} time points: use "
        f"{remedy}."
    )


def _features_in_slices(
    readout: Readout,
    tile: _Tile,
    device: torch.device,
    n_rows: int,
) -> Tensor:
    """Return the features of a tile, `n_rows` of it at a time."""
    features = []
    for start in range(0, len(tile.values), n_rows):
        rows = slice(start, start + n_rows)
        x = on_device(tile.values[rows], device)
        lengths = None
        if tile.lengths is not None:
            lengths = on_device(tile.lengths[rows], device)
        of_rows = readout(x, lengths)
        features.append(of_rows.float().cpu())
    return torch.cat(features)


def _tiles(
    panel: Panel,
    rows_for: Callable[[int], int],
    *,
    masked: bool,
) -> Iterator[_Tile]:
    """Yield the tiles of a panel, the longest series first.

    `rows_for` returns the rows of a tile of a padded length. An encoder that is not `masked`
    receives no lengths, and so series of one length at a time.
    """
    n_channels = panel.values.shape[1]
    for n_timepoints, members in _rows_by_length(panel, masked):
        n_rows = rows_for(n_timepoints)
        shape = (n_rows, n_channels, n_timepoints)
        for start in range(0, len(members), n_rows):
            rows = members[start : start + n_rows]
            yield _tile(panel, rows, shape, masked)


def _rows_by_length(
    panel: Panel,
    masked: bool,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield lengths that series are padded to, the longest first, and the rows of the series."""
    if panel.lengths is None:
        n_timepoints = panel.values.shape[2]
        yield n_timepoints, np.arange(len(panel))
        return
    padded = _padded_length(panel.lengths) if masked else panel.lengths
    for length in np.unique(padded)[::-1]:
        yield int(length), np.flatnonzero(padded == length)


def _tile(
    panel: Panel,
    rows: np.ndarray,
    shape: tuple[int, int, int],
    masked: bool,
) -> _Tile:
    """Return series as a tile of the given shape, filled up with zeros."""
    n_rows, _, n_timepoints = shape
    n_series = len(rows)
    n_read = min(n_timepoints, panel.values.shape[2])
    values = np.zeros(shape, dtype=np.float32)
    values[:n_series, :, :n_read] = panel.values[rows, :, :n_read]
    if panel.lengths is None or not masked:
        return _Tile(rows, values, None)
    lengths = np.full(n_rows, n_timepoints, dtype=np.int64)
    lengths[:n_series] = panel.lengths[rows]
    return _Tile(rows, values, lengths)


def _padded_length(lengths: np.ndarray) -> np.ndarray:
    """Return the next of a grid of lengths, four per octave: under a quarter is padding."""
    lengths = np.maximum(lengths, SHORTEST_PADDED)
    octave = np.floor(np.log2(lengths))
    octave = octave.astype(np.int64)
    step = np.maximum(2 ** (octave - 2), 4)
    padded: np.ndarray = -(-lengths // step) * step
    return padded
