"""FEI in aeon: its own checks, equality with the plain embedder, pipelines.

aeon needs other versions of NumPy and numba than the rest of the tests: run this file in an
environment that has it.
"""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from quick import oscillations, quick, run_python, walks
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import fei_sklearn

QUICK = quick().get_params()
del QUICK["n_jobs"]


@pytest.fixture
def adapter():
    pytest.importorskip("aeon")
    from fei_sklearn.adapters.aeon import FEICollectionTransformer

    return FEICollectionTransformer


def with_gaps():
    X = walks()
    X[0, 1, 3:9] = X[1, :, :4] = X[2, :, 25:] = np.nan
    return X


def ragged():
    return [series[:, : 10 + i] for i, series in enumerate(walks())]


def test_without_aeon_a_sentence_says_what_to_do():
    code = """
import sys
sys.modules["aeon"] = None  # which makes every import of it fail
try:
    import fei_sklearn.adapters.aeon
except ImportError as error:
    print(error)
"""
    (line,) = run_python(code).splitlines()
    assert line.startswith("fei_sklearn.adapters.aeon needs aeon: pip install aeon, in an env")


@pytest.mark.filterwarnings("default")
def test_aeon_checks(adapter):
    from aeon.testing.estimator_checking import check_estimator

    results = check_estimator(adapter)
    assert len(results) > 15
    assert {name: result for name, result in results.items() if result != "PASSED"} == {}


def test_parameters_are_those_of_the_embedder(adapter):
    expected = fei_sklearn.FEIEmbedder().get_params()
    del expected["n_jobs"]
    assert adapter().get_params() == expected
    documented = re.search(r"Parameters\n    -+\n    ([^\n]*)\n", adapter.__doc__)[1]
    assert set(documented.split(", ")) == set(expected)
    assert adapter(mask_ratio=0.5).mask_ratio == 0.5


@pytest.mark.parametrize(
    "X",
    [walks(), walks(n_channels=1), with_gaps(), ragged()],
    ids=["2", "1", "nan", "lengths"],
)
def test_embeddings_are_those_of_the_embedder(adapter, X):
    fitted = adapter(**QUICK).fit(X)
    embeddings = fitted.transform(X)
    assert isinstance(embeddings, np.ndarray)
    np.testing.assert_array_equal(embeddings, quick().fit_transform(X))
    np.testing.assert_array_equal(adapter(**QUICK).fit_transform(X), embeddings)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), embeddings)


def test_frames_and_2d_arrays(adapter):
    import pandas as pd

    X = walks()
    frames = [pd.DataFrame(series) for series in X]  # aeon's have a row for each channel
    np.testing.assert_array_equal(adapter(**QUICK).fit_transform(frames), quick().fit_transform(X))
    np.testing.assert_array_equal(
        adapter(**QUICK).fit_transform(X[:, 0]), quick().fit_transform(X[:, :1])
    )


def test_other_lengths_in_transform(adapter):
    fitted, plain = adapter(**QUICK).fit(walks()), quick().fit(walks())
    np.testing.assert_array_equal(fitted.transform(ragged()), plain.transform(ragged()))


def test_warm_start_goes_on(adapter):
    X = walks()
    cold, warm = adapter(**QUICK), adapter(**QUICK | {"warm_start": True})
    for _ in range(2):
        cold.fit(X)
        warm.fit(X)
    assert (len(cold.embedder_.history_), len(warm.embedder_.history_)) == (2, 4)


def test_in_pipelines_and_searches(adapter):
    from aeon.pipeline import make_pipeline as make_aeon_pipeline

    X, y = oscillations()
    expected = make_pipeline(quick(max_epochs=10), LogisticRegression()).fit(X, y).predict(X)
    for make in (make_pipeline, make_aeon_pipeline):
        model = make(adapter(**QUICK | {"max_epochs": 10}), LogisticRegression())
        labels = (y > 5).astype(str)
        assert (model.fit(X, labels).predict(X) == (expected > 5).astype(str)).all()
    model = make_pipeline(adapter(**QUICK), LogisticRegression())
    assert np.isfinite(cross_val_score(model, X, y, cv=2, error_score="raise")).all()
    grid = {"feicollectiontransformer__mask_ratio": [0.25, 0.5]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_[0].embedder_.mask_ratio in (0.25, 0.5)
