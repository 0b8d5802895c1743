"""Classifier and regressor alike: what they start from, the run, the split, and scikit-learn."""

from __future__ import annotations

import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from fine_tuners import FREQUENCY, LABELS, X, classifier, regressor
from quick import quick
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from fei_sklearn import FEIClassifier, FEIEmbedder, FEIRegressor, _finetune
from fei_sklearn._bridge.first_head import first_head
from fei_sklearn._input.preparation import to_panel

#: Pretraining and batches see a repeated series more often than a weighted one.
UNEQUAL_WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": "training is stochastic",
}

#: A short training and few features. The default readout, which takes ten times as long, is
#: checked by the slow tests.
LEAN = {"pooling": ("mean", "max"), "layers": "all", "max_epochs": 1, "min_epoch_steps": 1}


@pytest.fixture(scope="module")
def frozen():
    return FrozenEstimator(quick().fit(X))


# The classifier's encoder is wide, since 16 features cannot tell the checks' blobs apart.
@parametrize_with_checks(
    [
        FEIClassifier(FEIEmbedder("tiny", **LEAN), max_epochs=2),
        FEIRegressor(FEIEmbedder(16, **LEAN), max_epochs=2),
    ],
    expected_failed_checks=lambda estimator: UNEQUAL_WEIGHTS,
)
def test_scikit_learns_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        cls(FEIEmbedder(max_epochs=1, min_epoch_steps=1), max_epochs=3)
        for cls in (FEIClassifier, FEIRegressor)
    ],
    expected_failed_checks=lambda estimator: UNEQUAL_WEIGHTS,
)
def test_scikit_learns_checks_of_defaults_but_for_short_training(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_a_frozen_encoder_keeps_its_embeddings(frozen):
    kept = classifier(frozen, freeze_encoder=True).fit(X, LABELS)
    tuned = classifier(frozen).fit(X, LABELS)
    np.testing.assert_array_equal(kept.transform(X), frozen.transform(X))
    assert np.abs(tuned.transform(X) - frozen.transform(X)).max() > 1e-4


def test_fine_tuning_leaves_the_given_embedder_alone(frozen):
    before = frozen.transform(X)
    classifier(frozen).fit(X, LABELS)
    np.testing.assert_array_equal(frozen.transform(X), before)


def test_training_lowers_the_loss(frozen):
    model = classifier(frozen, warm_head=False, max_epochs=20, learning_rate=1e-2).fit(X, LABELS)
    assert model.history_[0]["train_loss"] > 2 * model.history_[-1]["train_loss"]
    assert model.n_iter_ == len(model.history_) and model.best_epoch_ <= model.n_iter_


def test_batch_norm_keeps_its_statistics_and_the_rest_is_trained(frozen):
    before = frozen.estimator.weights_
    after = classifier(frozen).fit(X, LABELS).embedder_.weights_
    encoder = [name for name in before if name.startswith("encoder.")]
    statistics = {name for name in encoder if "running_" in name or "num_batches" in name}
    assert statistics
    for name in encoder:
        assert np.array_equal(before[name], after[name]) == (name in statistics), name


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
    panel = np.concatenate([X] * 3)
    y = np.random.default_rng(0).permutation(np.tile(LABELS, 3))
    model = classifier(
        frozen,
        freeze_encoder=True,
        max_epochs=200,
        learning_rate=0.05,
        validation_fraction=0.1,
        n_iter_no_change=4,
    ).fit(panel, y)  # labels by chance: the validation loss can only get worse
    losses = [record["valid_prediction_loss"] for record in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    assert model.n_iter_ == model.best_epoch_ + 4 < 200
    shorter = clone(model).set_params(n_iter_no_change=None).fit(panel, y)
    assert shorter.n_iter_ == 200 and shorter.best_epoch_ < 200
    np.testing.assert_array_equal(shorter.embedder_.transform(X), frozen.transform(X))


def test_a_fitted_embedder_is_pretrained_anew_with_a_warning():
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
    model = make(frozen)
    if make is classifier:
        model = trained().set_params(embedder=frozen)
    search = GridSearchCV(model, {"freeze_encoder": [True, False]}, cv=2)
    assert search.fit(X, y).best_score_ > (0.8 if make is classifier else 0.4)
    nested = GridSearchCV(make(quick()), {"embedder__mask_ratio": [0.3, 0.7]}, cv=2).fit(X, y)
    assert nested.best_estimator_.embedder_.mask_ratio in (0.3, 0.7)


def test_validation_is_stratified_and_only_where_it_can_be(frozen):
    model = classifier(frozen, validation_fraction=0.1)
    assert "valid_loss" not in model.fit(X, LABELS).history_[0]
    panel = np.concatenate([X] * 3)
    y = np.concatenate([LABELS] * 3)
    assert "valid_loss" in model.fit(panel, y).history_[0]
    model.set_params(validation_fraction=None)
    assert "valid_loss" not in model.fit(panel, y).history_[0]


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
    panel = np.concatenate([X] * 3)
    y = np.random.default_rng(0).permutation(np.tile(LABELS, 3))
    model = classifier(frozen, freeze_encoder=True, max_epochs=1, learning_rate=1e-12)
    model.set_params(validation_fraction=0.1).fit(panel, y)
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


@pytest.mark.parametrize("n_components", [None, 5])
def test_short_embeddings_have_one_scale(n_components):
    fitted = quick(encoder="dilated", max_epochs=0, pooling="auto", n_components=n_components)
    embedder = FrozenEstimator(fitted.fit(X))
    model = classifier(embedder, freeze_encoder=True, max_epochs=0).fit(X, LABELS)
    features = embedder.transform(X)
    encoded = (LABELS == "slow").astype(np.int64)
    head = first_head(features, encoded, warm=True, one_scale=n_components is not None)
    coef, _ = head.on_features()
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-4, atol=1e-7)


def test_a_head_needs_a_vector():
    with pytest.raises(ValueError, match=r"pooling=None.*'mean'"):
        classifier(quick(pooling=None)).fit(X, LABELS)


# Work that is done once


def counted(function, calls):
    def wrapped(*args, **kwargs):
        calls.append(args)
        return function(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize("is_frozen", [True, False])
def test_series_are_validated_and_prepared_once(is_frozen, frozen, monkeypatch):
    validated = []
    prepared = []
    for module in ("_classifier", "_finetune", "_embedder"):
        path = f"fei_sklearn.{module}.check_panel"
        monkeypatch.setattr(path, counted(_finetune.check_panel, validated))
    monkeypatch.setattr("fei_sklearn._bridge.spec.to_panel", counted(to_panel, prepared))
    model = classifier(frozen if is_frozen else quick()).fit(X, LABELS)
    assert len(validated) == len(prepared) == 1
    assert model.embedder_.n_features_in_ == model.n_features_in_ == 2


def frames():
    names = [f"t{i}" for i in range(X.shape[2])]
    other_names = [f"s{i}" for i in range(X.shape[2])]
    return pd.DataFrame(X[:, 0], columns=names), pd.DataFrame(X[:, 0], columns=other_names)


def test_an_embedder_of_its_own_has_the_names_of_the_columns():
    frame, _ = frames()
    model = classifier(max_epochs=1).fit(frame, LABELS)
    np.testing.assert_array_equal(model.embedder_.feature_names_in_, frame.columns)


def test_a_frozen_embedder_checks_the_names_of_the_columns():
    frame, other = frames()
    model = classifier(FrozenEstimator(quick().fit(frame)), max_epochs=1)
    with pytest.raises(ValueError, match="feature names should match"):
        model.fit(other, LABELS)
    assert model.fit(frame, LABELS).predict(frame).shape == (40,)


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        (X[:, :1], "X has 1 features, but FEIEmbedder is expecting 2 features"),
        (X[:, 0], "X has 2 dimensions.* FEIEmbedder was fitted on 3"),
    ],
)
def test_a_frozen_embedder_refuses_other_shapes(frozen, panel, message):
    with pytest.raises(ValueError, match=message):
        classifier(frozen).fit(panel, LABELS)


