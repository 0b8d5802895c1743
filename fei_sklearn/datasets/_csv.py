"""Tables in ``.csv`` files: one series per line, its label in a column.

The separator is a comma, a semicolon or a tab. Beside the latter two, numbers may have a decimal
comma.
"""

from __future__ import annotations

import csv
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._columns import (
    LABEL_NAMES,
    label_position,
    read_labels,
    refuse_other_columns,
)
from fei_sklearn.datasets._dataset import Part, PartFile
from fei_sklearn.datasets._text import without_padding

#: Fields of a missing value, in lower case.
MISSING = ("", "?", "na", "n/a", "nan", "null", "none")


class _Columns(NamedTuple):
    """Columns of a file, and whether their numbers may have a decimal comma."""

    decimal_comma: bool
    names: list[str]
    has_header: bool
    values: list[int]
    label: int | None

    def names_of_values(self) -> list[str]:
        """Return the names of the columns of values, none if the file does not name its columns."""
        if not self.has_header:
            return []
        return [self.names[position] for position in self.values]


def read_csv(path: Path, label: str | None = None) -> PartFile:
    """Read a table.

    Parameters
    ----------
    path : Path
        The file. Its first line may name the columns. A first column without a name is an index,
        and left out.
    label : str, default=None
        Name of the column of labels, or its position from 0 if the file names no columns. None
        takes a column named "label", "class" or "target".

    Returns
    -------
    PartFile
        Series and labels. Whole numbers and texts are classes, other numbers are targets.

    Raises
    ------
    ValueError
        If the file is damaged, or a value is no number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = _separator(file.readline())
            file.seek(0)
            rows = _rows(csv.reader(file, delimiter=separator, strict=True))
            return _read(rows, path, label, decimal_comma=separator != ",")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}): save it in UTF-8.") from None
    except csv.Error as error:
        raise ValueError(f"{path} is no table of text ({error}): give another file.") from None


def _separator(line: str) -> str:
    for separator in (";", "\t"):
        if separator in line:
            return separator
    return ","


def _rows(reader: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of each line that is not empty."""
    for number, row in enumerate(reader, 1):
        fields = [field.strip() for field in row]
        if any(fields):
            yield number, fields


def _read(
    rows: Iterator[tuple[int, list[str]]],
    path: Path,
    label: str | None,
    *,
    decimal_comma: bool,
) -> PartFile:
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{path} is empty: copy or download it again.")
    columns = _columns(first[1], path, label)._replace(decimal_comma=decimal_comma)
    numbers = []
    series = []
    labels = []
    lines = rows if columns.has_header else _chained(first, rows)
    for number, fields in lines:
        if len(fields) != len(columns.names):
            raise ValueError(
                f"{path}, line {number} has {len(fields)} fields instead of {len(columns.names)}: "
                "it is cut short or malformed, copy or download the file again."
            )
        numbers.append(number)
        series.append(_values(fields, columns, number, path))
        if columns.label is not None:
            labels.append(_label(fields[columns.label], number, path))
    if not series:
        raise ValueError(f"{path} has names of columns, but no series.")
    X = without_padding(np.stack(series), path, numbers)
    names = columns.names_of_values()
    if columns.label is None:
        return PartFile(Part(X), "pretraining", names)
    y, task = read_labels(labels)
    return PartFile(Part(X, y), task, names)


def _chained(
    first: tuple[int, list[str]],
    rows: Iterator[tuple[int, list[str]]],
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows


def _columns(first: list[str], path: Path, label: str | None) -> _Columns:
    """Return the columns by the first line of a file."""
    has_header = _is_header(first, path, label)
    names = first
    if not has_header:
        names = [str(position) for position in range(len(first))]
    position = label_position(names, label, path)
    values = [i for i in range(len(names)) if i != position]
    if has_header and names[0] == "":
        values.remove(0)
    if not values:
        raise ValueError(f"{path} has no values beside its labels: give a table of series.")
    columns = _Columns(False, names, has_header, values, position)
    refuse_other_columns(columns.names_of_values(), path)
    return columns


def _is_header(fields: list[str], path: Path, label: str | None) -> bool:
    """Return whether the fields of the first line are names."""
    numbers = [field for field in fields if _is_number(field)]
    texts = [field for field in fields if not _is_number(field) and field != ""]
    from_0 = [str(i) for i in range(len(numbers))]
    from_1 = [str(i + 1) for i in range(len(numbers))]
    if not texts:
        return len(numbers) > 1 and numbers == from_0  # as pandas names columns
    if not numbers or numbers in (from_0, from_1):
        return True
    if any(text == label or text.lower() in LABEL_NAMES for text in texts):
        return True
    if label is not None and label.isdigit():
        return False
    raise ValueError(
        f"{path}, line 1 has the text {texts[0]!r} among numbers: name the column of labels, by "
        "its position from 0 if the file does not name its columns."
    )


def _is_number(field: str) -> bool:
    try:
        float(field.replace(",", "."))
    except ValueError:
        return field.lower() in MISSING and field != ""
    return True


def _values(
    fields: list[str],
    columns: _Columns,
    number: int,
    path: Path,
) -> ndarray:
    """Return the series of a line."""
    series = np.empty(len(columns.values))
    for i, position in enumerate(columns.values):
        field = fields[position]
        if field.lower() in MISSING:
            series[i] = np.nan
            continue
        try:
            series[i] = float(field.replace(",", ".") if columns.decimal_comma else field)
        except ValueError:
            remedy = "name the column of labels, and leave out other columns of text."
            if len(fields) == 1:
                remedy = "put commas, semicolons or tabs between the columns."
            raise ValueError(
                f"{path}, line {number} has {reprlib.repr(field)} in column "
                f"{reprlib.repr(columns.names[position])}, which is no number: {remedy}"
            ) from None
    if np.isinf(series).any():
        raise ValueError(
            f"{path}, line {number} has an infinite value: leave the field of a missing value "
            "empty, or repair the line."
        )
    return series


def _label(field: str, number: int, path: Path) -> str:
    if field == "":
        raise ValueError(f"{path}, line {number} has no label: add it, or leave the line out.")
    return field
