"""Sets by name or by path."""

from __future__ import annotations

import dataclasses
import difflib
import os
from pathlib import Path

from fei_sklearn.datasets import _registry
from fei_sklearn.datasets._cmapss import SUBSETS, read_cmapss
from fei_sklearn.datasets._dataset import TASKS, Dataset, Series
from fei_sklearn.datasets._npz import keys_of, read_arrays, read_npz, task_of
from fei_sklearn.datasets._tfc import read_tfc
from fei_sklearn.datasets._ucr import SUFFIXES, read_ucr, train_file
from fei_sklearn.datasets._xjtu import CONDITIONS, read_xjtu


def load_dataset(
    name_or_path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    paper_protocol: bool = False,
) -> Dataset:
    """Read a set from disk. Nothing is downloaded.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of :func:`list_datasets`, in either case, such as "EPI" or "UCR:GunPoint"; or a path,
        as it is or below `root`: an ``.npz`` file (its ending may be left out), a folder of
        ``train.pt``, ``val.pt`` and ``test.pt``, a ``_TRAIN.tsv`` or ``_TRAIN.ts`` file or its
        folder, a C-MAPSS table or its folder, or the folder of an XJTU-SY condition.
    root : str or path-like, default=None
        Folder that the sets are in, the working directory if None.
    paper_protocol : bool, default=False
        Keep the first channel only and the time points that the paper keeps, and let the parts of
        the UEA archive's gestures change places.

    Returns
    -------
    Dataset
        Its parts, checked against each other.

    Raises
    ------
    FileNotFoundError
        If the set, or one of its files, is not there; says where to download it.
    ValueError
        If the name is unknown, or if a file is damaged or its parts do not belong together.
    TypeError
        If `name_or_path` is neither a string nor path-like.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fei_sklearn.datasets import load_dataset
    >>> X, y = np.zeros((4, 1, 20), np.float32), np.array([0, 1, 0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(os.path.join(folder, "pumps.npz"), X_train=X, y_train=y)
    ...     load_dataset("pumps", root=folder)
    Dataset('pumps', classification, train=(4, 1, 20))
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(
            f"name_or_path must be a name or a path, got {type(name_or_path).__name__}."
        )
    folder = Path.cwd() if root is None else Path(root)
    entry = _registry.entry_of(name_or_path) if isinstance(name_or_path, str) else None
    if entry is None:
        dataset = _read_path(_resolve(Path(name_or_path), folder))
        return _first_channel(dataset, None) if paper_protocol else dataset
    place = entry.find(folder)
    if place is None:
        raise FileNotFoundError(f"{entry.name} is not in {folder}: {entry.how_to_get(folder)}.")
    dataset = _read_entry(entry, place, paper_protocol)
    return _first_channel(dataset, entry.paper_length) if paper_protocol else dataset


def list_datasets() -> list[str]:
    """Names of all known sets: the paper's, substitutes, and ``UCR:`` for each of the archive.

    Examples
    --------
    >>> from fei_sklearn.datasets import list_datasets
    >>> list_datasets()[:6]
    ['SLE', 'GES', 'FDB', 'EMG', 'EPI', 'HAR']
    """
    return _registry.names()


def describe_dataset(name: str) -> str:
    """What a set is, its shape and task, where to download it, and where to put it.

    Parameters
    ----------
    name : str
        One of :func:`list_datasets`.

    Raises
    ------
    ValueError
        If there is no set of this name.

    Examples
    --------
    >>> from fei_sklearn.datasets import describe_dataset
    >>> print(describe_dataset("EPI"))
    EPI: Epilepsy (Bonn), seizure or none from EEG
    Task: classification
    Shape: train 60, val 20, test 11420, x 1 x 178
    Length in the paper: 178
    To get it: download train.pt, val.pt and test.pt from \
