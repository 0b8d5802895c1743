"""The synthetic corpus: deterministic, streamed, standardised, of many kinds."""

import itertools

import numpy as np
import pytest

from fei_sklearn.datasets import iter_corpus, make_corpus
from fei_sklearn.datasets.corpus import CHUNK
from fei_sklearn.datasets.corpus_processes import PROCESSES, resample, standardise


def test_the_same_seed_gives_the_same_series_and_another_seed_others():
    one, two = make_corpus(20, 64, random_state=3), make_corpus(20, 64, random_state=3)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, make_corpus(20, 64, random_state=4))


def test_a_longer_corpus_begins_with_the_shorter_one():
    assert np.array_equal(make_corpus(CHUNK + 30, 32)[:10], make_corpus(10, 32))


def test_the_stream_can_be_entered_anywhere():
    whole = list(itertools.islice(iter_corpus(32, random_state=1), 3))
    assert np.array_equal(next(iter_corpus(32, random_state=1, start=2)), whole[2])
    assert np.array_equal(make_corpus(3 * CHUNK, 32, random_state=1), np.concatenate(whole))


def test_series_are_finite_and_standardised():
    x = make_corpus(CHUNK, 128)
    assert x.dtype == np.float32 and x.shape == (CHUNK, 128)
    np.testing.assert_allclose(x.mean(axis=1), 0.0, atol=1e-5)
    spread = x.std(axis=1)
    flat = spread < 1e-6
    assert flat.mean() < 0.02
    np.testing.assert_allclose(spread[~flat], 1.0, rtol=1e-4)


def test_series_differ_in_kind():
    """Smooth and rough ones, symmetric and spiky ones."""
    x = make_corpus(2 * CHUNK, 256)
    roughness = np.abs(np.diff(x, axis=1)).mean(axis=1)
    kurtosis = (x**4).mean(axis=1)
    assert np.quantile(roughness, 0.9) > 8 * np.quantile(roughness, 0.1)
    assert np.quantile(kurtosis, 0.95) > 6 and np.quantile(kurtosis, 0.2) < 2.5


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.__name__)
def test_a_process_gives_finite_series_that_differ(process):
    x = process(np.random.default_rng(0), 8, 200)
    assert x.shape == (8, 200) and np.isfinite(x).all()
    assert len({row.tobytes() for row in x}) == 8


def test_resample_is_linear_interpolation():
    x = np.array([[0.0, 2.0, 4.0]])
    np.testing.assert_allclose(resample(x, np.array([[0.5, 1.25, 9.0]])), [[1.0, 2.5, 4.0]])


def test_standardise_makes_a_constant_zero():
    np.testing.assert_array_equal(standardise(np.full((1, 5), 7.0)), np.zeros((1, 5)))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_timepoints": 8}, ValueError, "n_timepoints must be at least 16, got 8"),
        ({"n_series": -1}, ValueError, "n_series must be at least 0, got -1"),
        ({"random_state": "a"}, TypeError, "random_state must be an integer, got 'a'"),
        ({"n_timepoints": 64.5}, TypeError, "n_timepoints must be an integer, got 64.5"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        make_corpus(**arguments)
