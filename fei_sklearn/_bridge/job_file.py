"""File of a job for other processes: a pickle that sends large arrays by files of their own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any

import cloudpickle
import numpy as np

#: Arrays of more bytes are put into a file, which all ranks map into their memory.
MAPPED_BYTES = 2**20


def write_job(job: object, path: Path) -> None:
    """Write a job, and the arrays that it needs beside it.

    Parameters
    ----------
    job : callable
        Job, with the user's own code.
    path : Path
        File of the job, in a folder that no other job uses.

    Raises
    ------
    ValueError
        If something in the job cannot be pickled, or the folder has no room.
    """
    try:
        with path.open("wb") as file:
            _send(job, file, path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"n_devices starts other processes, and their series could not be copied to "
            f"{str(path.parent)!r} ({reason}): set TMPDIR to a folder with room, fit on a memory "
            "map, or use n_devices=1."
        ) from error


def _send(job: object, file: IO[bytes], folder: Path) -> None:
    try:
        _Pickler(file, folder).dump(job)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(
            "n_devices starts other processes, and part of their work cannot be sent to them "
            f"({error}): use n_devices=1, an array or a memory map, or start them with torchrun."
        ) from error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickler that sends arrays by file: those in a file by its name, large ones in a new file."""

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        super().__init__(file)
        self.folder = folder
        self.n_files = 0

    def reducer_override(self, obj: Any) -> Any:
        """Return how to pickle an object."""
        if type(obj).__module__.startswith("h5py.") and hasattr(obj, "chunks"):
            return _open_hdf5, (obj.file.filename, obj.name)
        if type(obj) not in (np.ndarray, np.memmap) or obj.dtype.hasobject:
            return super().reducer_override(obj)
        file_map = _file_map(obj)
        if file_map is not None:
            return _reduce_map(obj, file_map)
        if obj.nbytes <= MAPPED_BYTES:
            return super().reducer_override(obj)
        self.n_files += 1
        path = self.folder / f"{self.n_files}.npy"
        np.save(path, obj)
        return np.load, (path, "c")  # copy on write: torch warns of arrays that are read-only


def _file_map(array: np.ndarray) -> np.memmap | None:
    """Return the memory map of a whole file that an array is a view of, or None."""
    found = None
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            found = owner
        owner = owner.base
    if found is None or found.filename is None:
        return None
    return found


def _reduce_map(array: np.ndarray, file_map: np.memmap) -> Any:
    """Return how to pickle a view of a memory map: by file, place and layout."""
    first_byte, end = _byte_bounds(array)
    map_begin, _ = _byte_bounds(file_map)
    place = first_byte - map_begin + file_map.offset
    offset = array.__array_interface__["data"][0] - first_byte
    layout = (array.dtype, array.shape, array.strides, offset)
    return _map_again, (file_map.filename, place, end - first_byte, *layout)


def _byte_bounds(array: np.ndarray) -> tuple[int, int]:
    """Return the addresses of an array's first byte and of the end of its last."""
    try:
        from numpy.lib.array_utils import byte_bounds
    except ImportError:  # NumPy 1
        from numpy import byte_bounds  # type: ignore[attr-defined,no-redef]
    bounds: tuple[int, int] = byte_bounds(array)
    return bounds


def _map_again(
    path: str,
    place: int,
    n_bytes: int,
    dtype: np.dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
) -> np.ndarray:
    raw = np.memmap(path, np.uint8, "c", place, (n_bytes,))
    view: np.ndarray = np.ndarray(shape, dtype, raw, offset, strides)
    return view


def _open_hdf5(path: str, name: str) -> Any:
    import h5py

    return h5py.File(path, "r")[name]
