"""The synthetic corpus: deterministic, streamed, standardised, and of many kinds."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from fei_sklearn.datasets import iter_corpus, make_corpus
from fei_sklearn.datasets.corpus import CHUNK

#: Sum of the absolute values of every series in the first chunk, for the seeds 0 to 2.
GOLDEN_SUMS = Path(__file__).parent.parent / "golden" / "corpus_sums.npy"


def test_the_same_seed_gives_the_same_series_and_another_seed_others():
    series = make_corpus(20, 64, random_state=3)
    same_seed = make_corpus(20, 64, random_state=3)
    other_seed = make_corpus(20, 64, random_state=4)
    assert np.array_equal(series, same_seed)
    assert not np.array_equal(series, other_seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bundled_checkpoints_can_be_made_again(seed):
    """The seeds of the recipes give the series that the checkpoints were pretrained on.

    The tolerance is for processors whose exponentials and sines round otherwise.
    """
    x = make_corpus(CHUNK, 64, random_state=seed)
    sums = np.abs(x).sum(axis=1)
    expected = np.load(GOLDEN_SUMS)
    np.testing.assert_allclose(sums, expected[seed], rtol=1e-3)


def test_a_longer_corpus_begins_with_the_shorter_one():
    longer = make_corpus(CHUNK + 30, 32)
    assert np.array_equal(longer[:10], make_corpus(10, 32))


def test_the_stream_can_be_entered_anywhere():
    stream = iter_corpus(32, random_state=1)
    chunks = list(itertools.islice(stream, 3))
    entered = iter_corpus(32, random_state=1, start=2)
    assert np.array_equal(next(entered), chunks[2])
    whole = make_corpus(3 * CHUNK, 32, random_state=1)
    assert np.array_equal(whole, np.concatenate(chunks))


def test_series_are_finite_and_standardised():
    x = make_corpus(CHUNK, 128)
    assert x.dtype == np.float32
    assert x.shape == (CHUNK, 128)
    np.testing.assert_allclose(x.mean(axis=1), 0.0, atol=1e-5)
    deviation = x.std(axis=1)
    is_flat = deviation < 1e-6
    assert is_flat.mean() < 0.02
    np.testing.assert_allclose(deviation[~is_flat], 1.0, rtol=1e-4)


def test_series_differ_in_kind():
    """Some are smooth and some rough, some symmetric and some spiky."""
    x = make_corpus(2 * CHUNK, 256)
    roughness = np.abs(np.diff(x, axis=1)).mean(axis=1)
    kurtosis = (x**4).mean(axis=1)
    assert np.quantile(roughness, 0.9) > 8 * np.quantile(roughness, 0.1)
    assert np.quantile(kurtosis, 0.95) > 6
    assert np.quantile(kurtosis, 0.2) < 2.5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_timepoints": 8}, ValueError, "n_timepoints must be at least 16, got 8"),
        ({"n_series": -1}, ValueError, "n_series must be at least 0, got -1"),
        ({"random_state": "a"}, TypeError, "random_state must be an integer, got 'a'"),
        ({"n_timepoints": 64.5}, TypeError, "n_timepoints must be an integer, got 64.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_corpus(**arguments)
