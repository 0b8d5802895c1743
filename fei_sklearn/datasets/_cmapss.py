"""C-MAPSS: remaining useful life of turbofan engines, as the paper windows it.

Saxena et al., "Damage Propagation Modeling for Aircraft Engine Run-to-Failure Simulation", PHM
2008. What the paper leaves open follows its authors' published code, see docs/datasets.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._dataset import PARTS, Dataset, Part, assemble
from fei_sklearn.datasets._npz import read_arrays
from fei_sklearn.datasets._text import check_values, read_table

SUBSETS = ("FD001", "FD002", "FD003", "FD004")
WINDOW = 35
#: Remaining cycles above which an engine counts as new.
RUL_CAP = 125

_COLUMNS = 26
_UNIT = 0
_CYCLE = 1
_S_2 = 6

#: Share and seed of the authors' draw of the engines that validate.
_VALIDATION_FRACTION = 0.2
_VALIDATION_SEED = 2023


class _Tables(NamedTuple):
    """Tables of a subset, and the remaining life of each test engine."""

    train: ndarray
    test: ndarray
    remaining: ndarray


class _Run(NamedTuple):
    """Rows of an engine, and the cycles that remain after the last row."""

    rows: ndarray
    remaining: float


def read_cmapss(path: Path, subset: str) -> Dataset:
    """Read windows of sensor s_2, with the remaining life at their end.

    Parameters
    ----------
    path : Path
        Folder of ``train_FD00x.txt``, ``test_FD00x.txt`` and ``RUL_FD00x.txt``, or an ``.npz`` of
        the same tables as ``train_FD00x``, ``test_FD00x`` and ``rul_FD00x``.
    subset : {"FD001", "FD002", "FD003", "FD004"}
        Subset to read.

    Returns
    -------
    Dataset
        Windows of 35 cycles at stride 1, scaled to [-1, 1] by the minimum and maximum of the
        engines left for training; targets in (0, 1]; numbers of the engines as groups. The test
        part has all windows of the test engines; the last window of an engine is the last of its
        group.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a table is damaged.
    """
    tables = _read_tables(path, subset)
    runs = _runs(tables, path, subset)
    train_sensors = [run.rows[:, _S_2] for run in runs["train"]]
    sensor = np.concatenate(train_sensors)
    low = sensor.min()
    height = (sensor.max() - low) or 1
    parts = {}
    for part, part_runs in runs.items():
        windows = _windows(part_runs)
        if len(windows.X):
            scaled = 2 * (windows.X - low) / height - 1
            parts[part] = windows._replace(X=scaled)
    if "train" not in parts:
        raise ValueError(f"{path}: no training engine of {subset} has {WINDOW} cycles.")
    return assemble(subset, "regression", parts, path)


def _read_tables(path: Path, subset: str) -> _Tables:
    if path.is_dir():
        train = _read_text(path / f"train_{subset}.txt", _COLUMNS)
        test = _read_text(path / f"test_{subset}.txt", _COLUMNS)
        remaining = _read_text(path / f"RUL_{subset}.txt", 1)
        return _Tables(train, test, remaining[:, 0])
    keys = [f"train_{subset}", f"test_{subset}", f"rul_{subset}"]
    arrays = read_arrays(path, keys)
    return _Tables(*[arrays[key] for key in keys])


def _read_text(path: Path, n_columns: int) -> ndarray:
    table = read_table(path)
    if table.shape[1] != n_columns:
        raise ValueError(f"{path} has {table.shape[1]} columns instead of {n_columns}.")
    check_values(table, path)
    return table


def _runs(
    tables: _Tables,
    path: Path,
    subset: str,
) -> dict[str, list[_Run]]:
    """Return the runs of each part."""
    train_engines = _engines(tables.train, "train", path)
    test_engines = _engines(tables.test, "test", path)
    if len(tables.remaining) != len(test_engines):
        raise ValueError(
            f"{path}: the {subset} test table has {len(test_engines)} engines, but there are "
            f"{len(tables.remaining)} remaining lives: one of the two is cut short."
        )
    _check_remaining(tables.remaining, path, subset)
    validating = _validation_engines(len(train_engines))
    runs: dict[str, list[_Run]] = {part: [] for part in PARTS}
    for i, engine in enumerate(train_engines):
        part = "val" if i in validating else "train"
        runs[part].append(_Run(engine, 0.0))
    for engine, remaining in zip(test_engines, tables.remaining, strict=True):
        runs["test"].append(_Run(engine, remaining))
    return runs


def _check_remaining(remaining: ndarray, path: Path, subset: str) -> None:
    is_bad = ~np.isfinite(remaining) | (remaining < 0)
    rows = np.flatnonzero(is_bad)
    if not len(rows):
        return
    file = path / f"RUL_{subset}.txt" if path.is_dir() else path
    raise ValueError(
        f"{file}, line {rows[0] + 1} has the remaining life {remaining[rows[0]]:g}, which must be "
        "0 or more: copy or download the file again."
    )


def _engines(
    table: ndarray,
    part: str,
    path: Path,
) -> list[ndarray]:
    """Return the rows of each engine, whose cycles must count from 1."""
    has_columns = table.ndim == 2 and table.shape[1] == _COLUMNS
    has_floats = table.dtype.kind == "f"
    if not has_columns or not has_floats or not len(table):
        raise ValueError(
            f"{path}: the {part} table is {table.shape} of {table.dtype}, instead of rows of "
            f"{_COLUMNS} numbers."
        )
    table = table.astype(np.float64)
    _check_finite(table, part, path)
    is_last_row = np.diff(table[:, _UNIT]) != 0
    starts = np.flatnonzero(is_last_row) + 1
    engines = np.split(table, starts)
    for number, engine in enumerate(engines, 1):
        if engine[0, _UNIT] != number:
            raise ValueError(
                f"{path}: engine {number} of the {part} table has the number "
                f"{engine[0, _UNIT]:g}: rows are missing or in another order."
            )
        expected = np.arange(1, len(engine) + 1)
        if not np.array_equal(engine[:, _CYCLE], expected):
            raise ValueError(
                f"{path}: the cycles of engine {engine[0, _UNIT]:.0f} in the {part} table do not "
                f"count from 1 to {len(engine)}: rows are missing or in another order."
            )
    return engines


def _check_finite(table: ndarray, part: str, path: Path) -> None:
    """Check the table of an archive; the lines of text files are checked as they are read."""
    is_bad = ~np.isfinite(table)
    if not is_bad.any():
        return
    row, column = np.argwhere(is_bad)[0]
    raise ValueError(
        f"{path}: row {row + 1} of the {part} table has the value {table[row, column]}: copy or "
        "download the file again."
    )


def _validation_engines(n_engines: int) -> set[int]:
    """Return the positions of the engines that validate: a fifth, but never the first engine."""
    # the legacy generator repeats the authors' own draw, engine by engine
    generator = np.random.RandomState(_VALIDATION_SEED)
    n_drawn = int(n_engines * _VALIDATION_FRACTION)
    drawn = generator.choice(n_engines, n_drawn, replace=False)
    return set(drawn.tolist()) - {0}


def _windows(runs: list[_Run]) -> Part:
    """Return the sensor, the remaining life and the engine of all windows of some runs."""
    X = [np.empty((0, WINDOW))]
    y = [np.empty(0)]
    groups = [np.empty(0, dtype=np.int64)]
    for engine, remaining in runs:
        if len(engine) < WINDOW:  # the authors' code drops them
            continue
        sensor = engine[:, _S_2]
        life = _rul(engine[:, _CYCLE], remaining)
        windows = np.lib.stride_tricks.sliding_window_view(sensor, WINDOW)
        unit = int(engine[0, _UNIT])
        X.append(windows)
        y.append(life[WINDOW - 1 :])
        groups.append(np.full(len(windows), unit))
    series = np.concatenate(X)
    return Part(
        series[:, np.newaxis],
        np.concatenate(y),
        np.concatenate(groups),
    )


def _rul(cycles: ndarray, remaining: float) -> ndarray:
    """Return the remaining life after each cycle, capped, as a fraction of its highest value."""
    life = cycles[-1] + remaining
    capped = np.minimum(life - cycles, RUL_CAP)
    highest = min(life, RUL_CAP + 1)
    rul: ndarray = (capped + 1) / highest
    return rul
