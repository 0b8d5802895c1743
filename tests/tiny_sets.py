"""Labelled sets of a few short series: arrays, .npz files, and datasets in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn.datasets import Dataset

Arrays = dict[str, np.ndarray]


def sines(
    n: int,
    *,
    n_channels: int = 1,
    n_timepoints: int = 24,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Return noisy sines of two frequencies in turn, and the class of each series."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    time = np.arange(n_timepoints) / n_timepoints
    phase = generator.uniform(0, 6, (n, n_channels, 1))
    frequency = 2 + 3 * y[:, None, None]
    X = np.sin(2 * np.pi * frequency * time + phase)
    noise = generator.normal(size=X.shape)
    X = X + 0.1 * noise
    return X.astype(np.float32), y


def arrays(*, regression: bool = False, **options: Any) -> Arrays:
    """Return the arrays of a set of 40 training and 20 test series."""
    X_train, y_train = sines(40, **options)
    X_test, y_test = sines(20, **{**options, "seed": 1})
    kind = np.float32 if regression else np.int64
    return {
        "X_train": X_train,
        "y_train": y_train.astype(kind),
        "X_test": X_test,
        "y_test": y_test.astype(kind),
    }


def write(folder: Path, name: str, content: Arrays | None = None) -> Path:
    """Write a set, by default that of `arrays`."""
    path = folder / f"{name}.npz"
    if content is None:
        content = arrays()
    np.savez(path, **content)
    return path


def dataset(name: str = "sines", **changes: Any) -> Dataset:
    """Return a classification set in memory."""
    fields: dict[str, Any] = {"task": "classification", "X_val": None, "y_val": None}
    fields |= arrays()
    fields |= changes
    return Dataset(name=name, **fields)
