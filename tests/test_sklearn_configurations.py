"""scikit-learn's global configuration and `set_output`: all estimators compute the same numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fine_tuners import FREQUENCY, LABELS, X, classifier, regressor
from quick import quick
from sklearn import config_context
from sklearn.frozen import FrozenEstimator

from fei_sklearn.adapters import sktime
from fei_sklearn.adapters.frames import embed_long
from fei_sklearn.evaluation.models import Conditions, Raw
from fei_sklearn.evaluation.protocols import end_to_end, probe
from fei_sklearn.evaluation.sets import Task

SERIES = pd.Series(np.sin(np.arange(40) / 3) + np.arange(40) / 50)
TASK = Task(True, X, LABELS, X, LABELS)
TARGETS = Task(False, X, FREQUENCY, X, FREQUENCY)
NAMES = {"id": np.repeat(["a", "b"], 32), "time": np.tile(np.arange(32), 2)}
LONG = pd.DataFrame(NAMES | {"u": X[:2, 0].ravel(), "v": X[:2, 1].ravel()})

CONFIGURATIONS = {
    "pandas": {"transform_output": "pandas"},
    "polars": {"transform_output": "polars"},
    "routing": {"enable_metadata_routing": True},
    "array-api": {"array_api_dispatch": True},
    "finite": {"assume_finite": True},
    "unvalidated": {"skip_parameter_validation": True},
    "memory": {"working_memory": 1},
    "printed": {"print_changed_only": False, "display": "text"},
}


def embedder(output=None):
    """Return an embedder that trains for an epoch, with a container of its own."""
    made = quick(max_epochs=1)
    if output is not None:
        made.set_output(transform=output)
    return made


def forecast(inner):
    """Return forecasts of a series."""
    forecaster = sktime.FEIForecaster(inner, window_length=8)
    return forecaster.fit(SERIES, fh=[1, 2]).predict()


def transformed(inner):
    """Return the embeddings of sktime's transformer."""
    params = inner.get_params()
    del params["n_jobs"]  # sktime demands equal results for any
    transformer = sktime.FEITransformer(**params)
    return transformer.fit_transform(X)


#: From an unfitted embedder to the numbers that an estimator computes with it.
USES = {
    "embedder": lambda inner: inner.fit_transform(X),
    "stream": lambda inner: inner.partial_fit(X).transform(X),
    "chunks": lambda inner: next(iter(inner.fit(X).transform_chunks(X)))[1],
    "windows": lambda inner: inner.fit(X).transform_sliding(X[:3], window_length=16)[0],
    "classifier": lambda inner: classifier(inner).fit(X, LABELS).predict_proba(X),
    "classifier-embeddings": lambda inner: classifier(inner).fit(X, LABELS).transform(X),
    "regressor": lambda inner: regressor(inner).fit(X, FREQUENCY).predict(X),
    "frozen-classifier": lambda inner: (
        classifier(FrozenEstimator(inner.fit(X)), freeze_encoder=True).fit(X, LABELS).coef_
    ),
    "forecaster": forecast,
    "frozen-forecaster": lambda inner: forecast(FrozenEstimator(inner.fit(X[:, :1]))),
    "sktime-transformer": transformed,
    "sktime-classifier": lambda inner: (
        sktime.FEIClassifier(inner, max_epochs=1, random_state=0).fit(X, LABELS).predict_proba(X)
    ),
    "sktime-regressor": lambda inner: (
        sktime.FEIRegressor(inner, max_epochs=1, random_state=0).fit(X, FREQUENCY).predict(X)
    ),
    "long-frame": lambda inner: embed_long(
        inner.fit(X), LONG, id="id", time="time", columns=["u", "v"]
    ),
    "probe": lambda inner: probe(TASK, inner.fit(X), "logistic", 0).predicted == "fast",
    "ridge-probe": lambda inner: probe(TARGETS, inner.fit(X), "ridge", 0).predicted,
    "raw": lambda inner: Raw().adapt(X, 0, Conditions()).transform(X),
    "linear": lambda inner: (
        end_to_end(TASK, inner.fit(X), "linear", 0, Conditions()).predicted == "fast"
    ),
}


@pytest.fixture(scope="module")
def expected():
    """Return a function that computes, once per use, the numbers under the defaults."""
    known = {}

    def numbers(use):
        if use not in known:
            known[use] = np.asarray(USES[use](embedder()))
        return known[use]

    return numbers


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("use", USES)
def test_a_global_configuration_changes_no_number(use, configuration, expected):
    with config_context(**CONFIGURATIONS[configuration]):
        actual = USES[use](embedder())
    np.testing.assert_array_equal(np.asarray(actual), expected(use))


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("use", USES)
def test_an_embedders_own_container_changes_no_number(use, output, expected):
    actual = USES[use](embedder(output))
    np.testing.assert_array_equal(np.asarray(actual), expected(use))


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_no_frame_holds_the_embeddings_of_steps(output):
    fitted = quick(pooling=None).fit(X)
    with config_context(transform_output=output), pytest.raises(ValueError, match="pooling=None"):
        fitted.transform(X)
    assert fitted.transform(X).ndim == 3


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_sktimes_columns_have_the_same_names(output):
    columns = list(transformed(embedder()).columns)
    with config_context(transform_output=output):
        assert list(transformed(embedder()).columns) == columns
