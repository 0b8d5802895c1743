"""FEIClassifier and FEIRegressor: heads, fine-tuning, what they start from, what they refuse."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from quick import oscillations, quick
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_class_weight_classifiers, parametrize_with_checks

from fei_sklearn import FEIClassifier, FEIEmbedder, FEIRegressor
from fei_sklearn._bridge.first_head import first_head
from fei_sklearn.objectives.supervised import Features, LinearHead, SupervisedObjective

X, FREQUENCY = oscillations(40)
LABELS = np.where(FREQUENCY > 4, "fast", "slow")


def classifier(embedder=None, **params):
    embedder = quick() if embedder is None else embedder
    return FEIClassifier(embedder, **({"max_epochs": 2, "random_state": 0} | params))


def regressor(embedder=None, **params):
    embedder = quick() if embedder is None else embedder
    return FEIRegressor(embedder, **({"max_epochs": 2, "random_state": 0} | params))


@pytest.fixture(scope="module")
def frozen():
    return FrozenEstimator(quick().fit(X))


# A wide encoder, since one of 16 features cannot tell the checks' blobs apart.
@parametrize_with_checks(
    [
        FEIClassifier(FEIEmbedder("tiny", max_epochs=1, min_epoch_steps=1), max_epochs=2),
        FEIRegressor(FEIEmbedder(16, max_epochs=1, min_epoch_steps=1), max_epochs=2),
    ]
)
def test_scikit_learns_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        cls(FEIEmbedder(max_epochs=1, min_epoch_steps=1), max_epochs=1)
        for cls in (FEIClassifier, FEIRegressor)
    ]
)
def test_scikit_learns_checks_of_defaults_but_for_short_training(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


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


def gradient(head, features, y, penalty=None):
    """Of the loss at a head on its features, with respect to the weights."""
    arrays = (head.centre, head.scale, head.weight, head.bias)
    layer = LinearHead(*(torch.tensor(a) for a in arrays))
    penalty = head.penalty if penalty is None else penalty
    objective = SupervisedObjective(Features(), layer, None, penalty, torch.tensor(head.anchor))
    objective(torch.tensor(features)[:, :, None], None, torch.tensor(y)).loss.backward()
    return layer.weight.grad


def test_the_loss_is_the_one_that_the_first_head_of_a_regressor_is_the_minimum_of():
    rng = np.random.default_rng(0)
    features, y = rng.normal(3.0, 2.0, (60, 20)), rng.normal(size=(60, 2))
    head = first_head(features, y, warm=True)
    assert head.penalty > 0
    assert gradient(head, features, y).abs().max() < 1e-12
    assert gradient(head, features, y, penalty=0.0).abs().max() > 1e-3


def test_the_loss_draws_a_classifiers_head_to_where_it_began():
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 2.0, (60, 20))
    y = np.argmax(features[:, :3] + rng.normal(size=(60, 3)), axis=1)
    head = first_head(features, y, warm=True)
    moved = replace(head, weight=head.weight + 0.5)
    drawn = gradient(moved, features, y) - gradient(moved, features, y, penalty=0.0)
    assert gradient(head, features, y).allclose(gradient(head, features, y, penalty=0.0))
    np.testing.assert_allclose(drawn, 2 * head.penalty * 0.5)  # down the slope is back


def test_classes_are_told_apart_under_their_own_labels(frozen):
    model = classifier(frozen).fit(X, LABELS)
    assert model.score(X, LABELS) > 0.9
    assert list(model.classes_) == ["fast", "slow"]
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))


def test_a_frozen_encoder_keeps_its_embeddings(frozen):
    kept = classifier(frozen, freeze_encoder=True).fit(X, LABELS)
    tuned = classifier(frozen).fit(X, LABELS)
    np.testing.assert_array_equal(kept.transform(X), frozen.transform(X))
    assert np.abs(tuned.transform(X) - frozen.transform(X)).max() > 1e-4


def test_fine_tuning_leaves_the_given_embedder_alone(frozen):
    before = frozen.transform(X)
    classifier(frozen).fit(X, LABELS)
    np.testing.assert_array_equal(frozen.transform(X), before)


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


@pytest.mark.parametrize("noise", [1.0, 2.0, 3.0])
def test_probabilities_of_the_first_head_are_as_sure_as_they_may_be(noise):
    rng = np.random.default_rng(0)
    means = np.repeat(np.eye(3), 17, axis=1)

    def draw(n):
        y = rng.integers(0, 3, n)
        return means[y] + noise * rng.normal(size=(n, 51)), y

    coef, intercept = first_head(*draw(400), warm=True).on_features()
    features, y = draw(4000)

    def cross_entropy(factor):
        logits = log_softmax(factor * (features @ coef.T + intercept), axis=1)
        return -logits[np.arange(4000), y].mean()

    assert cross_entropy(1.0) < min(cross_entropy(0.5), cross_entropy(2.0))


def test_training_lowers_the_loss(frozen):
    model = classifier(frozen, warm_head=False, max_epochs=20, learning_rate=1e-2).fit(X, LABELS)
    assert model.history_[0]["train_loss"] > 2 * model.history_[-1]["train_loss"]
    assert model.n_iter_ == len(model.history_) and model.best_epoch_ <= model.n_iter_


def test_batch_norm_keeps_its_statistics_and_the_rest_is_trained(frozen):
    before, after = frozen.estimator.weights_, classifier(frozen).fit(X, LABELS).embedder_.weights_
    encoder = [name for name in before if name.startswith("encoder.")]
    statistics = {name for name in encoder if "running_" in name or "num_batches" in name}
    assert statistics
    for name in encoder:
        assert np.array_equal(before[name], after[name]) == (name in statistics), name


def test_class_weights_move_the_decision(frozen):
    y = np.where(np.arange(40) % 7 == 0, "rare", "common")
    plain = classifier(frozen, freeze_encoder=True).fit(X, y).predict_proba(X)[:, 1].mean()
    weighted = classifier(frozen, freeze_encoder=True, class_weight="balanced").fit(X, y)
    assert weighted.predict_proba(X)[:, 1].mean() > plain + 0.05


def test_targets_of_one_and_two_dimensions(frozen):
    both = np.column_stack([FREQUENCY, 1e3 - FREQUENCY])
    model = regressor(frozen).fit(X, both)
    assert model.predict(X).shape == (40, 2)
    assert model.score(X, both) > 0.8
    single = regressor(frozen).fit(X, FREQUENCY)
    assert single.predict(X).shape == (40,)
    assert single.score(X, FREQUENCY) > 0.8


def test_a_constant_target_is_predicted(frozen):
    np.testing.assert_allclose(regressor(frozen).fit(X, np.full(40, 7.0)).predict(X), 7.0)


def test_lists_of_unequal_length_and_other_lengths(frozen):
    ragged = [series[:, : 20 + i % 9] for i, series in enumerate(X)]
    model = classifier(quick()).fit(ragged, LABELS)
    assert model.predict(ragged).shape == (40,)
    assert model.predict(X).shape == (40,)


def test_start_from_a_folder(frozen, tmp_path):
    frozen.estimator.save(tmp_path)
    model = classifier(str(tmp_path), freeze_encoder=True).fit(X, LABELS)
    same = clone(frozen).estimator.set_params(pretrained=tmp_path, max_epochs=0, pooling="auto")
    np.testing.assert_array_equal(model.transform(X), same.fit_transform(X))


def test_start_from_a_bundled_checkpoint_by_its_name():
    model = classifier("fei-tiny", freeze_encoder=True, max_epochs=0).fit(X, LABELS)
    expected = FEIEmbedder(pretrained="fei-tiny").fit_transform(X)
    np.testing.assert_array_equal(model.transform(X), expected)


def test_the_best_weights_are_kept_and_training_stops_early(frozen):
    panel, y = np.concatenate([X] * 3), np.random.default_rng(0).permutation(np.tile(LABELS, 3))
    model = classifier(
        frozen, freeze_encoder=True, max_epochs=200, learning_rate=0.05, n_iter_no_change=4
    ).fit(panel, y)  # labels by chance: the validation loss can only get worse
    losses = [record["valid_prediction_loss"] for record in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    assert model.n_iter_ == model.best_epoch_ + 4 < 200
    shorter = clone(model).set_params(n_iter_no_change=None).fit(panel, y)
    assert shorter.n_iter_ == 200 and shorter.best_epoch_ < 200
    np.testing.assert_array_equal(shorter.embedder_.transform(X), frozen.transform(X))


def test_a_fitted_embedder_is_pretrained_anew_and_that_is_said():
    embedder = quick().fit(X)
    with pytest.warns(UserWarning, match="FrozenEstimator"):
        classifier(embedder).fit(X, LABELS)


def test_something_else_frozen_is_refused():
    with pytest.raises(ValueError, match="fitted FEIEmbedder"):
        classifier(FrozenEstimator(LogisticRegression())).fit(X, LABELS)


def test_the_same_seed_gives_the_same_model(frozen):
    one, two = (classifier(quick(), random_state=3).fit(X, LABELS) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_pickled_and_cloned(make, frozen):
    y = LABELS if make is classifier else FREQUENCY
    model = make(frozen).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_in_a_grid_search(make, frozen):
    y = LABELS if make is classifier else FREQUENCY
    search = GridSearchCV(make(frozen), {"freeze_encoder": [True, False]}, cv=2)
    assert search.fit(X, y).best_score_ > (0.8 if make is classifier else 0.4)
    nested = GridSearchCV(make(quick()), {"embedder__mask_ratio": [0.3, 0.7]}, cv=2).fit(X, y)
    assert nested.best_estimator_.embedder_.mask_ratio in (0.3, 0.7)


def test_validation_is_stratified_and_only_where_it_can_be(frozen):
    assert "valid_loss" not in classifier(frozen).fit(X, LABELS).history_[0]
    panel, y = np.concatenate([X] * 3), np.concatenate([LABELS] * 3)
    assert "valid_loss" in classifier(frozen).fit(panel, y).history_[0]


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_every_class_trains_however_few_it_has(fraction, seed):
    y = np.repeat(np.arange(6), [1, 2, 3, 40, 60, 80])
    model = FEIClassifier(validation_fraction=fraction)
    rows, held_out = model._split(y, np.random.RandomState(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate([rows, held_out])), np.arange(len(y)))
    assert len(held_out) == round(fraction * len(y))
    assert set(y[rows]) == set(range(6)) and set(y[held_out]) >= {3, 4, 5}


def test_the_first_head_has_not_seen_what_validates(frozen):
    panel, y = np.concatenate([X] * 3), np.random.default_rng(0).permutation(np.tile(LABELS, 3))
    model = classifier(frozen, freeze_encoder=True, max_epochs=1, learning_rate=1e-12).fit(panel, y)
    encoded = np.searchsorted(model.classes_, y)
    rows, held_out = model._split(encoded, np.random.RandomState(0))
    head = first_head(model.transform(panel)[rows].astype(np.float64), encoded[rows], warm=True)
    assert len(held_out) == 12
    np.testing.assert_allclose(model.coef_, head.on_features()[0], rtol=1e-4, atol=1e-5)
    assert len(model.set_params(max_epochs=0)._split(encoded, np.random.RandomState(0))[1]) == 0


@pytest.mark.parametrize("warm", [True, False])
def test_a_class_that_only_validates_has_an_output(frozen, warm, monkeypatch):
    y = np.repeat(["a", "b", "c"], [20, 15, 5])
    split = np.arange(35), np.arange(35, 40)  # a validation part that was given, as in evaluation
    monkeypatch.setattr(FEIClassifier, "_split", lambda *_: split)
    model = classifier(frozen, warm_head=warm).fit(X, y)
    assert model.predict_proba(X).shape == (40, 3)


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


def test_nan_targets_are_refused(frozen):
    with pytest.raises(ValueError, match="NaN"):
        regressor(frozen).fit(X, np.where(np.arange(40) == 3, np.nan, 1.0))
