"""make_regressor: predictions, several targets, searches, copies."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from quick import oscillations, quick
from sklearn.base import clone, is_regressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from fei_sklearn.heads import make_regressor

X, FREQUENCY = oscillations()


@pytest.fixture(scope="module")
def embedder():
    return quick(max_epochs=1).fit(X)


def test_the_head_is_ridge_on_standardised_embeddings(embedder):
    features = StandardScaler().fit_transform(embedder.transform(X))
    ridge = RidgeCV(np.logspace(-3, 5, 17)).fit(features, FREQUENCY)
    model = make_regressor(embedder).fit(X, FREQUENCY)
    np.testing.assert_allclose(model.predict(X), ridge.predict(features), rtol=1e-5)
    assert is_regressor(model)


def test_several_targets_are_predicted(embedder):
    targets = np.column_stack([FREQUENCY, -FREQUENCY])
    prediction = make_regressor(embedder).fit(X, targets).predict(X)
    assert prediction.shape == targets.shape
    np.testing.assert_allclose(prediction[:, 0], -prediction[:, 1], rtol=1e-5)


def test_parameters_are_searched():
    grid = {"embedder__pooling": ["mean", "max"], "head__alphas": [[1.0], [1e3]]}
    search = GridSearchCV(make_regressor(quick()), grid, cv=2).fit(X, FREQUENCY)
    assert set(search.best_params_) == set(grid)


def test_copies_give_the_same(embedder):
    fitted = clone(make_regressor(embedder)).fit(X, FREQUENCY)
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.predict(X), fitted.predict(X))


def test_the_bundled_checkpoint_is_the_default():
    model = make_regressor().fit(X, FREQUENCY)
    assert model["embedder"].pretrained == "default"
    assert model.score(X, FREQUENCY) > 0.9
