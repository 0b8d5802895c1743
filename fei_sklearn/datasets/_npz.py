"""Panels in NumPy's .npz archives.

Keys are ``X_train`` and, where there are any, ``y_train``, ``X_val``, ``y_val``, ``X_test``,
``y_test``, groups as ``groups_train`` (or ``subject_train``, ``recording_train``,
``bearing_train``), and names of the classes as ``labels`` or ``class_names``.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fei_sklearn.datasets._dataset import Dataset, Part, assemble

_GROUPS = ("groups", "subject", "recording", "bearing")
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def read_npz(
    path: Path, name: str | None = None, task: str | None = None, *, swapped: bool = False
) -> Dataset:
    """Read a panel.

    Parameters
    ----------
    path : Path
        The archive.
    name : str, default=None
        Name of the set, that of the file if None.
    task : str, default=None
        None tells it from the labels: floats are targets, anything else classes, none means
        pretraining.
    swapped : bool, default=False
        Train on the test part, and validate and test on the training part.

    Raises
    ------
    ValueError
        If the file is damaged, holds Python objects, has no ``X_train``, or its arrays do not
        belong together.
    """
    arrays = read_arrays(path)
    if "X_train" not in arrays:
        raise ValueError(
            f"{path} has no array 'X_train', only {', '.join(arrays) or 'none'}: give a panel with "
            "the keys X_train, y_train, X_test, y_test."
        )
    parts = {}
    for part in ("train", "val", "test"):
        if f"X_{part}" in arrays:
            groups = next((f"{g}_{part}" for g in _GROUPS if f"{g}_{part}" in arrays), "")
            parts[part] = Part(arrays[f"X_{part}"], arrays.get(f"y_{part}"), arrays.get(groups))
        elif f"y_{part}" in arrays:
            raise ValueError(f"{path} has 'y_{part}' but no 'X_{part}'.")
    if swapped:
        if "test" not in parts:
            raise ValueError(f"{path} has no array 'X_test', with which the parts change places.")
        parts = {"train": parts["test"], "val": parts["train"], "test": parts["train"]}
    task = task or task_of(arrays.get("y_train"))
    names = arrays.get("class_names")
    if names is None and task == "classification" and arrays["y_train"].dtype.kind in "iu":
        names = arrays.get("labels")
    return assemble(name or path.stem, task, parts, path, names=names)


def task_of(y: np.ndarray | None) -> str:
    """Task that an archive's training labels are for."""
    if y is None:
        return "pretraining"
    return "regression" if y.dtype.kind == "f" else "classification"


def keys_of(path: Path) -> list[str]:
    """Names of the arrays in an archive, none of which is read."""
    return list(_read(path, ()))


def read_arrays(path: Path, keys: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an archive, all or those of `keys`."""
    return {key: array for key, array in _read(path, keys).items() if array is not None}


def _read(path: Path, keys: Iterable[str] | None) -> dict[str, np.ndarray | None]:
    key = None
    try:
        with path.open("rb") as file:  # NumPy would leave a damaged file open
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            with archive:
                arrays: dict[str, np.ndarray | None] = dict.fromkeys(archive.files)
                for key in arrays if keys is None else keys:
                    arrays[key] = archive[key]
        return arrays
    except (FileNotFoundError, PermissionError):
        raise
    except _DAMAGE as error:
        if key is not None and "allow_pickle" in str(error):
            raise ValueError(
                f"{path}: array {key!r} holds Python objects, which are never loaded: save numbers "
                "or strings of fixed width."
            ) from None
        raise ValueError(
            f"{path} is damaged or no .npz archive"
            f"{'' if key is None else f', array {key!r} cannot be read'}: copy or download it "
            "again."
        ) from error
