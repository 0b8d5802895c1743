"""Panels in NumPy's .npz archives.

Keys are ``X_train`` and, where the set has them, ``y_train``, ``X_val``, ``y_val``, ``X_test``,
``y_test``, groups as ``groups_train`` (or ``subject_train``, ``recording_train``,
``bearing_train``), and names of the classes as ``labels`` or ``class_names``. A set of one part may
have ``X``, ``y`` and ``groups``.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._dataset import PARTS, Dataset, Part, assemble

_GROUPS = ("groups", "subject", "recording", "bearing")
#: Key of a set of one part -> key of its training part.
ONE_PART = {"X": "X_train", "y": "y_train", "groups": "groups_train"}

_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(
    path: Path,
    name: str | None = None,
    task: str | None = None,
    *,
    swapped: bool = False,
) -> Dataset:
    """Read a panel.

    Parameters
    ----------
    path : Path
        Archive.
    name : str, default=None
        Name of the set; None takes the name of the file.
    task : str, default=None
        Task of the set. None infers the task from the labels: floats are targets, other labels
        are classes, and a set without labels is for pretraining.
    swapped : bool, default=False
        Whether to train on the test part, and to validate and test on the training part.

    Returns
    -------
    Dataset
        The set.

    Raises
    ------
    ValueError
        If the file is damaged, holds Python objects, has no ``X_train``, or its arrays do not
        belong together.
    """
    arrays = _with_parts(read_arrays(path))
    if "X_train" not in arrays:
        found = ", ".join(arrays) or "none"
        raise ValueError(
            f"{path} has no array 'X_train', only {found}: give a panel with the keys X_train, "
            "y_train, X_test, y_test."
        )
    parts = _parts(arrays, path)
    if swapped:
        parts = _swapped(parts, path)
    task = task or task_of(arrays.get("y_train"))
    names = _class_names(arrays, task)
    return assemble(name or path.stem, task, parts, path, names=names)


def _with_parts(arrays: dict[str, ndarray]) -> dict[str, ndarray]:
    """Return arrays with the only part of a set as its training part."""
    if "X_train" in arrays or "X" not in arrays:
        return arrays
    return {ONE_PART.get(key, key): array for key, array in arrays.items()}


def read_npy(path: Path) -> Dataset:
    """Read series without labels from NumPy's ``.npy`` file.

    Parameters
    ----------
    path : Path
        File of an array (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints).

    Returns
    -------
    Dataset
        The set, for pretraining.

    Raises
    ------
    ValueError
        If the file is damaged, or holds anything but such an array of numbers.
    """
    try:
        # mapped first: the size that the file promises is compared with the file
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (FileNotFoundError, PermissionError):
        raise
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is damaged or no array of numbers: copy it, or save it again."
        ) from error
    return assemble(path.stem, "pretraining", {"train": Part(array)}, path)


def _parts(arrays: Mapping[str, ndarray], path: Path) -> dict[str, Part]:
    parts = {}
    for part in PARTS:
        X = arrays.get(f"X_{part}")
        y = arrays.get(f"y_{part}")
        if X is not None:
            parts[part] = Part(X, y, _groups(arrays, part))
        elif y is not None:
            raise ValueError(f"{path} has 'y_{part}' but no 'X_{part}'.")
    return parts


def _groups(arrays: Mapping[str, ndarray], part: str) -> ndarray | None:
    for kind in _GROUPS:
        groups = arrays.get(f"{kind}_{part}")
        if groups is not None:
            return groups
    return None


def _swapped(parts: Mapping[str, Part], path: Path) -> dict[str, Part]:
    if "test" not in parts:
        raise ValueError(f"{path} has no array 'X_test', with which the parts change places.")
    return {
        "train": parts["test"],
        "val": parts["train"],
        "test": parts["train"],
    }


def _class_names(arrays: Mapping[str, ndarray], task: str) -> ndarray | None:
    names = arrays.get("class_names")
    if names is not None or task != "classification":
        return names
    # "labels" of an archive are names of codes; without codes they are something else
    has_codes = arrays["y_train"].dtype.kind in "iu"
    if has_codes:
        return arrays.get("labels")
    return None


def task_of(y: ndarray | None) -> str:
    """Return the task that an archive's training labels are for."""
    if y is None:
        return "pretraining"
    if y.dtype.kind == "f":
        return "regression"
    return "classification"


def keys_of(path: Path) -> list[str]:
    """Return the names of the arrays in an archive, without reading the arrays."""
    return list(_read(path, ()))


def read_arrays(path: Path, keys: Iterable[str] | None = None) -> dict[str, ndarray]:
    """Read the arrays of an archive: all, or only `keys`."""
    arrays = _read(path, keys)
    return {key: array for key, array in arrays.items() if array is not None}


def _read(path: Path, keys: Iterable[str] | None) -> dict[str, ndarray | None]:
    """Return all keys of an archive, with None for the arrays that were not wanted."""
    key = None
    try:
        with path.open("rb") as file:  # NumPy would leave a damaged file open
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            with archive:
                arrays: dict[str, ndarray | None] = dict.fromkeys(archive.files)
                wanted = arrays if keys is None else keys
                for key in wanted:
                    arrays[key] = archive[key]
    except (FileNotFoundError, PermissionError):
        raise
    except _DAMAGE as error:
        if key is not None and "allow_pickle" in str(error):
            raise ValueError(
                f"{path}: array {key!r} holds Python objects, which are never loaded: save numbers "
                "or strings of fixed width."
            ) from None
        array = "" if key is None else f", array {key!r} cannot be read"
        raise ValueError(
            f"{path} is damaged or no .npz archive{array}: copy or download it again."
        ) from error
    return arrays