https://figshare.com/ndownloader/articles/19930199/versions/2 and put them in the root/Epilepsy, \
or put epilepsy.npz in the root
    """
    entry = _registry.entry_of(name)
    if entry is None:
        raise ValueError(_unknown(name))
    lines = [f"{entry.name}: {entry.title}", f"Task: {entry.task}", f"Shape: {entry.shape}"]
    if entry.paper_length:
        lines.append(f"Length in the paper: {entry.paper_length}")
    lines.append(f"To get it: {entry.how_to_get()}")
    return "\n".join([*lines, *([entry.note] if entry.note else [])])


def datasets_in(root: str | os.PathLike[str], task: str | None = None) -> list[str]:
    """Names of the sets below a folder, each of which `load_dataset` takes with this `root`.

    Parameters
    ----------
    root : str or path-like
        Where to look: for known sets, and for ``.npz`` files with an ``X_train``.
    task : {"classification", "regression", "pretraining"}, default=None
        Only those for this task. A damaged ``.npz`` file is named whatever the task: loading it
        says what is wrong with it.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If `task` is none of the three.
    """
    folder = Path(root)
    if task is not None and task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)} or None, got {task!r}.")
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    found: dict[str, str | None] = {}
    archives: set[Path] = set()
    for entry in _registry.found_in(folder):
        found[entry.name] = entry.task
        archives.update(folder / file for file in entry.npz)
    for path in sorted(folder.glob("*.npz")):
        if path in archives:
            continue
        name = path.name if _registry.entry_of(path.stem) else path.stem
        try:
            keys = keys_of(path)
            if "X_train" in keys:
                found[name] = task_of(read_arrays(path, {"y_train"} & {*keys}).get("y_train"))
        except (ValueError, OSError):
            found[name] = None
    return [name for name, of_task in found.items() if task is None or of_task in (None, task)]


def _read_entry(entry: _registry.Entry, place: Path, paper_protocol: bool) -> Dataset:
    if entry.format == "cmapss":
        return read_cmapss(place, entry.name)
    if place.suffix == ".npz":
        swapped = paper_protocol and entry.npz_swapped
        return read_npz(place, entry.name, entry.task, swapped=swapped)
    if entry.format == "xjtu":
        return read_xjtu(place, entry.name)
    if entry.format == "ucr":
        return read_ucr(place, entry.name)
    return read_tfc(place, entry.name, entry.task)


def _resolve(path: Path, root: Path) -> Path:
    """The path as it is, or below the root, where the ending .npz may be left out."""
    archive = root / f"{path}.npz"
    for candidate in (path, root / path, archive):
        if candidate.exists():
            return candidate
    if path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(f"There is no file or folder {path}.")
    raise ValueError(_unknown(str(path), root))


def _unknown(name: str, root: Path | None = None) -> str:
    lowered = {known.lower(): known for known in _registry.names()}
    lowered |= {known.lower().removeprefix("ucr:"): known for known in _registry.names()}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    hint = (
        f"did you mean {lowered[close[0]]!r}?" if close else "see list_datasets(), or give a path."
    )
    where = f", nor a file in {root}" if root else ""
    return f"{name!r} is no known data set{where}: {hint}"


def _read_path(path: Path) -> Dataset:
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".npz":
        tables = [subset for subset in SUBSETS if f"train_{subset}" in keys_of(path)]
        return read_cmapss(path, _only(tables, path)) if tables else read_npz(path)
    if path.suffix in SUFFIXES:
        return read_ucr(path)
    if path.suffix == ".txt" and path.stem.rpartition("_")[2] in SUBSETS:
        return read_cmapss(path.parent, path.stem.rpartition("_")[2])
    if path.suffix == ".pt":
        raise ValueError(f"{path} is one part of a set: give its folder, {path.parent}.")
    raise ValueError(
        f"{path} is of no known format: give an .npz, .tsv or .ts file, a C-MAPSS .txt file, or a "
        "folder."
    )


def _read_folder(path: Path) -> Dataset:
    if (path / "train.pt").is_file():
        return read_tfc(path)
    tables = [subset for subset in SUBSETS if (path / f"train_{subset}.txt").is_file()]
    if tables:
        return read_cmapss(path, _only(tables, path))
    here = [condition for condition, name in CONDITIONS.items() if path.resolve().name == name]
    if here:
        return read_xjtu(path, here[0])
    below = [condition for condition, name in CONDITIONS.items() if (path / name).is_dir()]
    if below:
        condition = _only(below, path)
        return read_xjtu(path / CONDITIONS[condition], condition)
    if train_file(path) is not None:
        return read_ucr(path)
    raise ValueError(
        f"{path} has no set of a known format: expected train.pt, train_FD001.txt, *_TRAIN.tsv, "
        "*_TRAIN.ts or 35Hz12kN in it."
    )


def _only(sets: list[str], path: Path) -> str:
    if len(sets) > 1:
        root = path if path.is_dir() else path.parent
        raise ValueError(
            f"{path} has {', '.join(sets)}: load one by its name, "
            f"load_dataset({sets[0]!r}, root={str(root)!r})."
        )
    return sets[0]


def _first_channel(dataset: Dataset, length: int | None) -> Dataset:
    """The first channel of each series, up to the length that the paper keeps."""

    def cut(X: Series) -> Series:
        if isinstance(X, list):
            return [series[:1, :length].copy() for series in X]
        return X[:, :1, :length].copy()

    return dataclasses.replace(
        dataset,
        X_train=cut(dataset.X_train),
        X_val=None if dataset.X_val is None else cut(dataset.X_val),
        X_test=None if dataset.X_test is None else cut(dataset.X_test),
    )
