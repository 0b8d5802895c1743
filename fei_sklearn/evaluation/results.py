"""The results file: one line of JSON per cell, appended as the cell ends.

A run that was killed leaves complete lines and at most one torn line at the end, so that a later
run finds in the file which cells are done.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ResultRecord = dict[str, Any]

RESULTS_FORMAT = "fei_sklearn.evaluation/1"

#: Start of each line. A torn line is cut off only if it starts like this.
LINE_START = json.dumps({"format": RESULTS_FORMAT}).rstrip("}").encode()

#: Fields that identify a cell: two records that agree in them are of the same cell.
KEY = (
    "model",
    "fingerprint",
    "set",
    "protocol",
    "seed",
    "study",
    "variant",
    "settings",
)


def cell_key(record: ResultRecord) -> str:
    """Return the cell of a record as text that can be compared."""
    values = [record[name] for name in KEY]
    return json.dumps(values, sort_keys=True)


def read_results(*paths: str | os.PathLike[str]) -> list[ResultRecord]:
    """Return the records of one or several results files.

    Parameters
    ----------
    *paths : path-like
        Files that `evaluate` wrote. A torn last line is left out. Of two records of one cell the
        later is returned.

    Returns
    -------
    list of dict
        The records, in the order of the files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file contains anything but results.
    """
    records: dict[str, ResultRecord] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no results file {str(path)!r}: give a file that evaluate wrote."
            )
        found, _ = _parse(path)
        for record in found:
            records[cell_key(record)] = record
    return list(records.values())


class ResultsFile:
    """A results file to append to, made if it does not exist.

    Parameters
    ----------
    path : path-like
        The file. A torn last line is cut off.

    Attributes
    ----------
    records : dict of str to dict
        Records by cell.

    Raises
    ------
    ValueError
        If the file cannot be written, or contains anything but results.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.records: dict[str, ResultRecord] = {}
        try:
            if self.path.exists():
                self._read()
            with self.path.open("ab"):  # fails now, and not after an hour of work
                pass
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(
                f"{str(self.path)!r} cannot be written ({reason}): give a file in a folder that "
                "exists and can be written."
            ) from error

    def _read(self) -> None:
        records, size = _parse(self.path)
        self.records = {cell_key(record): record for record in records}
        if size < self.path.stat().st_size:
            os.truncate(self.path, size)  # the rest is a torn line
            return
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            self._append(b"\n")

    def add(self, record: ResultRecord) -> None:
        """Append a record, and flush it to disk."""
        line = json.dumps(record, allow_nan=False) + "\n"
        self._append(line.encode())
        self.records[cell_key(record)] = record

    def _append(self, content: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _parse(path: Path) -> tuple[list[ResultRecord], int]:
    """Return the records of a file, and the number of bytes in complete lines."""
    records = []
    size = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        is_last = number == len(lines)
        if record is None and is_last and _is_torn(line):
            break
        if record is None:
            raise ValueError(
                f"Line {number} of {str(path)!r} is not a result of evaluate: the file is damaged "
                "or of another kind. Remove the line, or give another file."
            )
        records.append(record)
        size += len(line)
    return records, size


def _is_torn(line: bytes) -> bool:
    if line.endswith(b"\n"):
        return False
    return line.startswith(LINE_START) or LINE_START.startswith(line)


def _record(line: bytes) -> ResultRecord | None:
    """Return the record of a line, or None if the line is no result."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("format") != RESULTS_FORMAT:
        return None
    if not isinstance(record.get("metrics"), dict):
        return None
    if any(name not in record for name in KEY):
        return None
    return record
