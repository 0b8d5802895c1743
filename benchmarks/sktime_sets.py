"""Sets that sktime ships, and the training part of HAR from a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sktime import datasets

MULTIVARIATE = ("BasicMotions", "JapaneseVowels", "HAR")
UNIVARIATE = ("ItalyPowerDemand", "GunPoint", "ArrowHead", "Tecator")

_LOADERS = {
    "BasicMotions": datasets.load_basic_motions,
    "ItalyPowerDemand": datasets.load_italy_power_demand,
    "GunPoint": datasets.load_gunpoint,
    "ArrowHead": datasets.load_arrow_head,
    "Tecator": datasets.load_tecator,
}

#: Series of HAR, out of 5881.
_MOST_OF_HAR = 600


def load_training_part(name: str, folder: Path | None):
    """Return training series and targets of a set, or None for HAR without its file."""
    if name == "HAR":
        return _load_har(folder)
    if name == "JapaneseVowels":
        frame, y = datasets.load_japanese_vowels(split="train", return_X_y=True)
        series = [np.stack([cell.to_numpy() for cell in row]) for row in frame.to_numpy()]
        return series, y
    return _LOADERS[name](split="train", return_type="numpy3d")


_UNEQUAL_LOADERS = {
    "JapaneseVowels": datasets.load_japanese_vowels,
    "PLAID": datasets.load_plaid,
}


def load_unequal(name: str) -> list[np.ndarray]:
    """Return the series of unequal length and labels of both parts, with NaN behind their ends."""
    frames = []
    labels = []
    for part in ("train", "test"):
        frame, y = _UNEQUAL_LOADERS[name](split=part, return_X_y=True, return_type="nested_univ")
        frames.append(frame)
        labels.append(y)
    longest = max(len(cell) for frame in frames for cell in frame.iloc[:, 0])
    X_train, X_test = (_with_nan(frame, longest) for frame in frames)
    return [X_train, labels[0], X_test, labels[1]]


def _with_nan(frame, n_timepoints: int) -> np.ndarray:
    """Return a nested frame as an array, with NaN behind the ends of its series."""
    X = np.full((*frame.shape, n_timepoints), np.nan)
    for series, cells in zip(X, frame.to_numpy(), strict=True):
        for channel, cell in zip(series, cells, strict=True):
            channel[: len(cell)] = cell
    return X


def _load_har(folder: Path | None):
    if folder is None:
        return None
    file = folder / "har.npz"
    if not file.exists():
        return None
    with np.load(file) as arrays:
        X = arrays["X_train"]
        y = arrays["y_train"]
    rows = np.random.default_rng(0).permutation(len(X))[:_MOST_OF_HAR]
    return X[rows], y[rows]
