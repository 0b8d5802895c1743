"""The ``.ts`` format of the UEA, UCR and TSER archives.

The parser is our own because sktime's makes a pandas Series of each channel of each case: sets
that this module reads in seconds take minutes there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy import ndarray

#: Words of each directive.
Header: TypeAlias = dict[str, list[str]]


class TsFile(NamedTuple):
    """Content of a ``.ts`` file."""

    series: list[ndarray]
    labels: list[str] | None
    task: str


def read_ts(path: Path) -> TsFile:
    """Read a ``.ts`` file without time stamps.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    TsFile
        Series of shape (n_channels, n_timepoints_i), float64, their labels, which are None for
        pretraining, and the task.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file has time stamps, no ``@data``, or a case that is malformed or has another
        number of channels than the first.
    """
    series = []
    labels = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = enumerate(file, 1)
            header = _header(lines, path)
            task = _task(header)
            for number, line in lines:
                if not line.strip():
                    continue
                case, label = _case(line, number, task, path)
                series.append(case)
                labels.append(label)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text: copy or download it again.") from None
    _check_cases(series, header, path)
    if task == "pretraining":
        return TsFile(series, None, task)
    return TsFile(series, labels, task)


def _check_cases(
    series: list[ndarray],
    header: Header,
    path: Path,
) -> None:
    if not series:
        raise ValueError(f"{path} has no case after @data: copy or download it again.")
    n_channels = len(series[0])
    for case in series:
        if len(case) != n_channels:
            raise ValueError(
                f"{path} has cases of {n_channels} and of {len(case)} channels: copy or download "
                "it again."
            )
    lengths = {case.shape[1] for case in series}
    if _is_set(header, "equallength") and len(lengths) > 1:
        raise ValueError(
            f"{path} promises series of equal length, but has some of {min(lengths)} and of "
            f"{max(lengths)} points: a line is cut short, copy or download it again."
        )


def _header(lines: Iterable[tuple[int, str]], path: Path) -> Header:
    """Return the words of each directive before the data, in lower case."""
    header: Header = {}
    for _, line in lines:
        words = line.lower().split()
        if not words or not words[0].startswith("@"):
            continue
        directive = words[0].removeprefix("@")
        if directive != "data":
            header[directive] = words[1:]
            continue
        if _is_set(header, "timestamps"):
            raise ValueError(f"{path} has time stamps, which are not read: save the values alone.")
        return header
    raise ValueError(f"{path} has no line @data, so it is no .ts file or cut short.")


def _is_set(header: Header, directive: str) -> bool:
    words = header.get(directive, ["false"])
    return words[0] == "true"


def _task(header: Header) -> str:
    if _is_set(header, "targetlabel"):
        return "regression"
    if _is_set(header, "classlabel"):
        return "classification"
    return "pretraining"


def _case(
    line: str,
    number: int,
    task: str,
    path: Path,
) -> tuple[ndarray, str]:
    """Return the series of a line, and its label, which is empty for pretraining."""
    *channels, label = line.strip().split(":")
    if task == "pretraining":
        channels.append(label)
        label = ""
    elif not label or "," in label:
        channels = []  # the label was cut off
    try:
        rows = [_row(channel) for channel in channels]
        series = np.stack(rows)
    except ValueError:
        raise ValueError(
            f"{path}, line {number} is malformed or cut short: copy or download the file again."
        ) from None
    if np.isinf(series).any():
        raise ValueError(
            f"{path}, line {number} has an infinite value: write ? for a missing value, or repair "
            "the line."
        )
    return series, label


def _row(channel: str) -> ndarray:
    values = channel.replace("?", "nan").split(",")
    return np.array(values, dtype=np.float64)
