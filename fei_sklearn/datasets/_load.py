"""Data sets by name or by path: reading, listing and describing them."""

from __future__ import annotations

import dataclasses
import difflib
import os
from pathlib import Path

from fei_sklearn._files import refuse_empty
from fei_sklearn.datasets import _registry
from fei_sklearn.datasets._cmapss import SUBSETS, read_cmapss
from fei_sklearn.datasets._dataset import TASKS, Dataset, Series
from fei_sklearn.datasets._npz import keys_of, read_arrays, read_npy, read_npz, task_of
from fei_sklearn.datasets._tfc import read_tfc
from fei_sklearn.datasets._ucr import READERS, SUFFIXES, read_ucr, train_file
from fei_sklearn.datasets._xjtu import CONDITIONS, read_xjtu

#: Endings of compressed files.
COMPRESSED = (".gz", ".zip", ".bz2", ".xz", ".zst")


def load_dataset(
    name_or_path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    label: str | None = None,
    paper_protocol: bool = False,
) -> Dataset:
    """Read a set from disk. Nothing is downloaded.

    Parameters
    ----------
    name_or_path : str or path-like
        Name from :func:`list_datasets`, in upper or lower case, such as "EPI" or "UCR:GunPoint".
        Or a path, below `root` or as it is: an ``.npz`` file (without its ending if you like), an
        ``.npy`` file, a table of one series per row (``.csv``, ``.parquet`` or ``.arff``), a
        folder of ``train.pt``, ``val.pt`` and ``test.pt``, a ``_TRAIN.tsv``, ``_TRAIN.ts`` or
        ``_TRAIN.txt`` file or its folder, a C-MAPSS table or its folder, or the folder of an
        XJTU-SY condition.
    root : str or path-like, default=None
        Folder of the sets. None is the working directory.
    label : str, default=None
        Column of a table's labels. None takes a column named "label", "class" or "target". Other
        formats have a place for labels, and do not use `label`.
    paper_protocol : bool, default=False
        Keep only the first channel and the time points that the paper keeps, and swap the two
        parts of the UEA archive's gestures.

    Returns
    -------
    Dataset
        The parts of the set, checked against each other.

    Raises
    ------
    FileNotFoundError
        If the set, or one of its files, is missing. The message names where to download the set.
    ValueError
        If the name is unknown, if a file is damaged, or if its parts do not belong together.
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
    refuse_empty(name_or_path, "name_or_path")
    folder = Path(root) if root is not None else Path.cwd()
    entry = None
    if isinstance(name_or_path, str):
        entry = _registry.entry_of(name_or_path)
    if entry is None:
        path = _resolve(Path(name_or_path), folder)
        dataset = _read_path(path, label)
        paper_length = None
    else:
        dataset = _read_entry(entry, folder, paper_protocol)
        paper_length = entry.paper_length
    if paper_protocol:
        return _first_channel(dataset, paper_length)
    return dataset


def list_datasets() -> list[str]:
    """Return the names of all known sets.

    Returns
    -------
    list of str
        The paper's sets, their substitutes, and the sets of the UCR archive after ``UCR:``.

    Examples
    --------
    >>> from fei_sklearn.datasets import list_datasets
    >>> list_datasets()[:6]
    ['SLE', 'GES', 'FDB', 'EMG', 'EPI', 'HAR']
    """
    return _registry.names()


def describe_dataset(name: str) -> str:
    """Describe a set: its shape and task, where to download it, and where to put it.

    Parameters
    ----------
    name : str
        Name from :func:`list_datasets`.

    Returns
    -------
    str
        The description, in several lines.

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
    if entry.note:
        lines.append(entry.note)
    return "\n".join(lines)


