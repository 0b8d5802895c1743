"""Views of series against NumPy, padding, and constant series."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.readout.spec import FRONT_VIEWS
from fei_sklearn.readout.views import check_lengths, see


def noise(n, length, seed=0):
    return np.random.default_rng(seed).normal(3, 2, size=(n, length)).astype(np.float32)


def standardised(series):
    deviation = series.std()
    return (series - series.mean()) / (deviation if deviation > 1e-6 else np.inf)


def expected(series, view):
    series = series.astype(np.float64)
    if view == "level":
        return series
    if view == "change":
        return standardised(np.diff(series))
    if view == "halved":
        pairs = series[: len(series) // 2 * 2].reshape(-1, 2)
        return standardised(pairs.mean(axis=1))
    shape = standardised(series)
    return standardised(np.cumsum(shape)) if view == "sum" else shape


@pytest.mark.parametrize("view", FRONT_VIEWS)
def test_rows_of_any_length_are_numpys(view):
    lengths = np.array([40, 2, 3, 17, 40])
    values = noise(5, 40)
    seen, n_seen = see(values, lengths, view)
    assert seen.dtype == np.float32
    for row, length in enumerate(lengths):
        wanted = expected(values[row, :length], view)
        assert n_seen[row] == len(wanted)
        np.testing.assert_allclose(seen[row, : len(wanted)], wanted, rtol=2e-5, atol=2e-5)
        assert not seen[row, len(wanted) :].any()


@pytest.mark.parametrize("view", FRONT_VIEWS)
def test_padding_and_other_rows_change_no_bit(view):
    values = noise(4, 30)
    lengths = np.array([30, 30, 12, 30])
    seen, n_seen = see(values, lengths, view)
    values[2, 12:] = 1e9
    again, _ = see(values[2:3], lengths[2:3], view)
    assert np.array_equal(again[0, : n_seen[2]], seen[2, : n_seen[2]])


@pytest.mark.parametrize("view", FRONT_VIEWS[1:])
def test_constant_series_are_zero(view):
    values = np.full((1, 9), 1e6 / 3, np.float32)
    seen, _ = see(values, np.array([9]), view)
    assert not seen.any()


def test_series_of_one_point_are_refused():
    with pytest.raises(ValueError, match="at least 2 time points, got 1"):
        check_lengths(np.array([5, 1]))
