"""XJTU-SY: remaining useful life of rolling bearings, as the paper windows it.

Wang et al., "A Hybrid Prognostics Approach for Estimating Remaining Useful Life of Rolling Element
Bearings", IEEE Transactions on Reliability, 2020. What the paper leaves open follows its authors'
published code, see docs/datasets.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._dataset import Dataset, Part, assemble
from fei_sklearn.datasets._text import check_values, read_table

#: Folder of each operating condition.
CONDITIONS = {"OC-A": "35Hz12kN", "OC-B": "37.5Hz11kN", "OC-C": "40Hz10kN"}
WINDOW = 8192
#: Last healthy recording of bearings 1 to 5, from a table in the code of the paper's authors.
FIRST_PREDICTION = {
    "OC-A": (77, 31, 58, 85, 34),
    "OC-B": (454, 46, 314, 30, 120),
    "OC-C": (2376, 1300, 340, 1416, 6),
}
_BEARINGS = {
    "train": (1,),
    "val": (2,),
    "test": (3, 4, 5),
}


class _Scaling(NamedTuple):
    """Value that becomes 0, and distance from it of the value that becomes 1."""

    low: float = 0.0
    height: float = 1.0

    def apply(self, values: ndarray) -> ndarray:
        """Return scaled values, which are rounded to float32 only after they are centred."""
        scaled = (values - self.low) / self.height
        return scaled.astype(np.float32)


def read_xjtu(folder: Path, condition: str) -> Dataset:
    """Read windows of the horizontal vibration, with the remaining life.

    Parameters
    ----------
    folder : Path
        Folder of a condition, such as ``35Hz12kN``, with ``Bearing1_1/1.csv`` and so on, one
        recording per minute.
    condition : {"OC-A", "OC-B", "OC-C"}
        Condition that the folder holds.

    Returns
    -------
    Dataset
        Windows of 8192 points, scaled so that bearing 1 has the minimum 0 and the maximum 1: the
        first window of each recording in training, all disjoint windows of each recording in
        validation and test. Targets are 1 up to the first prediction time, and fall linearly to 0
        at the last recording. Groups are the numbers of the bearings.

    Raises
    ------
    FileNotFoundError
        If a bearing or a recording is missing.
    ValueError
        If a recording is damaged, or if a bearing has too few.
    """
    parts: dict[str, Part] = {}
    scaling = _Scaling()
    for part, bearings in _BEARINGS.items():
        series = []
        targets = []
        groups = []
        for bearing in bearings:
            files = _recordings(_bearing_folder(folder, condition, bearing))
            if part == "train":
                X, scaling = _training_windows(files)
            else:
                X = _disjoint_windows(files, scaling)
            first_prediction = FIRST_PREDICTION[condition][bearing - 1]
            n_recordings = len(files)
            y = _rul(n_recordings, first_prediction, files[0].parent)
            windows_per_recording = len(X) // n_recordings
            series.append(X)
            targets.append(np.repeat(y, windows_per_recording))
            groups.append(np.full(len(X), bearing))
        parts[part] = Part(
            _joined(series),
            np.concatenate(targets),
            np.concatenate(groups),
        )
    return assemble(condition, "regression", parts, folder)


def _joined(series: list[ndarray]) -> ndarray:
    """Join the windows of bearings, without a copy if there is one bearing only."""
    windows = series[0]
    if len(series) > 1:
        windows = np.concatenate(series)
    return windows[:, np.newaxis]


def _bearing_folder(
    folder: Path,
    condition: str,
    bearing: int,
) -> Path:
    number = list(CONDITIONS).index(condition) + 1
    name = f"Bearing{number}_{bearing}"
    place = folder / name
    if not place.is_dir():
        raise FileNotFoundError(f"There is no folder {name} in {folder}: put it there.")
    return place


def _recordings(folder: Path) -> list[Path]:
    """Return the files of a bearing's recordings, which are numbered from 1 without a gap."""
    n_files = len(list(folder.glob("*.csv")))
    n_expected = max(n_files, 1)
    files = [folder / f"{number}.csv" for number in range(1, n_expected + 1)]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"There is no {file.name} in {folder}: put it there.")
    return files


def _training_windows(files: list[Path]) -> tuple[ndarray, _Scaling]:
    """Return the first window of each recording, scaled, and the scaling by all recordings."""
    windows = np.empty((len(files), WINDOW))
    low = np.inf
    high = -np.inf
    for number, file in enumerate(files):
        signal = _read_recording(file)
        windows[number] = signal[:WINDOW]
        low = min(low, float(signal.min()))
        high = max(high, float(signal.max()))
    scaling = _Scaling(low, (high - low) or 1.0)
    return scaling.apply(windows), scaling


def _disjoint_windows(files: list[Path], scaling: _Scaling) -> ndarray:
    """Return the disjoint windows of all recordings, scaled."""
    windows = np.empty((0, 0, WINDOW))
    for number, file in enumerate(files):
        signal = _read_recording(file)
        n_windows = len(signal) // WINDOW
        if number == 0:
            shape = (len(files), n_windows, WINDOW)
            windows = np.empty(shape, dtype=np.float32)
        elif n_windows != windows.shape[1]:
            raise ValueError(
                f"{file} has {len(signal)} points, others of its bearing more or fewer windows of "
                f"{WINDOW}: copy or download it again."
            )
        kept = signal[: n_windows * WINDOW]
        windows[number] = scaling.apply(kept).reshape(n_windows, WINDOW)
    return windows.reshape(-1, WINDOW)


def _read_recording(path: Path) -> ndarray:
    """Return the horizontal signal, which is the first column below a line of names."""
    table = read_table(path, delimiter=",", skiprows=1, usecols=0)
    check_values(table, path, skiprows=1)
    signal = table[:, 0]
    if len(signal) < WINDOW:
        raise ValueError(
            f"{path} has {len(signal)} points, fewer than a window of {WINDOW}: copy or download "
            "it again."
        )
    return signal


def _rul(
    n_recordings: int,
    first_prediction: int,
    folder: Path,
) -> ndarray:
    """Return the remaining life after each recording, as a share of the worn life."""
    if n_recordings <= first_prediction:
        raise ValueError(
            f"{folder} has {n_recordings} recordings, but its bearing is first seen to wear after "
            f"recording {first_prediction}: the copy is not complete."
        )
    left = n_recordings - np.arange(1, n_recordings + 1)
    return np.minimum(1.0, left / (n_recordings - first_prediction))