def datasets_in(
    root: str | os.PathLike[str],
    task: str | None = None,
    *,
    label: str | None = None,
) -> list[str]:
    """Return the names of the sets below a folder, which `load_dataset` accepts with this `root`.

    Parameters
    ----------
    root : str or path-like
        Folder that is searched for known sets, for ``.npz`` files with an ``X_train`` or an ``X``,
        and, two folders deep, for files whose name ends in ``_TRAIN``.
    task : {"classification", "regression", "pretraining"}, default=None
        Task that the sets must be for. Damaged files are listed for every task, so that loading
        them explains the damage.
    label : str, default=None
        Column of the labels of tables, as in `load_dataset`.

    Returns
    -------
    list of str
        The names, known sets first.

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
    tasks = _tasks_below(folder)
    for name, file in _registry.own_files(folder).items():
        tasks[name] = _task_of_file(file, label)
    if task is None:
        return list(tasks)
    return [name for name, found in tasks.items() if found in (None, task)]


def _tasks_below(folder: Path) -> dict[str, str | None]:
    """Return the task of each set below a folder, None for damaged files."""
    tasks: dict[str, str | None] = {}
    known_archives: set[Path] = set()
    for entry in _registry.found_in(folder):
        tasks[entry.name] = entry.task
        known_archives.update(folder / file for file in entry.npz)
    archives = sorted(folder.glob("*.npz"))
    for path in archives:
        if path in known_archives:
            continue
        # a set that shares the name of a known one or of a folder is listed with its ending
        is_taken = _registry.entry_of(path.stem) is not None or path.with_suffix("").exists()
        name = path.name if is_taken else path.stem
        try:
            keys = keys_of(path)
            if "X_train" in keys or "X" in keys:
                tasks[name] = _task_of_archive(path, keys)
        except (ValueError, OSError):
            tasks[name] = None
    return tasks


def _task_of_archive(path: Path, keys: list[str]) -> str:
    key = "y_train" if "X_train" in keys else "y"
    if key not in keys:
        return task_of(None)
    arrays = read_arrays(path, [key])
    return task_of(arrays[key])


def _task_of_file(path: Path, label: str | None) -> str | None:
    """Return the task of a training file, None if it is damaged."""
    if path.suffix in (".tsv", ".txt"):
        return "classification"
    try:
        return READERS[path.suffix](path, label).task
    except (ValueError, OSError):
        return None


def _read_entry(
    entry: _registry.Entry,
    root: Path,
    paper_protocol: bool,
) -> Dataset:
    place = entry.find(root)
    if place is None:
        raise FileNotFoundError(f"{entry.name} is not in {root}: {entry.how_to_get(root)}.")
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
    """Return the path below the root or as it is, with the ending where it was left out."""
    endings = [".npz", *(f"_TRAIN{suffix}" for suffix in SUFFIXES)]
    completed = [root / f"{path}{ending}" for ending in endings]
    for candidate in (root / path, *completed, path):
        if candidate.exists():
            return candidate
    if path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(f"There is no file or folder {path}.")
    raise ValueError(_unknown(str(path), root))


def _unknown(name: str, root: Path | None = None) -> str:
    """Return the error message for a name that is unknown, with the closest known name."""
    known = _registry.names()
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    without_prefix = {lower.removeprefix("ucr:"): full for lower, full in by_lower_case.items()}
    by_lower_case |= without_prefix
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    hint = "see list_datasets(), or give a path."
    if close:
        closest = by_lower_case[close[0]]
        hint = f"did you mean {closest!r}?"
    place = f", nor a file in {root}" if root else ""
    return f"{name!r} is no known data set{place}: {hint}"


def _read_path(path: Path, label: str | None) -> Dataset:
    if path.is_dir():
        return _read_folder(path, label)
    if path.suffix == ".npz":
        return _read_archive(path)
    if path.suffix == ".npy":
        return read_npy(path)
    subset = path.stem.rpartition("_")[2]
    if path.suffix == ".txt" and subset in SUBSETS:
        return read_cmapss(path.parent, subset)
    if path.suffix in SUFFIXES:
        return read_ucr(path, label=label)
    if path.suffix in COMPRESSED:
        raise ValueError(f"{path} is compressed: unpack it first.")
    if path.suffix == ".pt":
        raise ValueError(f"{path} is one part of a set: give its folder, {path.parent}.")
    raise ValueError(
        f"{path} is of no known format: give an .npz, .npy, .csv, .parquet, .arff, .tsv, .ts or "
        ".txt file, or a folder."
    )


def _read_archive(path: Path) -> Dataset:
    keys = keys_of(path)
    subsets = [subset for subset in SUBSETS if f"train_{subset}" in keys]
    if not subsets:
        return read_npz(path)
    return read_cmapss(path, _only(subsets, path))


def _read_folder(path: Path, label: str | None) -> Dataset:
    if (path / "train.pt").is_file():
        return read_tfc(path)
    subsets = [subset for subset in SUBSETS if (path / f"train_{subset}.txt").is_file()]
    if subsets:
        return read_cmapss(path, _only(subsets, path))
    own_name = path.resolve().name
    for condition, folder in CONDITIONS.items():
        if own_name == folder:
            return read_xjtu(path, condition)
    below = [condition for condition, folder in CONDITIONS.items() if (path / folder).is_dir()]
    if below:
        condition = _only(below, path)
        return read_xjtu(path / CONDITIONS[condition], condition)
    if train_file(path) is not None:
        return read_ucr(path, label=label)
    raise ValueError(
        f"{path} has no set of a known format: expected train.pt, train_FD001.txt, *_TRAIN.tsv, "
        "*_TRAIN.ts or 35Hz12kN in it."
    )


def _only(sets: list[str], path: Path) -> str:
    """Return the only set of a path, and raise an error if the path has several."""
    if len(sets) == 1:
        return sets[0]
    root = path if path.is_dir() else path.parent
    raise ValueError(
        f"{path} has {', '.join(sets)}: load one by its name, "
        f"load_dataset({sets[0]!r}, root={str(root)!r})."
    )


def _first_channel(dataset: Dataset, length: int | None) -> Dataset:
    """Keep the first channel of each series, up to the length that the paper keeps."""
    return dataclasses.replace(
        dataset,
        X_train=_cut(dataset.X_train, length),
        X_val=_cut_or_none(dataset.X_val, length),
        X_test=_cut_or_none(dataset.X_test, length),
    )


def _cut_or_none(X: Series | None, length: int | None) -> Series | None:
    if X is None:
        return None
    return _cut(X, length)


def _cut(X: Series, length: int | None) -> Series:
    if isinstance(X, list):
        return [series[:1, :length].copy() for series in X]
    return X[:, :1, :length].copy()
