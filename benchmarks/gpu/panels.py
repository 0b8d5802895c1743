"""Synthetic series: sines of two frequencies in noise, and a head on their embeddings."""

from __future__ import annotations

import numpy as np

from fei_sklearn.data import Panel


def sines(n: int, n_timepoints: int = 96, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy sines of shape (n, 1, n_timepoints), float32, and the class of each."""
    generator = np.random.default_rng(seed)
    classes = np.arange(n) % 2
    n_periods = 3.0 + 2.0 * classes
    phase = generator.uniform(0.0, 1.0, size=(n, 1, 1))
    time = np.arange(n_timepoints) / n_timepoints
    series = np.sin(2.0 * np.pi * (n_periods[:, None, None] * time + phase))
    noise = generator.normal(size=series.shape)
    return (series + 0.5 * noise).astype(np.float32), classes


def of_unequal_length(X: np.ndarray) -> list[np.ndarray]:
    """Return the series cut to lengths from half to the whole."""
    n_timepoints = X.shape[2]
    shortest = n_timepoints // 2
    n_lengths = n_timepoints - shortest + 1
    return [series[:, : shortest + number % n_lengths] for number, series in enumerate(X)]


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the root mean square difference, in standard deviations of what is expected.

    The largest difference would be that of a share of positive values, which jumps at a threshold.
    """
    squares = np.square(actual - expected)
    return float(np.sqrt(squares.mean()) / expected.std())


def padded_panel(X: np.ndarray) -> Panel:
    """Return the series of `of_unequal_length` as a panel, zero on padding."""
    series = of_unequal_length(X)
    values = np.zeros_like(X)
    for row, own in zip(values, series, strict=True):
        row[:, : own.shape[1]] = own
    lengths = np.array([own.shape[1] for own in series])
    return Panel(values, lengths)
