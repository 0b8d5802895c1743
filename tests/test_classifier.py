"""FEIClassifier: classes and their weights, probabilities, targets that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from fine_tuners import LABELS, X, classifier
from quick import quick
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.utils.estimator_checks import check_class_weight_classifiers

from fei_sklearn import FEIClassifier, FEIEmbedder


@pytest.fixture(scope="module")
def frozen():
    return FrozenEstimator(quick().fit(X))


@pytest.mark.slow
def test_class_weights_outlast_the_default_number_of_epochs():
    model = FEIClassifier(FEIEmbedder(max_epochs=1, min_epoch_steps=1))
    check_class_weight_classifiers("FEIClassifier", model)


@pytest.mark.parametrize("seed", range(3))
def test_extreme_class_weights_are_obeyed_by_a_head_of_many_features(seed):
    panel, y = make_blobs(centers=3, cluster_std=20, random_state=0)
    embedder = FEIEmbedder("small", max_epochs=0, random_state=seed)
    weights = {0: 1e3, 1: 1e-4, 2: 1e-4}
    model = classifier(embedder, max_epochs=0, class_weight=weights).fit(panel, y)
    assert model.coef_.shape[1] > 1000
    assert (model.predict(panel) == 0).mean() > 0.95


def test_classes_are_told_apart_under_their_own_labels(frozen):
    model = classifier(frozen).fit(X, LABELS)
    assert model.score(X, LABELS) > 0.9
    assert list(model.classes_) == ["fast", "slow"]
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize("classes", [2, 3])
def test_without_epochs_the_head_is_ridge_regression_on_class_indicators(frozen, classes):
    y = np.arange(40) % classes
    features = frozen.transform(X).astype(np.float64)
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = RidgeClassifier(alpha=0.01 * features.shape[1]).fit(standardised, y)
    model = classifier(frozen, max_epochs=0).fit(X, y)
    assert model.n_iter_ == 0 and model.history_ == []
    outputs = expected.decision_function(standardised)
    outputs = np.column_stack([-outputs, outputs]) if classes == 2 else outputs
    logits = features @ model.coef_.T + model.intercept_
    scale = (logits * outputs).sum() / (outputs**2).sum()
    assert scale > 0.05
    np.testing.assert_allclose(logits, scale * outputs, atol=1e-3 * np.abs(logits).max())


def test_class_weights_move_the_decision(frozen):
    y = np.where(np.arange(40) % 7 == 0, "rare", "common")
    plain = classifier(frozen, freeze_encoder=True).fit(X, y).predict_proba(X)[:, 1].mean()
    weighted = classifier(frozen, freeze_encoder=True, class_weight="balanced").fit(X, y)
    assert weighted.predict_proba(X)[:, 1].mean() > plain + 0.05


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(40), "one class"),
        (np.zeros(39), "inconsistent"),
        (np.linspace(0, 1, 40), "continuous"),
        (None, "requires y"),
    ],
)
def test_refused_targets_change_nothing(frozen, y, message):
    model = classifier(frozen)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert vars(model) == before


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, "heavy", None])
def test_class_weights_out_of_bounds_are_refused(frozen, weight):
    model = classifier(frozen, class_weight={"fast": weight})
    with pytest.raises(ValueError, match=r"class_weight must map .* for class 'fast'"):
        model.fit(X, LABELS)


def test_a_class_of_weight_zero_does_not_train(frozen):
    ignored = classifier(frozen, class_weight={"fast": 0}, batch_size=1).fit(X, LABELS)
    assert (ignored.predict(X) == "slow").all()


def test_weights_that_are_all_zero_are_refused(frozen):
    with pytest.raises(ValueError, match="every series the weight 0"):
        classifier(frozen, class_weight={"fast": 0, "slow": 0}).fit(X, LABELS)


def test_balanced_classes_count_weights(frozen):
    sample_weight = np.where(LABELS == "fast", 3.0, 1.0)
    model = classifier(frozen, max_epochs=0, class_weight="balanced")
    balanced = model.fit(X, LABELS, sample_weight=sample_weight)
    explicit = classifier(frozen, max_epochs=0, class_weight={"fast": 1, "slow": 3})
    explicit.fit(X, LABELS, sample_weight=sample_weight)
    np.testing.assert_allclose(balanced.coef_, explicit.coef_, rtol=1e-9, atol=1e-12)
