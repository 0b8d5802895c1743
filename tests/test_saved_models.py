"""Models that an earlier version saved load today and give what they gave then."""

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

#: On the machine that wrote them the bits are equal; other processors round differently.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def expected():
    with np.load(SAVED / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def univariate(expected):
    return expected["X"][:, 0]


def assert_equal(actual, expected):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * largest)


def unpickled(name):
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("the pickles were made with NumPy 2, which NumPy 1 does not read")
    return pickle.loads((SAVED / f"{name}.pkl").read_bytes())


def test_folder(expected):
    embedder = FEIEmbedder.load(SAVED / "embedder")
    assert_equal(embedder.transform(expected["X"]), expected["embedder"])


def test_folder_of_a_rival(expected, univariate):
    embedder = FEIEmbedder.load(SAVED / "rival")
    assert_equal(embedder.transform(univariate), expected["rival"])


def test_pickled_embedder(expected):
    embeddings = unpickled("embedder").transform(expected["X"])
    assert_equal(embeddings, expected["embedder"])


def test_skops_file(expected):
    skops = pytest.importorskip("skops.io")
    path = SAVED / "embedder.skops"
    embedder = skops.load(path, trusted=skops.get_untrusted_types(file=path))
    assert_equal(embedder.transform(expected["X"]), expected["embedder"])


def test_pickled_stream_goes_on(expected, univariate):
    embedder = unpickled("stream")
    assert_equal(embedder.transform(univariate), expected["stream"])
    embedder.partial_fit(univariate[::-1])
    assert_equal(embedder.transform(univariate), expected["stream_next"])


def test_pickled_classifier(expected):
    probabilities = unpickled("classifier").predict_proba(expected["X"])
    assert_equal(probabilities, expected["classifier"])


def test_pickled_regressor(expected):
    predictions = unpickled("regressor").predict(expected["X"])
    assert_equal(predictions, expected["regressor"])


def test_pickled_sktime_transformer(expected):
    embeddings = unpickled("transformer").transform(expected["X"])
    assert_equal(embeddings, expected["transformer"])


def test_pickled_sktime_classifier(expected):
    probabilities = unpickled("sktime_classifier").predict_proba(expected["X"])
    assert_equal(probabilities, expected["sktime_classifier"])


def test_pickled_forecaster(expected):
    forecaster = unpickled("forecaster")
    assert_equal(forecaster.predict(), expected["forecaster"])
    interval = forecaster.predict_interval(coverage=0.9)
    assert_equal(interval, expected["forecaster_interval"])
