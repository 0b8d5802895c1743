"""C-MAPSS: remaining useful life of turbofan engines, as the paper windows it.

Saxena et al., "Damage Propagation Modeling for Aircraft Engine Run-to-Failure Simulation", PHM
2008. What the paper leaves open follows its authors' published code, see docs/datasets.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fei_sklearn.datasets._dataset import Dataset, Part, assemble
from fei_sklearn.datasets._npz import read_arrays
from fei_sklearn.datasets._text import read_table

SUBSETS = ("FD001", "FD002", "FD003", "FD004")
WINDOW = 35
#: Remaining cycles above which an engine counts as new.
RUL_CAP = 125
_COLUMNS = 26
_UNIT, _CYCLE, _S_2 = 0, 1, 6
#: The authors' draw of the engines that validate.
_VALIDATION_FRACTION, _VALIDATION_SEED = 0.2, 2023


def read_cmapss(path: Path, subset: str) -> Dataset:
    """Windows of sensor s_2 and the remaining life at their end.

    Parameters
    ----------
    path : Path
        Folder of ``train_FD00x.txt``, ``test_FD00x.txt`` and ``RUL_FD00x.txt``, or an ``.npz`` of
        the same tables as ``train_FD00x``, ``test_FD00x`` and ``rul_FD00x``.
    subset : {"FD001", "FD002", "FD003", "FD004"}
        Which.

    Returns
    -------
    Dataset
        Windows of 35 cycles at stride 1, scaled to [-1, 1] by the minimum and maximum of the
        engines left for training; targets in (0, 1]; engines' numbers as groups. The test part
        has all windows of the test engines, the last of an engine is its group's last.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a table is damaged.
    """
    if path.is_dir():
        read = {"train": f"train_{subset}.txt", "test": f"test_{subset}.txt"}
        tables = {part: _read_text(path / file, _COLUMNS) for part, file in read.items()}
        remaining = _read_text(path / f"RUL_{subset}.txt", 1)[:, 0]
    else:
        keys = [f"train_{subset}", f"test_{subset}", f"rul_{subset}"]
        arrays = read_arrays(path, keys)
        tables = {"train": arrays[keys[0]], "test": arrays[keys[1]]}
        remaining = arrays[keys[2]]
    engines = {part: _engines(table, part, path) for part, table in tables.items()}
    if len(remaining) != len(engines["test"]):
        raise ValueError(
            f"{path}: the {subset} test table has {len(engines['test'])} engines, but there are "
            f"{len(remaining)} remaining lives: one of the two is cut short."
        )
    validating = _validation_engines(len(engines["train"]))
    runs = {
        "train": [(e, 0.0) for i, e in enumerate(engines["train"]) if i not in validating],
        "val": [(e, 0.0) for i, e in enumerate(engines["train"]) if i in validating],
        "test": list(zip(engines["test"], remaining, strict=True)),
    }
    sensor = np.concatenate([engine[:, _S_2] for engine, _ in runs["train"]])
    low, high = sensor.min(), sensor.max()
    parts = {}
    for part, part_runs in runs.items():
        X, y, groups = _windows(part_runs)
        if len(X):
            parts[part] = Part(2 * (X - low) / ((high - low) or 1) - 1, y, groups)
    if "train" not in parts:
        raise ValueError(f"{path}: no training engine of {subset} has {WINDOW} cycles.")
    return assemble(subset, "regression", parts, path)


def _read_text(path: Path, n_columns: int) -> np.ndarray:
    table = read_table(path)
    if table.shape[1] != n_columns:
        raise ValueError(f"{path} has {table.shape[1]} columns instead of {n_columns}.")
    return table


def _engines(table: np.ndarray, part: str, path: Path) -> list[np.ndarray]:
    """Rows of each engine, whose cycles count from 1."""
    if table.ndim != 2 or table.shape[1] != _COLUMNS or table.dtype.kind != "f" or not len(table):
        raise ValueError(
            f"{path}: the {part} table is {table.shape} of {table.dtype}, instead of rows of "
            f"{_COLUMNS} numbers."
        )
    table = table.astype(np.float64)
    engines = np.split(table, np.flatnonzero(np.diff(table[:, _UNIT])) + 1)
    for engine in engines:
        if not np.array_equal(engine[:, _CYCLE], np.arange(1, len(engine) + 1)):
            raise ValueError(
                f"{path}: the cycles of engine {engine[0, _UNIT]:.0f} in the {part} table do not "
                f"count from 1 to {len(engine)}: rows are missing or in another order."
            )
    return engines


def _validation_engines(n_engines: int) -> set[int]:
    """Positions of the engines that validate, a fifth of them; the first never does."""
    # The authors seed NumPy's old generator, and this draw is theirs, engine by engine.
    drawn = np.random.RandomState(_VALIDATION_SEED).choice(
        n_engines, int(n_engines * _VALIDATION_FRACTION), replace=False
    )
    return set(drawn.tolist()) - {0}


def _windows(
    runs: list[tuple[np.ndarray, float]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series, targets and engines of runs, each with what remains after its last row."""
    X, y, groups = [np.empty((0, WINDOW))], [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for engine, remaining in runs:
        if len(engine) < WINDOW:  # as the authors drop them
            continue
        X.append(np.lib.stride_tricks.sliding_window_view(engine[:, _S_2], WINDOW))
        y.append(_rul(engine[:, _CYCLE], remaining)[WINDOW - 1 :])
        groups.append(np.full(len(y[-1]), int(engine[0, _UNIT])))
    return np.concatenate(X)[:, np.newaxis], np.concatenate(y), np.concatenate(groups)


def _rul(cycles: np.ndarray, remaining: float) -> np.ndarray:
    """Remaining life after each cycle, capped, as a fraction of the engine's highest."""
    life = cycles[-1] + remaining
    rul: np.ndarray = (np.minimum(life - cycles, RUL_CAP) + 1) / min(life, RUL_CAP + 1)
    return rul
