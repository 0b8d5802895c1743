"""Series of very unequal length: the bits of the padded array in the memory of the series."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from panels import noise, padded
from quick import quick

from fei_sklearn import FEIClassifier
from fei_sklearn._input import containers
from fei_sklearn._input.unequal import UnequalSeries


def one_long(n_long=900, n_short=20):
    return [noise(2, 30 + i % 3, seed=i) for i in range(n_short)] + [noise(2, n_long, seed=99)]


@pytest.fixture
def pads_late(monkeypatch):
    monkeypatch.setattr(containers, "MIN_PADDED_VALUES", 0)


def test_it_reads_like_the_padded_array():
    series = one_long()
    unequal = UnequalSeries(series)
    expected = padded(series)
    assert unequal.shape == expected.shape and len(unequal) == len(expected)
    np.testing.assert_array_equal(unequal[18:], expected[18:])
    np.testing.assert_array_equal(np.asarray(unequal), expected)


@pytest.mark.parametrize("params", [{}, {"scaling": "series", "channels": "mix"}])
def test_embeddings_have_the_bits_of_the_padded_array(params, pads_late):
    series = one_long()
    assert isinstance(containers.as_array(series, series_are_1d=True), UnequalSeries)
    expected = quick(**params).fit(padded(series))
    embedder = quick(**params).fit(series)
    for name, weights in expected.weights_.items():
        np.testing.assert_array_equal(embedder.weights_[name], weights, err_msg=name)
    np.testing.assert_array_equal(embedder.transform(series), expected.transform(padded(series)))


def test_fine_tuning_has_the_bits_of_the_padded_array(pads_late):
    series = one_long()
    y = np.arange(21) % 2
    expected, model = (FEIClassifier(quick(), max_epochs=1, random_state=0) for _ in range(2))
    expected.fit(padded(series), y)
    np.testing.assert_array_equal(
        model.fit(series, y).predict_proba(series), expected.predict_proba(padded(series))
    )


def test_infinity_is_found_when_it_is_read(pads_late):
    series = one_long()
    series[3][1, 5] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        quick().fit(series)


@contextmanager
def memory_below(n_bytes):
    """Fail if a block takes more memory than this at any time."""
    tracemalloc.start()
    try:
        yield
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert largest < n_bytes


def test_one_long_series_does_not_multiply_the_memory():
    series = [noise(50, seed=i) for i in range(600)] + [noise(60_000, seed=999)]
    padded_bytes = 601 * 60_000 * 8
    with memory_below(padded_bytes / 10):
        containers.as_array(series, series_are_1d=True)
        quick(encoder=8).fit(series[:9]).transform(series)


@pytest.mark.parametrize("position", [3, 300], ids=["sampled", "not sampled"])
def test_one_long_series_does_not_multiply_the_memory_of_a_frozen_classifier(position):
    series = [noise(50, seed=i) for i in range(300)]
    series.insert(position, noise(80_000, seed=999))
    padded_bytes = 301 * 80_000 * 8
    y = np.arange(301) % 2
    model = FEIClassifier("default", freeze_encoder=True, max_epochs=1, random_state=0)
    model.fit(series[10:20], y[10:20])  # imports what training needs
    with memory_below(padded_bytes / 4):
        model.fit(series, y).predict(series)