def test_a_frozen_embedder_of_one_channel_takes_a_list_of_series_without_channels():
    univariate = X[:, :1]
    fixed = FrozenEstimator(quick().fit(univariate))
    series = list(univariate[:, 0])
    of_list, of_array = (classifier(fixed).fit(panel, LABELS) for panel in (series, univariate))
    np.testing.assert_array_equal(of_list.coef_, of_array.coef_)


@pytest.fixture(scope="module")
def weights():
    drawn = np.random.default_rng(0).uniform(0.2, 3.0, len(X))
    drawn[::5] = 0.0
    return drawn


@pytest.mark.parametrize("max_epochs", [0, 2])
@pytest.mark.parametrize(("make", "y"), [(classifier, LABELS), (regressor, FREQUENCY)])
def test_series_of_weight_zero_are_absent_and_the_unit_does_not_matter(
    make, y, max_epochs, frozen, weights
):
    kept = weights > 0
    model = make(frozen, max_epochs=max_epochs)
    fewer = clone(model).fit(X[kept], y[kept], sample_weight=weights[kept])
    given = clone(model).fit(X, y, sample_weight=weights)
    large = clone(model).fit(X, y, sample_weight=2.0**900 * weights)
    np.testing.assert_allclose(given.coef_, fewer.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(large.coef_, given.coef_)


@pytest.mark.parametrize(("make", "y"), [(classifier, LABELS), (regressor, FREQUENCY)])
def test_equal_weights_are_no_weights(make, y, frozen):
    plain = make(frozen).fit(X, y)
    weighted = make(frozen).fit(X, y, sample_weight=np.full(len(X), 3.0))
    np.testing.assert_allclose(weighted.coef_, plain.coef_, rtol=1e-4, atol=1e-6)


def test_weights_draw_the_decision_to_their_series(frozen):
    y = np.random.default_rng(0).permutation(LABELS)
    times = np.where(np.arange(len(X)) < 4, 100.0, 1.0)
    model = classifier(frozen, max_epochs=0)
    weighted = clone(model).fit(X, y, sample_weight=times).predict_proba(X)
    plain = clone(model).fit(X, y).predict_proba(X)
    own = (np.arange(4), np.searchsorted(model.fit(X, y).classes_, y[:4]))
    assert (weighted[:4][own] > plain[:4][own]).all()


@pytest.mark.parametrize(
    ("sample_weight", "message"),
    [
        (np.zeros(40), "weight"),
        (-np.ones(40), "[Nn]egative"),
        (np.full(40, np.nan), "NaN"),
        (np.ones(39), "sample_weight"),
    ],
)
@pytest.mark.parametrize(("make", "y"), [(classifier, LABELS), (regressor, FREQUENCY)])
def test_refused_weights_change_nothing(make, y, sample_weight, message, frozen):
    model = make(frozen)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, sample_weight=sample_weight)
    assert not hasattr(model, "coef_")


