"""make_regressor: predictions, searches, copies."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from quick import oscillations, quick
from sklearn.base import clone, is_regressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from fei_sklearn.heads import make_regressor

X, FREQUENCY = oscillations()


@pytest.fixture(scope="module")
def embedder():
    return quick(max_epochs=1).fit(X)


def test_the_prediction_is_the_mean_of_ridge_and_trees(embedder):
    features = StandardScaler().fit_transform(embedder.transform(X))
    ridge = RidgeCV(np.logspace(-3, 5, 17)).fit(features, FREQUENCY)
    trees = ExtraTreesRegressor(max_features="sqrt", random_state=0).fit(features, FREQUENCY)
    expected = (ridge.predict(features) + trees.predict(features)) / 2
    model = make_regressor(embedder, random_state=0).fit(X, FREQUENCY)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)
    assert is_regressor(model)


def test_the_random_state_is_that_of_the_trees(embedder):
    y = np.random.default_rng(0).normal(size=len(X))
    first, same, other = (
        make_regressor(embedder, random_state=seed).fit(X[::2], y[::2]).predict(X)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_parameters_are_searched():
    model = make_regressor(quick(), random_state=0).set_params(head__trees__n_estimators=5)
    grid = {"embedder__pooling": ["mean", "max"], "head__ridge__alphas": [[1.0], [1e3]]}
    search = GridSearchCV(model, grid, cv=2).fit(X, FREQUENCY)
    assert set(search.best_params_) == set(grid)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_copies_give_the_same(embedder):
    fitted = clone(make_regressor(embedder, random_state=0)).fit(X, FREQUENCY)
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.predict(X), fitted.predict(X))


def test_the_bundled_checkpoint_is_the_default():
    model = make_regressor().fit(X, FREQUENCY)
    assert model["embedder"].pretrained == "default"
    assert model.score(X, FREQUENCY) > 0.9
