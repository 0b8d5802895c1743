"""The embedder inside scikit-learn's pipelines, searches and other meta-estimators."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
import torch
from quick import oscillations, quick, walks
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn._bridge import pretraining

X, FREQUENCY = oscillations()
Y = np.where(FREQUENCY > 4, "fast", "slow")
TELLING = {"max_epochs": 5, "layers": "all", "pooling": ("mean", "std")}


def classifier(embedder=None, **params):
    return make_pipeline(embedder or quick(**params), StandardScaler(), LogisticRegression())


@pytest.fixture
def pretrainings(monkeypatch):
    """List that grows by one with each pretraining."""
    calls = []
    pretrain = pretraining.pretrain

    def counted(spec, *args, **kwargs):
        calls.append(spec)
        return pretrain(spec, *args, **kwargs)

    monkeypatch.setattr(pretraining, "pretrain", counted)
    return calls


# Parallel searches


@pytest.fixture
def dask_client(tmp_path):
    distributed = pytest.importorskip("distributed")
    client = distributed.Client(
        processes=False,
        n_workers=1,
        threads_per_worker=2,
        dashboard_address=":0",
        local_directory=tmp_path,
    )
    yield client
    client.close()


def searched(n_jobs=None):
    grid = {"feiembedder__mask_ratio": [0.2, (0.4, 0.8)]}
    # a continuous score: accuracies would agree too easily
    return GridSearchCV(classifier(), grid, cv=3, scoring="neg_log_loss", n_jobs=n_jobs).fit(X, Y)


def callers_state():
    """Return the random states and threads that a fit must leave alone."""
    generator = np.random.get_state()[1].tobytes()
    return generator, torch.get_rng_state().numpy().tobytes(), torch.get_num_threads()


@pytest.fixture(scope="module")
def searched_alone():
    return searched()


@pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
def test_grid_search_is_the_same_under_every_backend(backend, searched_alone, request):
    if backend == "dask":
        request.getfixturevalue("dask_client")
    np.random.random(), torch.rand(1)  # not where an earlier fit may have put them
    before = callers_state()
    with joblib.parallel_config(backend, n_jobs=2):
        search = searched(n_jobs=2)
    assert callers_state() == before
    for fold in range(3):
        scores = f"split{fold}_test_score"
        np.testing.assert_array_equal(
            search.cv_results_[scores], searched_alone.cv_results_[scores]
        )
    np.testing.assert_array_equal(search.predict_proba(X), searched_alone.predict_proba(X))


def test_mask_ratios_give_different_scores(searched_alone):
    assert len(set(searched_alone.cv_results_["mean_test_score"])) == 2


# As few pretrainings as possible


GRID_OF_27 = {
    "feiembedder__mask_ratio": [0.3, 0.5, 0.7],
    "logisticregression__C": [0.1, 1.0, 10.0],
}


def test_memory_saves_pretraining(tmp_path, pretrainings):
    pipeline = classifier(encoder=8, max_epochs=1)
    cached = clone(pipeline).set_params(memory=str(tmp_path))
    search = GridSearchCV(cached, GRID_OF_27, cv=3, scoring="neg_log_loss").fit(X, Y)
    # once per mask ratio and fold, and for the best one on all of X; 28 without memory
    assert len(pretrainings) == 3 * 3 + 1
    pipeline.set_params(**search.best_params_)
    scores = cross_val_score(pipeline, X, Y, cv=3, scoring="neg_log_loss")
    for fold, score in enumerate(scores):
        assert search.cv_results_[f"split{fold}_test_score"][search.best_index_] == score


def test_a_search_without_memory_pretrains_each_time(pretrainings):
    pipeline = classifier(encoder=8, max_epochs=1)
    GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert len(pretrainings) == 2 * 2 + 1


def test_transforming_between_fits_does_not_spoil_the_memory(tmp_path, pretrainings):
    pipeline = classifier().set_params(memory=str(tmp_path))
    for _ in range(2):
        pipeline.fit(X, Y).predict(X)
    assert len(pretrainings) == 1


def test_a_frozen_embedder_is_not_fitted_again(pretrainings):
    embedder = quick().fit(walks(n_timepoints=32))
    expected = embedder.transform(X)
    model = classifier(FrozenEstimator(embedder))
    GridSearchCV(model, {"logisticregression__C": [0.1, 1.0]}, cv=3).fit(X, Y)
    assert len(pretrainings) == 1
    np.testing.assert_array_equal(model.fit(X, Y)[0].transform(X), expected)
    np.testing.assert_array_equal(embedder.transform(X), expected)


# What else takes 3-D panels


def test_cross_validation_of_a_panel():
    scores = cross_val_score(classifier(**TELLING), X, Y, cv=3)
    assert scores.mean() > 0.8


def test_training_and_test_panels():
    X_train, X_test, y_train, y_test = train_test_split(X, Y, stratify=Y, random_state=0)
    assert classifier(**TELLING).fit(X_train, y_train).score(X_test, y_test) > 0.8


def test_regression_of_a_transformed_target():
    pipeline = make_pipeline(quick(**TELLING), StandardScaler(), Ridge())
    model = TransformedTargetRegressor(pipeline, func=np.log, inverse_func=np.exp)
    predicted = cross_val_predict(model, X, FREQUENCY, cv=3)
    assert np.corrcoef(predicted, FREQUENCY)[0, 1] > 0.6


def test_union_of_embedders():
    union = make_union(quick(), quick(mask_kind="temporal")).set_output(transform="pandas")
    names = union.fit_transform(X).columns
    assert isinstance(union, FeatureUnion)
    assert list(names) == list(union.get_feature_names_out())
    assert len(set(names)) == 2 * 2 * 16


def test_after_a_step_and_within_a_stack():
    doubled = make_pipeline(FunctionTransformer(lambda panel: 2 * panel), classifier())
    assert doubled.fit(X, Y).predict(X).shape == (24,)
    stack = StackingClassifier([("fei", classifier())], cv=2).fit(X, Y)
    assert stack.predict(X).shape == (24,)


def test_parameters_of_a_nested_embedder():
    model = classifier().set_params(feiembedder__mask_kind="continuous")
    assert isinstance(model[0], FEIEmbedder)
    assert model.get_params()["feiembedder__mask_kind"] == "continuous"
    with pytest.raises(ValueError, match="Invalid parameter 'mask'"):
        model.set_params(feiembedder__mask=0.5)
    with pytest.raises(ValueError, match=r"'mask_kind' parameter of FEIEmbedder.*'wavelet'"):
        model.set_params(feiembedder__mask_kind="wavelet").fit(X, Y)
