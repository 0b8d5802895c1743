"""Models that an earlier version saved load today and give the same bits."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from fei_sklearn import FEIEmbedder

#: Folders, pickles and a skops file written when the modules lay flat in the package, and what the
#: models in them gave then.
SAVED = Path(__file__).parent / "golden" / "saved"

#: Pickles name the version of scikit-learn, which need not be the present one.
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.InconsistentVersionWarning",
)


@pytest.fixture(scope="module")
def expected():
    with np.load(SAVED / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def univariate(expected):
    return expected["X"][:, 0]


def unpickled(name):
    return pickle.loads((SAVED / f"{name}.pkl").read_bytes())


def test_folder(expected):
    embedder = FEIEmbedder.load(SAVED / "embedder")
    np.testing.assert_array_equal(embedder.transform(expected["X"]), expected["embedder"])


def test_folder_of_a_rival(expected, univariate):
    embedder = FEIEmbedder.load(SAVED / "rival")
    np.testing.assert_array_equal(embedder.transform(univariate), expected["rival"])


def test_pickled_embedder(expected):
    embeddings = unpickled("embedder").transform(expected["X"])
    np.testing.assert_array_equal(embeddings, expected["embedder"])


def test_skops_file(expected):
    skops = pytest.importorskip("skops.io")
    path = SAVED / "embedder.skops"
    embedder = skops.load(path, trusted=skops.get_untrusted_types(file=path))
    np.testing.assert_array_equal(embedder.transform(expected["X"]), expected["embedder"])


def test_pickled_stream_goes_on(expected, univariate):
    embedder = unpickled("stream")
    np.testing.assert_array_equal(embedder.transform(univariate), expected["stream"])
    embedder.partial_fit(univariate[::-1])
    np.testing.assert_array_equal(embedder.transform(univariate), expected["stream_next"])


def test_pickled_classifier(expected):
    probabilities = unpickled("classifier").predict_proba(expected["X"])
    np.testing.assert_array_equal(probabilities, expected["classifier"])


def test_pickled_regressor(expected):
    predictions = unpickled("regressor").predict(expected["X"])
    np.testing.assert_array_equal(predictions, expected["regressor"])


def test_pickled_sktime_transformer(expected):
    embeddings = unpickled("transformer").transform(expected["X"])
    np.testing.assert_array_equal(embeddings, expected["transformer"])


def test_pickled_sktime_classifier(expected):
    probabilities = unpickled("sktime_classifier").predict_proba(expected["X"])
    np.testing.assert_array_equal(probabilities, expected["sktime_classifier"])


def test_pickled_forecaster(expected):
    forecaster = unpickled("forecaster")
    np.testing.assert_array_equal(forecaster.predict(), expected["forecaster"])
    interval = forecaster.predict_interval(coverage=0.9)
    np.testing.assert_array_equal(interval, expected["forecaster_interval"])
