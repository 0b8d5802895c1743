"""make_classifier: decisions, probabilities, searches, copies."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from quick import oscillations, quick, walks
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from fei_sklearn.heads import make_classifier
from fei_sklearn.heads._classifier import _calibration_method

X, FREQUENCY = oscillations()
Y = np.where(FREQUENCY > 4, "fast", "slow")


@pytest.fixture(scope="module")
def embedder():
    """Embedder that separates the classes, but not fully."""
    return quick(max_epochs=1).fit(X)


def test_the_head_is_ridge_on_standardised_embeddings(embedder):
    features = StandardScaler().fit_transform(embedder.transform(X))
    ridge = RidgeClassifierCV(np.logspace(-3, 5, 17)).fit(features, Y)
    model = make_classifier(embedder).fit(X, Y)
    np.testing.assert_allclose(
        model.decision_function(X), ridge.decision_function(features), rtol=1e-5, atol=1e-6
    )
    assert is_classifier(model)
    assert not hasattr(model, "predict_proba")


def test_penalties_reach_far_enough_for_many_features():
    assert make_classifier()["head"].alphas.max() == 1e5


def test_probabilities_agree_with_the_decisions(embedder):
    three = np.concatenate([X, walks(12, n_timepoints=X.shape[-1])])
    y = np.append(Y, ["walk"] * 12)
    model = make_classifier(embedder, probabilities=True).fit(three, y)
    probabilities = model.predict_proba(three)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    decisions = model.predict(three)
    assert list(model.classes_[probabilities.argmax(axis=1)]) == list(decisions)
    assert np.mean(decisions == y) > 0.7
    if model["head"].method == "temperature":
        assert list(make_classifier(embedder).fit(three, y).predict(three)) == list(decisions)


@pytest.mark.parametrize(
    ("version", "method"),
    [("1.6.1", "sigmoid"), ("1.7.2", "sigmoid"), ("1.8.0", "temperature"), ("1.10", "temperature")],
)
def test_the_method_is_one_that_scikit_learn_has(version, method):
    assert _calibration_method(version) == method


def test_probabilities_need_two_series_of_each_class(embedder):
    y = np.array(["single", "pair", "pair", *["many"] * (len(X) - 3)])
    with pytest.raises(ValueError, match="calibrated probabilities need two series of each class"):
        make_classifier(embedder, probabilities=True).fit(X, y)
    assert set(make_classifier(embedder).fit(X, y).classes_) == {"single", "pair", "many"}
    model = make_classifier(embedder, probabilities=True).fit(X[1:], y[1:])
    assert model.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize("probabilities", [None, 1, "temperature"])
def test_probabilities_are_a_boolean(probabilities):
    with pytest.raises(TypeError, match="probabilities must be True or False"):
        make_classifier(probabilities=probabilities)


def test_parameters_are_searched():
    model = make_classifier(quick(), probabilities=True)
    grid = {
        "embedder__pooling": ["mean", "max"],
        "head__estimator__alphas": [[1.0], [1e3]],
    }
    search = GridSearchCV(model, grid, cv=2, scoring="neg_log_loss").fit(X, Y)
    assert set(search.best_params_) == set(grid)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("probabilities", [False, True])
def test_copies_give_the_same(embedder, probabilities):
    model = make_classifier(embedder, probabilities=probabilities)
    fitted = clone(model).fit(X, Y)
    assert isinstance(fitted["embedder"], FrozenEstimator)
    restored = pickle.loads(pickle.dumps(fitted))
    method = "predict_proba" if probabilities else "decision_function"
    np.testing.assert_array_equal(getattr(restored, method)(X), getattr(fitted, method)(X))


def test_the_bundled_checkpoint_is_the_default():
    model = make_classifier().fit(X, Y)
    assert model["embedder"].pretrained == "default"
    assert model.score(X, Y) == 1.0
