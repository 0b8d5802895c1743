"""Sets of the UCR archive: a ``_TRAIN`` and a ``_TEST`` file, as ``.tsv`` or ``.ts``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn.datasets._dataset import Dataset, Part, Series, assemble
from fei_sklearn.datasets._text import read_table
from fei_sklearn.datasets._ts import read_ts

SUFFIXES = (".tsv", ".ts")


def read_ucr(path: Path, name: str | None = None) -> Dataset:
    """Read a set from its folder or one of its two files.

    Parameters
    ----------
    path : Path
        Folder of one set, or its ``_TRAIN`` or ``_TEST`` file.
    name : str, default=None
        Name of the set, that of the files if None.

    Raises
    ------
    FileNotFoundError
        If one of the two files is missing.
    ValueError
        If the folder has no set or several, or if a file is damaged.
    """
    train = train_file(path)
    if train is None:
        raise FileNotFoundError(f"There is no file *_TRAIN.tsv or *_TRAIN.ts in {path}.")
    stem = train.stem.removesuffix("_TRAIN")
    read = _read_tsv if train.suffix == ".tsv" else _read_ts
    parts, tasks = {}, {}
    for part in ("train", "test"):
        file = train.with_name(f"{stem}_{part.upper()}{train.suffix}")
        if not file.is_file():
            raise FileNotFoundError(f"There is no {file.name} in {file.parent}: put it there.")
        parts[part], tasks[part] = read(file)
    if len(set(tasks.values())) > 1:
        raise ValueError(f"{train.parent}: training is for {tasks['train']}, not the test part.")
    if tasks["train"] == "classification":
        _unify_labels(parts)
    return assemble(name or stem, tasks["train"], parts, train)


def train_file(path: Path) -> Path | None:
    """Training file of a folder's set, or of the set that a file belongs to; None without any."""
    if path.suffix in SUFFIXES and not path.is_dir():
        for part in ("_TRAIN", "_TEST"):
            if path.stem.endswith(part):
                return path.with_name(path.stem.removesuffix(part) + "_TRAIN" + path.suffix)
        raise ValueError(f"{path}: the file's name must end with _TRAIN{path.suffix}.")
    for suffix in SUFFIXES:
        found = sorted(path.glob(f"*_TRAIN{suffix}"))
        if len(found) > 1:
            raise ValueError(
                f"{path} has several sets, {found[0].name} and {found[1].name}: name one file."
            )
        if found:
            return found[0]
    return None


def _read_tsv(path: Path) -> tuple[Part, str]:
    table = read_table(path, delimiter="\t")
    if table.shape[1] < 2:
        raise ValueError(f"{path} has no series: each line is a label and values, tabs between.")
    return Part(_without_padding(table[:, 1:], path), table[:, 0]), "classification"


def _without_padding(values: np.ndarray, path: Path) -> Series:
    """Series without the NaN that fill the table up; NaN before a value are missing values."""
    present = ~np.isnan(values)
    empty = np.flatnonzero(~present.any(axis=1))
    if len(empty):
        raise ValueError(f"{path}, line {empty[0] + 1} has no values, only NaN.")
    lengths = values.shape[1] - present[:, ::-1].argmax(axis=1)
    if (lengths == lengths[0]).all():
        return values[:, : lengths[0]]
    return [row[np.newaxis, :length] for row, length in zip(values, lengths, strict=True)]


def _read_ts(path: Path) -> tuple[Part, str]:
    content = read_ts(path)
    X: Any = content.series
    if len({series.shape for series in X}) == 1:
        X = np.stack(X)
    y = None if content.labels is None else np.array(content.labels)
    if content.task == "regression":
        try:
            y = np.array(content.labels, dtype=np.float64)
        except ValueError:
            raise ValueError(f"{path} has targets that are not numbers.") from None
    return Part(X, y), content.task


def _unify_labels(parts: dict[str, Part]) -> None:
    """Labels as numbers if all parts' are, so that 9 comes before 10."""
    try:
        numbers = {part: content.y.astype(np.float64) for part, content in parts.items()}
    except ValueError:
        return
    for part, y in numbers.items():
        parts[part] = parts[part]._replace(y=y)
