"""Protocols: the probe is scikit-learn's, the hyper-parameters of the others are the paper's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from quick import quick
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_sets import arrays, dataset, sines

from fei_sklearn.evaluation import evaluate
from fei_sklearn.evaluation.metrics import classification_metrics, regression_metrics
from fei_sklearn.evaluation.splits import folds


def targets(**changes):
    content = arrays(regression=True)
    return dataset(task="regression", **content | changes)


def raw_errors(head, data):
    """Return the errors of a head on standardised raw series."""
    model = make_pipeline(StandardScaler(), head)
    model.fit(data.X_train[:, 0], data.y_train)
    predicted = model.predict(data.X_test[:, 0])
    return regression_metrics(data.y_test, predicted)


def test_the_probe_is_scikit_learns(fitted):
    data = dataset()
    (record,) = evaluate(fitted, sets=[data], seeds=[3])
    splits = folds(data.y_train, None, classes=True, seed=3)
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    grid = {"logisticregression__C": np.logspace(-3, 2, 6)}
    search = GridSearchCV(head, grid, cv=splits)
    features = fitted.transform(data.X_train)
    search.fit(features, data.y_train)
    test_features = fitted.transform(data.X_test)
    predicted = search.predict(test_features)
    assert record["metrics"] == classification_metrics(data.y_test, predicted)


def test_targets_are_probed_by_ridge():
    data = targets()
    (record,) = evaluate("raw", sets=[data])
    ridge = RidgeCV(np.logspace(-3, 5, 17))
    assert record["metrics"] == pytest.approx(raw_errors(ridge, data), rel=1e-3)


def test_ridge_chooses_its_penalty_on_folds_of_groups():
    # leaving out one series keeps others of its group, so that a small penalty seems best
    groups = np.arange(40) // 4
    generator = np.random.default_rng(0)
    signatures = generator.normal(size=(10, 1, 24))
    noise = 0.1 * generator.normal(size=(40, 1, 24))
    effects = generator.normal(size=10)
    data = targets(
        groups_train=groups,
        X_train=(signatures[groups] + noise).astype(np.float32),
        y_train=effects[groups].astype(np.float32),
    )
    (record,) = evaluate("raw", sets=[data])
    splits = folds(data.y_train, groups, classes=False, seed=0)
    ridge = RidgeCV(np.logspace(-3, 5, 17), cv=splits)
    assert record["metrics"] == pytest.approx(raw_errors(ridge, data), rel=1e-3)


@pytest.mark.parametrize(
    ("protocol", "task", "expected"),
    [
        ("linear", "classification", (True, 1e-4, 300, 15)),
        ("linear", "regression", (True, 1e-4, 300, None)),
        ("finetune", "classification", (False, 1e-5, 100, None)),
    ],
)
def test_the_hyper_parameters_are_the_papers(protocol, task, expected, fitted, tuners):
    data = dataset() if task == "classification" else targets()
    (record,) = evaluate(fitted, sets=[data], protocol=protocol)
    (params,) = tuners.params
    names = ("freeze_encoder", "learning_rate", "max_epochs", "n_iter_no_change")
    assert tuple(params[name] for name in names) == expected
    assert params["batch_size"] == 32
    assert params["lr_decay"] == "cosine"
    assert params["warm_head"] is False
    counts = record["counts"]
    assert (counts["train"], counts["val"]) == (32, 8)


def test_the_sets_own_validation_part_validates(fitted, tuners):
    X_val, y_val = sines(6, seed=2)
    data = dataset(X_val=X_val, y_val=y_val)
    (record,) = evaluate(fitted, sets=[data], protocol="linear", standardise="model")
    (X,) = tuners.panels
    (y,) = tuners.targets
    ((rows, held_out),) = tuners.splits
    assert_array_equal(X[held_out], X_val)
    assert_array_equal(y[rows], data.y_train)
    assert record["counts"]["val"] == 6


def test_a_shorter_validation_part_ends_with_nan(fitted, tuners):
    X_val, y_val = sines(6, n_timepoints=20, seed=2)
    data = dataset(X_val=X_val, y_val=y_val)
    evaluate(fitted, sets=[data], protocol="linear", standardise="model")
    (X,) = tuners.panels
    assert_array_equal(X[40:, :, :20], X_val)
    assert np.isnan(X[40:, :, 20:]).all()


def test_the_papers_readout_is_that_of_its_protocols(tuners):
    X, _ = sines(20)
    series, _ = sines(2)
    rich = quick(max_epochs=0, pooling="auto").fit(X)
    options = {"sets": [dataset()], "protocol": "linear"}
    (by_default,) = evaluate(rich, **options)
    (by_model,) = evaluate(rich, **options, readout="model")
    assert by_default["settings"]["readout"] == "paper"
    assert by_model["settings"]["readout"] == "model"
    embedders = [params["embedder"].estimator for params in tuners.params]
    widths = [embedder.transform(series).shape[1] for embedder in embedders]
    assert widths == [16, rich.transform(series).shape[1]]
    assert widths[1] > 16


def test_a_readout_among_the_parameters_is_used(tuners):
    params = {"encoder": 16, "pooling": "max"}
    (record,) = evaluate("random", sets=[dataset()], protocol="linear", params=params)
    assert record["settings"]["readout"] == "model"
    (tuner,) = tuners.params
    assert tuner["embedder"].estimator.pooling == "max"
