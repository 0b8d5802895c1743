"""Panels that are not in memory: memory maps, and chunked arrays such as those of zarr and HDF5.

Each is read in row blocks by its own library. None of these libraries is imported here: an array is
recognized by its attributes, such as its shape, its type and its chunks.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike
from sklearn.utils import assert_all_finite

#: Largest number of rows and of values of a row block. They bound the float64 copies in memory.
MAX_BLOCK_ROWS = 1024
MAX_BLOCK_VALUES = 2**18

#: Fewest bytes per value of an array that embeddings are written into: float16 overflows.
MIN_OUTPUT_BYTES = 4

#: Rows, and their series.
RowBlocks = Iterator[tuple[slice, np.ndarray]]

#: Attributes of the class of a chunked array.
CHUNKED_ATTRIBUTES = ("shape", "dtype", "ndim", "chunks", "__getitem__")


class ChunkedArray(Protocol):
    """Array of any library that reads a slice of consecutive rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array. The first axis counts rows."""

    @property
    def dtype(self) -> DTypeLike:
        """Type of the values."""

    def __getitem__(self, key: slice, /) -> Any: ...


def is_memory_map(array: Any) -> bool:
    """Return whether an array's values are in a file, as with np.load(..., mmap_mode="r")."""
    return _file_of(array) is not None


def is_stored(X: Any) -> bool:
    """Return whether an array is read in row blocks: a memory map of numbers, or a chunked array.

    zarr, HDF5 (h5py), dask and xarray have chunked arrays, as have other libraries whose arrays
    have the same attributes. The attributes are looked up in the class, because reading them from
    an array in a closed file raises.
    """
    if isinstance(X, np.ndarray):
        return X.dtype.kind in "biuf" and is_memory_map(X)
    return all(hasattr(type(X), name) for name in CHUNKED_ATTRIBUTES)


