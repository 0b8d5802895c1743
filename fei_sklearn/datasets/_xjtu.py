"""XJTU-SY: remaining useful life of rolling bearings, as the paper windows it.

Wang et al., "A Hybrid Prognostics Approach for Estimating Remaining Useful Life of Rolling Element
Bearings", IEEE Transactions on Reliability, 2020. What the paper leaves open follows its authors'
published code, see docs/datasets.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fei_sklearn.datasets._dataset import Dataset, Part, assemble
from fei_sklearn.datasets._text import read_table

#: Operating condition -> folder.
CONDITIONS = {"OC-A": "35Hz12kN", "OC-B": "37.5Hz11kN", "OC-C": "40Hz10kN"}
WINDOW = 8192
#: Recordings up to this one count as healthy, for bearings 1 to 5: a table of the paper's authors.
FIRST_PREDICTION = {
    "OC-A": (77, 31, 58, 85, 34),
    "OC-B": (454, 46, 314, 30, 120),
    "OC-C": (2376, 1300, 340, 1416, 6),
}
_BEARINGS = {"train": (1,), "val": (2,), "test": (3, 4, 5)}


def read_xjtu(folder: Path, condition: str) -> Dataset:
    """Windows of the horizontal vibration and the remaining life.

    Parameters
    ----------
    folder : Path
        Folder of a condition, such as ``35Hz12kN``, with ``Bearing1_1/1.csv`` and so on: a
        recording a minute.
    condition : {"OC-A", "OC-B", "OC-C"}
        Which condition that is.

    Returns
    -------
    Dataset
        Windows of 8192 points, scaled by the minimum and maximum of bearing 1 to [0, 1] there:
        the first of each recording in training, the disjoint ones of each recording in validation
        and test. Targets are 1 up to the first prediction time, and fall linearly to 0 at the last
        recording. Groups are the numbers of the bearings.

    Raises
    ------
    FileNotFoundError
        If a bearing or a recording is missing.
    ValueError
        If a recording is damaged, or if a bearing has too few.
    """
    parts: dict[str, Part] = {}
    low = high = 0.0
    for part, bearings in _BEARINGS.items():
        series, targets, groups = [], [], []
        for bearing in bearings:
            files = _recordings(_bearing_folder(folder, condition, bearing))
            X, lowest, highest = _read_bearing(files, first_only=part == "train")
            if part == "train":
                low, high = lowest, highest
            X -= low
            X /= (high - low) or 1
            y = _rul(len(files), FIRST_PREDICTION[condition][bearing - 1], files[0].parent)
            series.append(X)
            targets.append(np.repeat(y, len(X) // len(y)))
            groups.append(np.full(len(X), bearing))
        panel = np.concatenate(series)[:, np.newaxis] if len(series) > 1 else series[0][:, None]
        parts[part] = Part(panel, np.concatenate(targets), np.concatenate(groups))
    return assemble(condition, "regression", parts, folder)


def _bearing_folder(folder: Path, condition: str, bearing: int) -> Path:
    number = list(CONDITIONS).index(condition) + 1
    name = f"Bearing{number}_{bearing}"
    if not (folder / name).is_dir():
        raise FileNotFoundError(f"There is no folder {name} in {folder}: put it there.")
    return folder / name


def _recordings(folder: Path) -> list[Path]:
    """Recordings of a bearing, which are numbered from 1 without a gap."""
    n_files = len(list(folder.glob("*.csv")))
    files = [folder / f"{number}.csv" for number in range(1, n_files + 1)]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None or not files:
        name = missing.name if missing is not None else "1.csv"
        raise FileNotFoundError(f"There is no {name} in {folder}: put it there.")
    return files


def _read_bearing(files: list[Path], *, first_only: bool) -> tuple[np.ndarray, float, float]:
    """Windows of all recordings, and the least and greatest value in them."""
    windows, low, high = np.empty((0, 0, WINDOW)), np.inf, -np.inf
    for number, file in enumerate(files):
        signal = _read_recording(file)
        n_windows = 1 if first_only else len(signal) // WINDOW
        if not number:
            windows = np.empty((len(files), n_windows, WINDOW), dtype=np.float32)
        elif n_windows != windows.shape[1]:
            raise ValueError(
                f"{file} has {len(signal)} points, others of its bearing more or fewer windows of "
                f"{WINDOW}: copy or download it again."
            )
        windows[number] = signal[: n_windows * WINDOW].reshape(n_windows, WINDOW)
        low, high = min(low, float(signal.min())), max(high, float(signal.max()))
    return windows.reshape(-1, WINDOW), low, high


def _read_recording(path: Path) -> np.ndarray:
    """The horizontal signal, the first of two columns below a line of names."""
    signal = read_table(path, delimiter=",", skiprows=1, usecols=0)[:, 0]
    if len(signal) < WINDOW:
        raise ValueError(
            f"{path} has {len(signal)} points, fewer than a window of {WINDOW}: copy or download "
            "it again."
        )
    return signal


def _rul(n_recordings: int, first_prediction: int, folder: Path) -> np.ndarray:
    if n_recordings <= first_prediction:
        raise ValueError(
            f"{folder} has {n_recordings} recordings, but its bearing is first seen to wear after "
            f"recording {first_prediction}: the copy is not complete."
        )
    left = n_recordings - np.arange(1, n_recordings + 1)
    return np.minimum(1.0, left / (n_recordings - first_prediction))
