"""Labelled sets of a few short series, as .npz files, and the class that holds one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn.datasets import Dataset

Arrays = dict[str, np.ndarray]


def sines(n: int, *, n_channels: int = 1, n_timepoints: int = 24, seed: int = 0) -> tuple[Any, Any]:
    """Noisy sines of two frequencies in turn, and which of them each is."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    time = np.arange(n_timepoints) / n_timepoints
    phase = generator.uniform(0, 6, (n, n_channels, 1))
    X = np.sin(2 * np.pi * (2 + 3 * y[:, None, None]) * time + phase)
    return (X + 0.1 * generator.normal(size=X.shape)).astype(np.float32), y


def arrays(*, regression: bool = False, **options: Any) -> Arrays:
    """Arrays of a set of 40 training and 20 test series."""
    (X, y), (X_test, y_test) = sines(40, **options), sines(20, **{**options, "seed": 1})
    kind = np.float32 if regression else np.int64
    return {
        "X_train": X,
        "y_train": y.astype(kind),
        "X_test": X_test,
        "y_test": y_test.astype(kind),
    }


def write(folder: Path, name: str, content: Arrays | None = None) -> Path:
    """Write a set, by default the one of `arrays`."""
    path = folder / f"{name}.npz"
    np.savez(path, **(arrays() if content is None else content))
    return path


def dataset(name: str = "sines", **changes: Any) -> Dataset:
    """A classification set in memory."""
    fields = {"task": "classification", "X_val": None, "y_val": None} | arrays() | changes
    return Dataset(name=name, **fields)