def trained():
    """Return a classifier whose scores do not hang on how a processor rounds its pretraining."""
    return classifier(max_epochs=20, learning_rate=1e-2)


META = {
    "calibrated": lambda: CalibratedClassifierCV(trained(), cv=2),
    "voting": lambda: VotingClassifier([("a", trained())]),
    "boosting": lambda: AdaBoostClassifier(trained(), n_estimators=2, random_state=0),
    "bagging": lambda: BaggingClassifier(trained(), n_estimators=2, random_state=0),
}


@pytest.mark.parametrize("meta", META)
def test_meta_estimators_pass_weights(meta, weights):
    panel = X[:, 0]
    assert META[meta]().fit(panel, LABELS, sample_weight=weights).score(panel, LABELS) > 0.9


def test_boosted_regressors():
    panel = X[:, 0]
    model = AdaBoostRegressor(regressor(), n_estimators=2, random_state=0)
    assert model.fit(panel, FREQUENCY).predict(panel).shape == (40,)


def test_weights_are_routed(weights):
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True)
        routed = CalibratedClassifierCV(model, cv=2, ensemble=False)
        routed.fit(X, LABELS, sample_weight=weights)
    (calibrated,) = routed.calibrated_classifiers_
    expected = classifier().fit(X, LABELS, sample_weight=weights)
    np.testing.assert_array_equal(calibrated.estimator.coef_, expected.coef_)


@pytest.mark.parametrize("name", ["max_epochs", "batch_size", "learning_rate", "n_jobs"])
def test_booleans_are_no_numbers(name, frozen):
    with pytest.raises(ValueError, match=rf"'{name}' parameter.*True"):
        classifier(frozen, **{name: True}).fit(X, LABELS)


def test_outputs_of_many_series_are_computed_in_blocks(frozen, monkeypatch):
    model = regressor(frozen).fit(X, FREQUENCY)
    expected = model.predict(X)
    monkeypatch.setattr(_finetune, "ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


@pytest.mark.parametrize("freeze_encoder", [True, False])
def test_a_fit_takes_at_most_three_times_the_memory_of_its_features(freeze_encoder):
    rng = np.random.default_rng(0)
    panel = rng.normal(size=(400, 1, 32)).cumsum(axis=-1)
    embedder = FrozenEstimator(FEIEmbedder("tiny", max_epochs=0, random_state=0).fit(panel))
    model = FEIClassifier(embedder, max_epochs=1, freeze_encoder=freeze_encoder, random_state=0)
    model.fit(panel[:20], np.arange(20) % 2)  # imports what training needs
    tracemalloc.start()
    try:
        model.fit(panel, np.arange(400) % 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    n_features = model.coef_.shape[1]
    assert n_features > 10_000
    assert peak < 3 * 4 * 400 * n_features


@pytest.mark.parametrize("make", [classifier, regressor])
def test_parameters_of_the_embedder_are_checked_before_it_trains(make, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the embedder was trained")

    monkeypatch.setattr(FEIEmbedder, "_pretrain", refuse)
    model = make(quick(pooling="median"))
    with pytest.raises(ValueError, match="'pooling' parameter of FEIEmbedder must be"):
        model.fit(X, LABELS == "fast")


def test_padding_is_refused_before_the_series_are_embedded(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the series were embedded")

    embedder = FrozenEstimator(quick().fit(X))
    monkeypatch.setattr("fei_sklearn._bridge.encoding.embed_values", refuse)
    monkeypatch.setattr("fei_sklearn.training.batches.SMALL_BATCH", 100)
    monkeypatch.setattr("fei_sklearn.training.batches.MAX_GROWTH", 2)
    lengths = np.full(len(X), 4)
    lengths[0] = X.shape[2]
    series = [x[:, :length] for x, length in zip(X, lengths, strict=True)]
    with pytest.raises(ValueError, match="padded to the longest series, of 32 time points"):
        classifier(embedder).fit(series, LABELS)
