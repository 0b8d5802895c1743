"""Panels that are not in memory: memory maps, and chunked arrays such as those of zarr and HDF5.

They are read in parts, by their own library. None is imported here: an array is known by what it
has, a shape, a type, chunks and slices.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite

#: Rows and values that are looked at, or scaled, at once, which bounds the float64 copies.
CHUNK_ROWS, CHUNK_VALUES = 1024, 2**18

#: What the class of a chunked array has.
CHUNKED = ("shape", "dtype", "ndim", "chunks", "__getitem__")


def is_memory_map(array: Any) -> bool:
    """Whether the values of an array are in a file, as those of np.load(..., mmap_mode="r")."""
    return _file_of(array) is not None


def is_stored(X: Any) -> bool:
    """Whether an array is to be read in parts: a memory map of numbers, or a chunked array.

    Chunked arrays are those of zarr, HDF5 (h5py), dask, xarray, and whatever else has their
    attributes. Only the class is asked, because those of a closed file raise.
    """
    if isinstance(X, np.ndarray):
        return X.dtype.kind in "biuf" and is_memory_map(X)
    return all(hasattr(type(X), name) for name in CHUNKED)


class StoredPanel:
    """A panel that is read in parts, each time its values are asked for.

    Parameters
    ----------
    source : array-like
        A memory map or a chunked array, of shape (n_samples, n_timepoints) or (n_samples,
        n_channels, n_timepoints). Of a chunked array consecutive rows alone are asked for.

    Attributes
    ----------
    source_shape : tuple of int
        Shape of the source.
    dtype : dtype
        Type of the values.

    Raises
    ------
    ValueError
        If the source cannot be read, as that of a closed file, or holds something but numbers.
    """

    def __init__(self, source: Any) -> None:
        self.source, self.kind = source, type(source).__name__
        try:
            shape, self.dtype = tuple(source.shape), np.dtype(source.dtype)
            chunks = getattr(source, "chunks", None)
        except Exception as error:  # of whatever library it is
            raise ValueError(self._unreadable("", error)) from error
        if any(size != size for size in shape):  # NaN is what dask does not know
            raise ValueError(
                f"X is a {self.kind} of unknown shape, {shape}: call X.compute_chunk_sizes() first."
            )
        self.source_shape, self.chunk_rows = shape, _chunk_rows(chunks)
        if self.dtype.kind not in "biuf":
            raise ValueError(
                f"X is a {self.kind} of type {self.dtype}: give one of numbers, such as float32."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the panel, with an axis for its channels: n_samples, n_channels, n_timepoints."""
        n_samples, *rest = self.source_shape
        return (n_samples, 1, *rest) if len(rest) == 1 else self.source_shape

    def __len__(self) -> int:
        return self.source_shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.rows(0, len(self)).astype(dtype or self.dtype, copy=False)

    def outline(self) -> np.ndarray:
        """An array of the source's shape and type that takes no memory, and holds zeros."""
        return np.broadcast_to(np.zeros((), self.dtype), self.source_shape)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Consecutive series, as they are stored, of shape (n_rows, n_channels, n_timepoints).

        Raises
        ------
        ValueError
            If they cannot be read, or one is infinite.
        """
        return self._read(slice(start, stop), stop - start)

    def pieces(self, rows: np.ndarray, n_rows: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Series of sorted rows, each there once, about `n_rows` of the source at a time.

        A chunk of the source is read once, from the first row of it that is wanted to the last.

        Yields
        ------
        tuple of slice and ndarray
            Positions in `rows`, and the series of these.
        """
        chunks, spans = rows // self.chunk_rows, rows // self._whole_chunks(n_rows)
        apart = (np.diff(rows) > 1) & (np.diff(chunks) > 0) | (np.diff(spans) > 0)
        if isinstance(self.source, np.ndarray):  # which takes any rows at once
            apart = np.diff(np.arange(len(rows)) // n_rows) > 0
        ends = [*(np.flatnonzero(apart) + 1), len(rows)]
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            some = rows[begin:end]
            if isinstance(self.source, np.ndarray):
                yield slice(begin, end), self._read(some, len(some))
            else:
                values = self.rows(int(some[0]), int(some[-1]) + 1)
                yield slice(begin, end), values[some - some[0]]

    def row_blocks(self, n_rows: int) -> Iterator[tuple[slice, np.ndarray]]:
        """All series in order, `n_rows` at a time, each chunk of the source read once.

        Yields
        ------
        tuple of slice and ndarray
            Rows, and their series.
        """
        begin, held = 0, np.empty((0, *self.shape[1:]), self.dtype)
        for start in range(0, len(self), n_rows):
            stop, end = min(start + n_rows, len(self)), begin + len(held)
            if stop > end:
                more = self.rows(end, min(self._whole_chunks(stop), len(self)))
                rest = held[start - begin :]
                begin, held = start, np.concatenate([rest, more]) if len(rest) else more
            yield slice(start, stop), held[start - begin : stop - begin]

    def _whole_chunks(self, n_rows: int) -> int:
        return -(-n_rows // self.chunk_rows) * self.chunk_rows

    def _read(self, key: Any, n_rows: int) -> np.ndarray:
        try:
            _check_file(self.source)
            values = np.asarray(self.source[key])
        except MemoryError:
            raise
        except Exception as error:  # of whatever library it is
            where = f" at rows {key.start} to {key.stop}" if isinstance(key, slice) else ""
            raise ValueError(self._unreadable(where, error)) from error
        assert_all_finite(values, allow_nan=True, input_name="X")
        return values.reshape(n_rows, *self.shape[1:])

    def _unreadable(self, where: str, error: Exception) -> str:
        said = (str(error).splitlines() or [""])[0]
        return (
            f"X, a {self.kind}, cannot be read{where} ({type(error).__name__}: {said}): its file "
            "is closed or damaged; open it, and keep it open, or write it anew."
        )


def rows_per_block(shape: tuple[int, ...]) -> int:
    """Series, of a panel of this shape, that are looked at in float64 at once."""
    return max(1, min(CHUNK_ROWS, CHUNK_VALUES // max(int(np.prod(shape[1:])), 1)))


def row_blocks(values: np.ndarray | StoredPanel) -> Iterator[tuple[slice, np.ndarray]]:
    """A panel in order, few enough rows at a time to be looked at in float64.

    The parts of a stored panel are those of the same panel in memory, so sums over them are equal,
    too.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        The panel.

    Yields
    ------
    tuple of slice and ndarray
        Rows, and their series.
    """
    n_rows = rows_per_block(values.shape)
    if isinstance(values, StoredPanel):
        yield from values.row_blocks(n_rows)
        return
    for start in range(0, len(values), n_rows):
        rows = slice(start, start + n_rows)
        yield rows, values[rows]


def check_target(out: Any, shape: tuple[int, ...]) -> None:
    """Raise if embeddings cannot be written into `out`, row by row.

    Parameters
    ----------
    out : array-like
        An array, or what can be set by slices like one, as arrays of zarr and h5py.
    shape : tuple of int
        Shape that the embeddings have.

    Raises
    ------
    ValueError
        If `out` is of another shape or type, cannot be set, or is closed.
    """
    try:
        found = tuple(out.shape) if hasattr(type(out), "shape") else np.shape(out)
        dtype = np.dtype(out.dtype) if hasattr(type(out), "dtype") else None
    except Exception as error:  # of whatever library it is
        raise ValueError(
            f"out, a {type(out).__name__}, cannot be written to ({type(error).__name__}): its file "
            "is closed; keep it open."
        ) from error
    kind = "" if dtype is None else dtype.kind
    if not hasattr(type(out), "__setitem__") or found != shape or kind != "f":
        raise ValueError(
            f"out must be a floating-point array of shape {shape}, got "
            f"{type(out).__name__ if dtype is None else dtype} of shape {found}."
        )


def _chunk_rows(chunks: Any) -> int:
    """Rows of the largest chunk; one where there are no chunks, and so no reason to read more."""
    of_rows = chunks[0] if chunks else 1
    return int(max(of_rows) if isinstance(of_rows, tuple) else of_rows)


def _file_of(array: Any) -> mmap.mmap | None:
    """The mapping that an array is a view of, if it is."""
    owner = array if isinstance(array, np.ndarray) else None
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    return owner


def _check_file(source: Any) -> None:
    """Raise if a mapped file has been cut short: reading beyond its end would kill the process."""
    file = _file_of(source)
    if file is None:
        return
    offset = getattr(source, "offset", 0)
    needed = offset - offset % mmap.ALLOCATIONGRANULARITY + len(file)
    if file.size() < needed:
        raise OSError(f"the file has {file.size()} bytes of {needed}")
