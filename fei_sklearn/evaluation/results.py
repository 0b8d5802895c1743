"""The results file: one line of JSON per cell, appended as the cell ends.

A run that was killed leaves complete lines and at most one torn line at the end, so that a later
run finds in the file which cells are done. The file is locked while a process repairs it or
appends to it, so that several processes may write to one file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows, where one process at a time may write to a file
    fcntl = None  # type: ignore[assignment]

ResultRecord = dict[str, Any]

RESULTS_FORMAT = "fei_sklearn.evaluation/1"

#: Start of each line. A torn line is cut off only if it starts like this.
LINE_START = json.dumps({"format": RESULTS_FORMAT}).rstrip("}").encode()

#: Bytes from the end of a file that are read first to find its last line.
LAST_BYTES = 65536

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


def cell_name(record: ResultRecord) -> str:
    """Return the cell of a record, or of its key, in words."""
    words = [record["set"], record["model"]]
    n_labels = record["settings"].get("labels")
    if n_labels is not None:
        words.append(f"labels {n_labels}")
    words.append(f"seed {record['seed']}")
    return ", ".join(words)


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
        found = _parse(path.read_bytes(), path)
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
        try:
            with _locked(self.path) as file:  # fails now, and not after an hour of work
                file.seek(0)
                records = _parse(file.read(), self.path)
                _repair_end(file, self.path)
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(
                f"{str(self.path)!r} cannot be written ({reason}): give a file in a folder that "
                "exists and can be written."
            ) from error
        self.records: dict[str, ResultRecord] = {cell_key(record): record for record in records}

    def add(self, record: ResultRecord) -> None:
        """Append a record, and flush it to disk. A record is written whole or not at all."""
        line = json.dumps(record, allow_nan=False) + "\n"
        with _locked(self.path) as file:
            _repair_end(file, self.path)
            _append(file, line.encode())
        self.records[cell_key(record)] = record


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading and appending that no other process writes to meanwhile."""
    with path.open("a+b", buffering=0) as file:
        if fcntl is None:
            yield file
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield file
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _append(file: IO[bytes], content: bytes) -> None:
    """Append to a locked file, which is as before after an error such as a full disk."""
    size = file.seek(0, os.SEEK_END)
    n_written = 0
    try:
        while n_written < len(content):
            n_written += file.write(content[n_written:])
        os.fsync(file.fileno())
    except BaseException:
        file.truncate(size)
        raise


def _repair_end(file: IO[bytes], path: Path) -> None:
    """Cut off a torn last line of a locked file, which a killed process left; complete others."""
    size = file.seek(0, os.SEEK_END)
    last_line = _last_line(file, size)
    if last_line.endswith(b"\n") or not last_line:
        return
    if _record(last_line) is not None:
        _append(file, b"\n")
        return
    if not _is_torn(last_line):
        raise ValueError(
            f"The last line of {str(path)!r} is not a result of evaluate: another program wrote "
            "to the file. Remove the line, or give another file."
        )
    file.truncate(size - len(last_line))


def _last_line(file: IO[bytes], size: int) -> bytes:
    """Return the last line of a file, or its end if it is complete."""
    n_bytes = LAST_BYTES
    while True:
        start = max(size - n_bytes, 0)
        file.seek(start)
        content = file.read()
        _, newline, line = content.rpartition(b"\n")
        if newline and not line:
            return newline
        if newline or start == 0:
            return line
        n_bytes *= 2


def _parse(content: bytes, path: Path) -> list[ResultRecord]:
    """Return the records of a file's complete lines."""
    records = []
    lines = content.splitlines(keepends=True)
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
    return records


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
