"""The results file: one line of JSON a cell, appended as the cell ends.

A run that was killed leaves whole lines and at most one torn one at the end, so reading the file
tells what is done already.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ResultRecord = dict[str, Any]

#: First field of each line. A torn line is cut off only if it starts like this.
RESULTS_FORMAT = "fei_sklearn.evaluation/1"
MARK = json.dumps({"format": RESULTS_FORMAT}).rstrip("}").encode()

#: What tells cells apart: two records that agree in these are of the same cell.
KEY = ("model", "fingerprint", "set", "protocol", "seed", "study", "variant", "settings")


def cell_key(record: ResultRecord) -> str:
    """The cell of a record, as text that can be compared."""
    return json.dumps([record[name] for name in KEY], sort_keys=True)


def read_results(*paths: str | os.PathLike[str]) -> list[ResultRecord]:
    """Records of one or several results files.

    Parameters
    ----------
    *paths : path-like
        Files that `evaluate` wrote. A torn last line is left out; of two records of one cell the
        later counts.

    Returns
    -------
    list of dict
        The records, in the order of the files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file holds anything but results.
    """
    records: dict[str, ResultRecord] = {}
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"There is no results file {str(path)!r}: give one that evaluate wrote."
            )
        for record in _parse(Path(path))[0]:
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
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.records: dict[str, ResultRecord] = {}
        try:
            if self.path.exists():
                records, size = _parse(self.path)
                self.records = {cell_key(record): record for record in records}
                self._repair(size)
            with self.path.open("ab"):  # found out now, not after an hour
                pass
        except OSError as error:
            raise ValueError(
                f"{str(self.path)!r} cannot be written ({error.strerror or error}): give a file in "
                "a folder that exists and can be written."
            ) from error

    def _repair(self, size: int) -> None:
        """Cut off a torn line, and end a whole one that lacks its end."""
        if size < self.path.stat().st_size:
            os.truncate(self.path, size)
        elif size and not self.path.read_bytes().endswith(b"\n"):
            self._append(b"\n")

    def add(self, record: ResultRecord) -> None:
        """Append a record, and have it on the disk before returning."""
        self._append(json.dumps(record, allow_nan=False).encode() + b"\n")
        self.records[cell_key(record)] = record

    def _append(self, content: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _parse(path: Path) -> tuple[list[ResultRecord], int]:
    """Records of a file, and how many bytes of it are whole lines."""
    records, size = [], 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        if record is None:
            torn = line.startswith(MARK) or MARK.startswith(line)
            if number == len(lines) and torn and not line.endswith(b"\n"):
                break
            raise ValueError(
                f"Line {number} of {str(path)!r} is not a result of evaluate: the file is damaged "
                "or of another kind. Take the line out, or give another file."
            )
        records.append(record)
        size += len(line)
    return records, size


def _record(line: bytes) -> ResultRecord | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_result = (
        isinstance(record, dict)
        and record.get("format") == RESULTS_FORMAT
        and isinstance(record.get("metrics"), dict)
        and all(name in record for name in KEY)
    )
    return record if is_result else None
