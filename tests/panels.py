"""Panels of noise, their padding, strategies of hypothesis for them, and a reference scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from quick import quick

from fei_sklearn import FEIEmbedder

#: Settings of property tests whose examples train an embedder.
PROPERTIES = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

#: Shapes of small panels.
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(2, 24))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Return normal noise."""
    return np.random.default_rng(seed).normal(size=shape)


def fast(**params: Any) -> FEIEmbedder:
    """Return an embedder that trains for one epoch, on all channels at once."""
    defaults = {"max_epochs": 1, "channels": "mix", "scaling": "series", "batch_size": 512}
    return quick(**(defaults | params))


def padded(
    series: list[np.ndarray], n_before: int = 0, n_after: int = 0, length: int | None = None
) -> np.ndarray:
    """Return series of shape (n_channels, n_timepoints_i) as one array with NaN around them."""
    length = length or max(item.shape[1] for item in series)
    X = np.full((len(series), len(series[0]), n_before + length + n_after), np.nan)
    for row, item in zip(X, series, strict=True):
        row[:, n_before : n_before + item.shape[1]] = item
    return X


def masked(X: np.ndarray) -> np.ma.MaskedArray:
    """Return a masked array with missing values in place of NaN."""
    return np.ma.array(np.nan_to_num(X, nan=1e9), mask=np.isnan(X))


def panels(shapes: Any = SHAPES, largest_power: int = 0) -> Any:
    """Return a strategy of panels, scaled by powers of 10, some with missing values."""
    powers = st.integers(-largest_power, largest_power)
    shares = st.sampled_from([0.0, 0.0, 0.2, 0.5, 0.8])
    return st.builds(_panel, shapes, st.integers(0, 2**32 - 1), powers, shares)


def _panel(shape: tuple[int, ...], seed: int, power: int, share: float) -> np.ndarray:
    """Return quarters with a share of missing values, at times also missing ends and channels."""
    generator = np.random.default_rng(seed)
    values = generator.integers(-4000, 4000, size=shape) / 4 * 10.0**power
    values[generator.random(shape) < share] = np.nan
    if share == 0:
        return values
    for series in values:
        if generator.random() < 0.5:
            first, last = sorted(generator.integers(0, series.shape[1] + 1, size=2))
            series[:, :first] = np.nan
            series[:, last:] = np.nan
        series[generator.random(len(series)) < 0.2] = np.nan
    return values


def expected_scaling(X: np.ndarray, scaling: str | None) -> np.ndarray:
    """Return a panel scaled by NumPy's own mean and standard deviation."""
    expected = np.full(X.shape, np.nan)
    for i, c in np.ndindex(X.shape[:2]):
        sources = {"series": X[i, c], "channel": X[:, c], None: np.array([-1.0, 1.0])}
        source = sources[scaling]
        if not np.isnan(source).all():
            deviation = np.nanstd(source)
            expected[i, c] = (X[i, c] - np.nanmean(source)) / (deviation or 1.0)
    return expected
