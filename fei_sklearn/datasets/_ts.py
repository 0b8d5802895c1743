"""The ``.ts`` format of the UEA, UCR and TSER archives.

A parser of our own: sktime's makes a pandas Series of each channel of each case, which takes
minutes on sets that read here in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np


class TsFile(NamedTuple):
    """Content of a ``.ts`` file."""

    series: list[np.ndarray]
    labels: list[str] | None
    task: str


def read_ts(path: Path) -> TsFile:
    """Read a ``.ts`` file without time stamps.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it has time stamps, no ``@data``, or a case that is malformed or has another number of
        channels than the first.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = enumerate(file, 1)
            header = _header(lines, path)
            cases = [_case(line, number, header, path) for number, line in lines if line.strip()]
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text: copy or download it again.") from None
    if not cases:
        raise ValueError(f"{path} has no case after @data: copy or download it again.")
    for series, _ in cases:
        if len(series) != len(cases[0][0]):
            raise ValueError(
                f"{path} has cases of {len(cases[0][0])} and of {len(series)} channels: copy or "
                "download it again."
            )
    shapes = {series.shape for series, _ in cases}
    if header.get("equallength", ["false"])[0] == "true" and len(shapes) > 1:
        lengths = sorted({length for _, length in shapes})
        raise ValueError(
            f"{path} promises series of equal length, but has some of {lengths[0]} and of "
            f"{lengths[-1]} points: a line is cut short, copy or download it again."
        )
    task = _task(header)
    labels = None if task == "pretraining" else [label for _, label in cases]
    return TsFile([series for series, _ in cases], labels, task)


def _header(lines: Iterable[tuple[int, str]], path: Path) -> dict[str, list[str]]:
    """Directives before the data, in lower case."""
    header: dict[str, list[str]] = {}
    for _, line in lines:
        words = line.lower().split()
        if not words or not words[0].startswith("@"):
            continue
        if words[0] == "@data":
            if header.get("timestamps", ["false"])[0] == "true":
                raise ValueError(
                    f"{path} has time stamps, which are not read: save the values alone."
                )
            return header
        header[words[0][1:]] = words[1:]
    raise ValueError(f"{path} has no line @data, so it is no .ts file or cut short.")


def _task(header: dict[str, list[str]]) -> str:
    if header.get("targetlabel", ["false"])[0] == "true":
        return "regression"
    return "classification" if header.get("classlabel", ["false"])[0] == "true" else "pretraining"


def _case(
    line: str, number: int, header: dict[str, list[str]], path: Path
) -> tuple[np.ndarray, str]:
    *channels, label = line.strip().split(":")
    if _task(header) == "pretraining":
        channels, label = [*channels, label], ""
    elif not label or "," in label:
        channels = []  # the label was cut off
    try:
        rows = list(_rows(channels))
        if not rows or len({len(row) for row in rows}) > 1:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{path}, line {number} is malformed or cut short: copy or download the file again."
        ) from None
    return np.stack(rows), label


def _rows(channels: Iterable[str]) -> Iterator[np.ndarray]:
    for channel in channels:
        yield np.array(channel.replace("?", "nan").split(","), dtype=np.float64)
