"""Sets of the UCR archive: a ``_TRAIN`` and a ``_TEST`` file, as ``.tsv`` or ``.ts``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._dataset import LARGEST_WHOLE, Dataset, Part, Series, assemble
from fei_sklearn.datasets._text import check_values, read_table
from fei_sklearn.datasets._ts import read_ts

SUFFIXES = (".tsv", ".ts")


class _File(NamedTuple):
    """Content of one of the two files, and the task that its labels are for."""

    part: Part
    task: str


def read_ucr(path: Path, name: str | None = None) -> Dataset:
    """Read a set from its folder or one of its two files.

    Parameters
    ----------
    path : Path
        Folder of one set, or its ``_TRAIN`` or ``_TEST`` file.
    name : str, default=None
        Name of the set; None takes the name of the files.

    Returns
    -------
    Dataset
        The set.

    Raises
    ------
    FileNotFoundError
        If one of the two files is missing.
    ValueError
        If the folder has no set or several, or if a file is damaged.
    """
    train_path = train_file(path)
    if train_path is None:
        raise FileNotFoundError(f"There is no file *_TRAIN.tsv or *_TRAIN.ts in {path}.")
    suffix = train_path.suffix
    stem = train_path.stem.removesuffix("_TRAIN")
    read = _read_tsv if suffix == ".tsv" else _read_ts
    train = read(_existing(train_path))
    test = read(_existing(train_path.with_name(f"{stem}_TEST{suffix}")))
    if train.task != test.task:
        raise ValueError(f"{train_path.parent}: training is for {train.task}, not the test part.")
    parts = {"train": train.part, "test": test.part}
    if train.task == "classification":
        parts = _with_numeric_labels(parts)
    return assemble(name or stem, train.task, parts, train_path)


def train_file(path: Path) -> Path | None:
    """Return the training file of a set.

    Parameters
    ----------
    path : Path
        Folder of the set, or one of its files.

    Returns
    -------
    Path or None
        The training file, which need not exist if `path` is a file; None if a folder has none.

    Raises
    ------
    ValueError
        If the file is none of a set, or if the folder has several sets.
    """
    if path.suffix in SUFFIXES and not path.is_dir():
        return _train_file_beside(path)
    for suffix in SUFFIXES:
        found = sorted(path.glob(f"*_TRAIN{suffix}"))
        if len(found) > 1:
            raise ValueError(
                f"{path} has several sets, {found[0].name} and {found[1].name}: name one file."
            )
        if found:
            return found[0]
    return None


def _train_file_beside(path: Path) -> Path:
    for part in ("_TRAIN", "_TEST"):
        if path.stem.endswith(part):
            stem = path.stem.removesuffix(part)
            return path.with_name(f"{stem}_TRAIN{path.suffix}")
    raise ValueError(f"{path}: the file's name must end with _TRAIN{path.suffix}.")


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise FileNotFoundError(f"There is no {file.name} in {file.parent}: put it there.")
    return file


def _read_tsv(path: Path) -> _File:
    labels: list[str] = []

    def keep_label(text: str) -> float:
        labels.append(text.strip())
        return 0.0

    table = read_table(path, delimiter="\t", comments=None, converters={0: keep_label})
    if table.shape[1] < 2:
        raise ValueError(f"{path} has no series: each line is a label and values, tabs between.")
    values = table[:, 1:]
    check_values(values, path, missing=True)
    if "" in labels:
        raise ValueError(f"{path}, line {labels.index('') + 1} has no label: add it.")
    series = _without_padding(values, path)
    return _File(Part(series, np.array(labels)), "classification")


def _without_padding(values: ndarray, path: Path) -> Series:
    """Remove the NaN that pad the ends of the series; other NaN are missing values."""
    is_present = ~np.isnan(values)
    empty = np.flatnonzero(~is_present.any(axis=1))
    if len(empty):
        raise ValueError(f"{path}, line {empty[0] + 1} has no values, only NaN.")
    n_padding = is_present[:, ::-1].argmax(axis=1)
    lengths = values.shape[1] - n_padding
    if (lengths == lengths[0]).all():
        return values[:, : lengths[0]]
    rows = zip(values, lengths, strict=True)
    return [row[np.newaxis, :length] for row, length in rows]


def _read_ts(path: Path) -> _File:
    content = read_ts(path)
    X: Series = content.series
    if len({series.shape for series in X}) == 1:
        X = np.stack(content.series)
    if content.labels is None:
        return _File(Part(X), content.task)
    if content.task == "classification":
        labels = np.array(content.labels)
        return _File(Part(X, labels), content.task)
    try:
        targets = np.array(content.labels, dtype=np.float64)
    except ValueError:
        raise ValueError(f"{path} has targets that are not numbers.") from None
    return _File(Part(X, targets), content.task)


def _with_numeric_labels(parts: dict[str, Part]) -> dict[str, Part]:
    """Turn labels into numbers if they are numbers in all parts, so that 9 comes before 10."""
    numeric = {}
    for part, content in parts.items():
        try:
            y = np.asarray(content.y).astype(np.float64)
        except ValueError:
            return parts
        if np.any(np.abs(y) > LARGEST_WHOLE):  # float64 does not tell such numbers apart
            return parts
        numeric[part] = content._replace(y=y)
    return numeric
