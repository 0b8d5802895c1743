"""Standardising per time index."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fei_sklearn.evaluation import standardise
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel, padded_with_nan


def noise():
    generator = np.random.default_rng(0)
    X = generator.normal(3.0, 2.0, (30, 2, 5))
    return X.astype(np.float32)


def test_each_index_has_its_own_statistics():
    X = noise()
    X[:, 1, 2] = 7.1  # never varies
    X[3, 0, 1] = np.nan
    standardise = TimeIndexStandardiser(X)
    standardised = standardise(X)
    mean = np.nanmean(X, axis=0, dtype=float)
    std = np.nanstd(X, axis=0, dtype=float)
    with np.errstate(invalid="ignore"):
        expected = (X - mean) / std
    expected[:, 1, 2] = 0.0
    assert_allclose(standardised, expected, atol=1e-5)
    assert standardised.dtype == np.float32


def test_indices_beyond_training_have_the_channels_statistics():
    X = np.array([[[1.0, 2.0]], [[3.0, 6.0]]])
    standardise = TimeIndexStandardiser(X)
    longer = np.array([[[2.0, 4.0, 3.0, np.nan]]])
    assert_allclose(standardise(longer), [[[0.0, 0.0, 0.0, np.nan]]])
    shorter = np.array([[[3.0]]])
    assert_array_equal(standardise(shorter), [[[1.0]]])


def test_an_index_without_training_values_has_the_channels_statistics():
    X = np.array([[[1.0, np.nan]], [[5.0, np.nan]]])  # mean 3, standard deviation 2
    standardise = TimeIndexStandardiser(X)
    series = np.array([[[5.0, 5.0]]])
    assert_allclose(standardise(series), [[[1.0, 1.0]]])


def test_chunks_of_rows_change_nothing(monkeypatch):
    X = noise()
    at_once = TimeIndexStandardiser(X)
    expected = at_once(X)
    monkeypatch.setattr(standardise, "CHUNK_ROWS", 7)
    in_chunks = TimeIndexStandardiser(X)
    assert_allclose(in_chunks(X), expected, atol=1e-6)


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e11])
def test_a_large_offset_changes_nothing(offset):
    X = np.random.default_rng(0).integers(-99, 99, (30, 2, 5)) / 128  # exact at any offset
    expected = (X - X.mean(axis=0)) / X.std(axis=0)
    shifted = X + offset
    standardised = TimeIndexStandardiser(shifted)(shifted)
    assert_allclose(standardised, expected, atol=2e-5)


def test_an_index_of_equal_values_is_centred():
    X = np.full((20_000, 1, 2), 0.1)
    X[:, 0, 1] = 1e8 + 0.1
    standardiser = TimeIndexStandardiser(X)
    assert_array_equal(standardiser.std, [[1.0, 1.0]])
    assert_allclose(standardiser(X), 0.0, atol=1e-12)


def test_whole_numbers_keep_their_values():
    series = [np.array([[2**24, 2**24 + 1]]), np.array([[1, 2, 3]], np.int8)]
    panel = as_panel(series)
    assert_array_equal(panel[0, 0], [2**24, 2**24 + 1, np.nan])
    assert as_panel(np.ones((2, 1, 3), np.int64)).dtype == np.float64
    assert as_panel(np.ones((2, 1, 3), np.int16)).dtype == np.float32


def test_infinite_and_missing_panels_are_refused():
    with pytest.raises(ValueError, match="missing values only"):
        TimeIndexStandardiser(np.full((3, 1, 4), np.nan))
    X = np.zeros((3, 1, 4))
    standardiser = TimeIndexStandardiser(X)
    X[1, 0, 2] = -np.inf
    with pytest.raises(
        ValueError, match="Series 1 has the value -inf in channel 0 at time index 2"
    ):
        standardiser(X)


def test_shorter_series_end_with_nan():
    panel = as_panel([np.ones((2, 3)), np.ones((2, 1))])
    assert panel.shape == (2, 2, 3)
    assert panel.dtype == np.float64
    assert np.isnan(panel[1]).sum() == 4
    assert not np.isnan(panel[0]).any()
    assert as_panel(panel) is panel
    longer = padded_with_nan(panel, 5)
    assert longer.shape == (2, 2, 5)
    assert np.isnan(longer[:, :, 3:]).all()
    assert padded_with_nan(panel, 2).shape == panel.shape
