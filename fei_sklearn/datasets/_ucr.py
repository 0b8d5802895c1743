"""Sets as the UCR archive has them, a ``_TRAIN`` and a ``_TEST`` file, and sets of one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fei_sklearn.datasets._arff import read_arff
from fei_sklearn.datasets._columns import check_same_columns
from fei_sklearn.datasets._csv import read_csv
from fei_sklearn.datasets._dataset import LARGEST_WHOLE, Dataset, Part, PartFile, Series, assemble
from fei_sklearn.datasets._parquet import read_parquet
from fei_sklearn.datasets._text import check_values, read_table, without_padding
from fei_sklearn.datasets._ts import read_ts


def read_ucr(path: Path, name: str | None = None, label: str | None = None) -> Dataset:
    """Read a set from its folder or one of its two files.

    Parameters
    ----------
    path : Path
        Folder of one set, or its ``_TRAIN`` or ``_TEST`` file. A ``_TRAIN`` file may be alone, and
        a table may have any name.
    name : str, default=None
        Name of the set, which then needs both files; None takes the name of the files.
    label : str, default=None
        Column of labels, for tables only.

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
    read = READERS[suffix]
    train = read(_existing(train_path), label)
    parts = {"train": train.part}
    test_path = train_path.with_name(f"{stem}_TEST{suffix}")
    if name is not None or test_path.is_file():
        test = read(_existing(test_path), label)
        check_same_columns(train.names, test.names, test_path)
        parts["test"] = test.part
        if train.task != test.task and suffix == ".ts":
            raise ValueError(
                f"{train_path.parent}: training is for {train.task}, not the test part."
            )
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
    if path.suffix in TABLES:
        return path
    raise ValueError(f"{path}: the file's name must end with _TRAIN{path.suffix}.")


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise FileNotFoundError(f"There is no {file.name} in {file.parent}: put it there.")
    return file


def _read_tsv(path: Path, label: str | None = None) -> PartFile:
    labels: list[str] = []

    def keep_label(text: str) -> float:
        labels.append(text.strip())
        return 0.0

    table = read_table(
        path,
        delimiter=_delimiter(path),
        comments=None,
        converters={0: keep_label},
    )
    if table.shape[1] < 2:
        raise ValueError(f"{path} has no series: each line is a label and values, tabs between.")
    values = table[:, 1:]
    check_values(values, path, missing=True)
    if "" in labels:
        raise ValueError(f"{path}, line {labels.index('') + 1} has no label: add it.")
    series = without_padding(values, path, range(1, len(values) + 1))
    return PartFile(Part(series, np.array(labels)), "classification")


def _delimiter(path: Path) -> str | None:
    """Return what separates fields; None is any space. Files of 2018 in .txt have spaces."""
    if path.suffix == ".tsv":
        return "\t"
    with path.open("rb") as file:
        first = file.readline()
    return "," if b"," in first else None


def _read_ts(path: Path, label: str | None = None) -> PartFile:
    content = read_ts(path)
    X: Series = content.series
    if len({series.shape for series in X}) == 1:
        X = np.stack(content.series)
    if content.labels is None:
        return PartFile(Part(X), content.task)
    if content.task == "classification":
        labels = np.array(content.labels)
        return PartFile(Part(X, labels), content.task)
    try:
        targets = np.array(content.labels, dtype=np.float64)
    except ValueError:
        raise ValueError(f"{path} has targets that are not numbers.") from None
    return PartFile(Part(X, targets), content.task)


def _with_numeric_labels(parts: dict[str, Part]) -> dict[str, Part]:
    """Turn labels into numbers if they are numbers in all parts, so that 9 comes before 10."""
    numeric = {}
    for part, content in parts.items():
        labels = np.asarray(content.y)
        if any("_" in str(label) for label in labels):  # Python takes 1_2 for 12
            return parts
        try:
            y = labels.astype(np.float64)
        except ValueError:
            return parts
        if np.any(np.abs(y) > LARGEST_WHOLE):  # float64 does not tell such numbers apart
            return parts
        numeric[part] = content._replace(y=y)
    return numeric


#: File ending -> reader of tables of one series per row, with a column of labels.
TABLES: dict[str, Callable[[Path, str | None], PartFile]] = {
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".arff": read_arff,
}

#: File ending -> reader of a part.
READERS: dict[str, Callable[[Path, str | None], PartFile]] = {
    ".tsv": _read_tsv,
    ".ts": _read_ts,
    ".txt": _read_tsv,
    **TABLES,
}

SUFFIXES = tuple(READERS)