class StoredPanel:
    """Panel that is read in row blocks, each time its values are used.

    Parameters
    ----------
    source : ndarray or chunked array
        Memory map or chunked array, of shape (n_samples, n_timepoints) or (n_samples, n_channels,
        n_timepoints). Only consecutive rows are read from a chunked array.

    Attributes
    ----------
    source : ndarray or chunked array
        As given.
    source_shape : tuple of int
        Shape of the source.
    dtype : dtype
        Type of the values.
    chunk_rows : int
        Rows of the largest chunk, 1 without chunks.

    Raises
    ------
    ValueError
        If the source cannot be read, for example because its file is closed, or does not hold
        numbers.
    """

    def __init__(self, source: np.ndarray | ChunkedArray) -> None:
        self.source = source
        self._type_name = type(source).__name__
        try:
            self.source_shape: tuple[int, ...] = tuple(source.shape)
            self.dtype = np.dtype(source.dtype)
            chunks = getattr(source, "chunks", None)
        except Exception as error:  # each library raises types of its own
            raise ValueError(self._unreadable("", error)) from error
        if any(math.isnan(size) for size in self.source_shape):  # dask's unknown sizes
            raise ValueError(
                f"X is a {self._type_name} of unknown shape, {self.source_shape}: call "
                "X.compute_chunk_sizes() first."
            )
        self.chunk_rows = _rows_of_largest_chunk(chunks)
        if self.dtype.kind not in "biuf":
            raise ValueError(
                f"X is a {self._type_name} of type {self.dtype}: give one of numbers, such as "
                "float32."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with an axis of channels: (n_samples, n_channels, n_timepoints)."""
        if len(self.source_shape) == 2:
            n_samples, n_timepoints = self.source_shape
            return n_samples, 1, n_timepoints
        return self.source_shape

    def __len__(self) -> int:
        return self.source_shape[0]

    def __array__(
        self,
        dtype: DTypeLike | None = None,
        copy: bool | None = None,
    ) -> np.ndarray:
        values = self.rows(0, len(self))
        return values.astype(dtype or self.dtype, copy=False)

    def outline(self) -> np.ndarray:
        """Return an array of zeros of the source's shape and type that occupies no memory."""
        zero = np.zeros((), self.dtype)
        return np.broadcast_to(zero, self.source_shape)

    def rows(
        self,
        start: int,
        stop: int,
    ) -> np.ndarray:
        """Read consecutive series in the source's type.

        Parameters
        ----------
        start, stop : int
            First row, and the row after the last.

        Returns
        -------
        ndarray of shape (stop - start, n_channels, n_timepoints)
            Series of these rows.

        Raises
        ------
        ValueError
            If the rows cannot be read, or one of their values is infinite.
        """
        return self._read(slice(start, stop), stop - start)

    def row_blocks(self, n_rows: int) -> RowBlocks:
        """Read all series in order, and each chunk of the source once.

        Parameters
        ----------
        n_rows : int
            Rows of a block.

        Yields
        ------
        tuple of slice and ndarray of shape (n_rows, n_channels, n_timepoints)
            Rows, and their series.
        """
        held = np.empty((0, *self.shape[1:]), self.dtype)
        held_start = 0
        for start in range(0, len(self), n_rows):
            stop = min(start + n_rows, len(self))
            held_stop = held_start + len(held)
            if stop > held_stop:
                unused = held[start - held_start :]
                read_stop = min(self._whole_chunks(stop), len(self))
                held = self.rows(held_stop, read_stop)
                held_start = start
                if len(unused) > 0:
                    held = np.concatenate([unused, held])
            yield slice(start, stop), held[start - held_start : stop - held_start]

    def selected_blocks(
        self,
        rows: np.ndarray,
        n_rows: int,
    ) -> RowBlocks:
        """Read the series of some rows, and each chunk of the source at most once.

        Within a chunk everything from the first selected row to the last is read.

        Parameters
        ----------
        rows : ndarray of shape (n_selected,), int64
            Sorted rows, each once.
        n_rows : int
            Rows of the source in a block, rounded up to whole chunks.

        Yields
        ------
        tuple of slice and ndarray of shape (n_block, n_channels, n_timepoints)
            Positions in `rows`, and the series of these rows.
        """
        bounds = [0, *self._block_starts(rows, n_rows), len(rows)]
        for begin, end in pairwise(bounds):
            selected = rows[begin:end]
            positions = slice(begin, end)
            if isinstance(self.source, np.ndarray):
                yield positions, self._read(selected, len(selected))
            else:
                first = int(selected[0])
                last = int(selected[-1])
                values = self.rows(first, last + 1)
                yield positions, values[selected - first]

    def _block_starts(
        self,
        rows: np.ndarray,
        n_rows: int,
    ) -> Sequence[int]:
        """Return the positions in `rows` at which a block begins, except for the first."""
        if isinstance(self.source, np.ndarray):  # NumPy reads any rows at once
            return range(n_rows, len(rows), n_rows)
        chunks = rows // self.chunk_rows
        blocks = rows // self._whole_chunks(n_rows)
        has_gap = np.diff(rows) > 1
        in_next_chunk = np.diff(chunks) > 0
        in_next_block = np.diff(blocks) > 0
        starts_block = (has_gap & in_next_chunk) | in_next_block
        return list(np.flatnonzero(starts_block) + 1)

    def _whole_chunks(self, n_rows: int) -> int:
        """Return a number of rows, rounded up to whole chunks."""
        return -(-n_rows // self.chunk_rows) * self.chunk_rows

    def _read(
        self,
        key: Any,
        n_rows: int,
    ) -> np.ndarray:
        """Return the rows of a slice, or of an array of rows if the source is a memory map."""
        try:
            _check_file(self.source)
            values = _in_memory(self.source[key])
        except MemoryError:
            raise
        except Exception as error:  # each library raises types of its own
            place = ""
            if isinstance(key, slice):
                place = f" at rows {key.start} to {key.stop}"
            raise ValueError(self._unreadable(place, error)) from error
        with sums_may_overflow():
            assert_all_finite(values, allow_nan=True, input_name="X")
        return values.reshape(n_rows, *self.shape[1:])

    def _unreadable(
        self,
        place: str,
        error: Exception,
    ) -> str:
        """Return the message for a source that cannot be read."""
        lines = str(error).splitlines() or [""]
        return (
            f"X, a {self._type_name}, cannot be read{place} ({type(error).__name__}: {lines[0]}): "
            "its file is closed or damaged; open it, and keep it open, or write it again."
        )


def sums_may_overflow() -> np.errstate:
    """Return a context in which scikit-learn may sum values up to float64's largest.

    Its check for infinities sums the values first, and looks at them only if the sum overflows.
    """
    return np.errstate(over="ignore", invalid="ignore")


def _in_memory(rows: Any) -> np.ndarray:
    """Return rows of a source as an array, NaN where they are masked."""
    if hasattr(rows, "compute"):  # dask computes masked arrays, whose mask __array__ drops
        rows = rows.compute()
    if isinstance(rows, np.ma.MaskedArray):
        numbers: np.ndarray = np.ma.filled(rows.astype(np.float64), np.nan)
        return numbers
    return np.asarray(rows)


def rows_per_block(shape: tuple[int, ...]) -> int:
    """Return the rows of a row block of a panel of a shape."""
    values_per_row = int(np.prod(shape[1:]))
    n_rows = MAX_BLOCK_VALUES // max(values_per_row, 1)
    return max(min(n_rows, MAX_BLOCK_ROWS), 1)


def row_blocks(values: np.ndarray | StoredPanel) -> RowBlocks:
    """Yield a panel in order, in row blocks that are small enough for a float64 copy.

    A stored panel has the same blocks as the same panel in memory. Sums over blocks therefore have
    the same bits.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        Panel.

    Yields
    ------
    tuple of slice and ndarray of shape (n_rows, n_channels, n_timepoints)
        Rows, and their series.
    """
    n_rows = rows_per_block(values.shape)
    if isinstance(values, StoredPanel):
        yield from values.row_blocks(n_rows)
        return
    for start in range(0, len(values), n_rows):
        rows = slice(start, start + n_rows)
        yield rows, values[rows]


def check_target(
    out: Any,
    shape: tuple[int, ...],
) -> None:
    """Raise if embeddings cannot be written into `out`, row by row.

    Parameters
    ----------
    out : array-like
        Array, or an object whose slices can be set, such as an array of zarr or h5py.
    shape : tuple of int
        Shape of the embeddings.

    Raises
    ------
    ValueError
        If `out` is of another shape or type, cannot be set, or is in a closed file.
    """
    found_type: object = type(out).__name__
    is_float = False
    try:
        found_shape = tuple(out.shape) if hasattr(type(out), "shape") else np.shape(out)
        if hasattr(type(out), "dtype"):
            dtype = np.dtype(out.dtype)
            found_type = dtype
            is_float = dtype.kind == "f" and dtype.itemsize >= MIN_OUTPUT_BYTES
    except Exception as error:  # each library raises types of its own
        raise ValueError(
            f"out, a {type(out).__name__}, cannot be written to ({type(error).__name__}): its file "
            "is closed; keep it open."
        ) from error
    if not hasattr(type(out), "__setitem__") or found_shape != shape or not is_float:
        raise ValueError(
            f"out must be an array of float32 or float64 of shape {shape}, got {found_type} of "
            f"shape {found_shape}."
        )


def _rows_of_largest_chunk(chunks: Any) -> int:
    """Return the rows of the largest chunk, 1 without chunks, so that no other row is read."""
    if not chunks:
        return 1
    rows = chunks[0]
    if isinstance(rows, tuple):  # dask has chunks of unequal size
        return int(max(rows))
    return int(rows)


def _file_of(array: Any) -> mmap.mmap | None:
    """Return the memory map that an array is a view of, None if the array is in memory."""
    if not isinstance(array, np.ndarray):
        return None
    owner: Any = array  # a view's base is another view, or the map itself
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    return owner


def _check_file(source: Any) -> None:
    """Raise if a mapped file was cut short: reading beyond its end would kill the process."""
    file = _file_of(source)
    if file is None:
        return
    offset = getattr(source, "offset", 0)
    needed = offset - offset % mmap.ALLOCATIONGRANULARITY + len(file)
    if file.size() < needed:
        raise OSError(f"the file has {file.size()} bytes of {needed}")
