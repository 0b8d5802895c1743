"""Saved classifiers and regressors: the same predictions, and no model that does not fit itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fine_tuners import FREQUENCY, LABELS, X, classifier, regressor
from quick import dilated, quick
from sklearn.exceptions import NotFittedError

from fei_sklearn import FEIClassifier, FEIEmbedder, FEIRegressor
from fei_sklearn._saving.fine_tuned import tuner_from_folder, tuner_to_folder

FREQUENCIES = FREQUENCY.astype(int)
FRAME = pd.DataFrame(X[:, 0], columns=[f"t{i}" for i in range(X.shape[2])])

#: Estimators, panels and targets of all kinds.
KINDS = {
    "strings": (classifier, X, LABELS),
    "integers": (lambda: classifier(class_weight={2: 1.0, 8: 3.0}), X, FREQUENCIES),
    "booleans": (classifier, X, FREQUENCY > 4),
    "objects": (classifier, X, LABELS.astype(object)),
    "frame": (classifier, FRAME, LABELS),
    "readout": (lambda: classifier(quick(pooling="auto")), X, LABELS),
    "targets": (regressor, X, FREQUENCY),
    "two-targets": (regressor, X, np.column_stack([FREQUENCY, -FREQUENCY])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_predicts_the_same_bits(kind, tmp_path):
    make, panel, y = KINDS[kind]
    model = make().fit(panel, y)
    model.save(tmp_path)
    loaded = type(model).load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(panel), model.predict(panel))
    np.testing.assert_array_equal(loaded.transform(panel), model.transform(panel))
    assert loaded.predict(panel).dtype == model.predict(panel).dtype
    assert list(loaded.get_feature_names_out()) == list(model.get_feature_names_out())
    kept = {name: value for name, value in model.get_params().items() if "embedder" not in name}
    assert {name: loaded.get_params()[name] for name in kept} == kept
    assert loaded.history_ == model.history_
    assert not hasattr(loaded.embedder, "weights_")


def test_a_loaded_model_may_be_fitted_again(tmp_path):
    model = classifier().fit(X, LABELS)
    model.save(tmp_path)
    again = FEIClassifier.load(tmp_path).fit(X, LABELS)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_users_encoder_has_to_be_given_again(tmp_path):
    model = regressor(quick(encoder=dilated)).fit(X, FREQUENCY)
    model.save(tmp_path)
    with pytest.raises(ValueError, match="user's own encoder"):
        FEIRegressor.load(tmp_path)
    loaded = FEIRegressor.load(tmp_path, encoder=dilated)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("cls", [FEIEmbedder, FEIClassifier])
def test_the_container_of_set_output_is_saved(cls, output, tmp_path):
    model = quick() if cls is FEIEmbedder else classifier()
    model.set_output(transform=output).fit(X, LABELS).save(tmp_path)
    assert type(cls.load(tmp_path).transform(X)) is type(model.transform(X))


def test_another_class_is_refused(tmp_path):
    classifier().fit(X, LABELS).save(tmp_path)
    for cls in (FEIRegressor, FEIEmbedder):
        with pytest.raises(ValueError, match=f"FEIClassifier, not a {cls.__name__}"):
            cls.load(tmp_path)


def test_nothing_is_saved_before_fit(tmp_path):
    with pytest.raises(NotFittedError):
        classifier().save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_labels_of_other_types_are_refused(tmp_path):
    dates = np.where(FREQUENCY > 4, np.datetime64("2020-01-01"), np.datetime64("2021-01-01"))
    model = classifier().fit(X, LABELS)
    model.classes_ = np.unique(dates)
    with pytest.raises(ValueError, match="labels, of dtype datetime64"):
        model.save(tmp_path)


def test_a_strangers_file_sets_nothing_of_this_machine():
    config, arrays = tuner_to_folder(classifier(n_jobs=7, verbose=3).fit(X, LABELS))
    assert config["params"]["verbose"] == 0
    config["params"] |= {"device": "cuda:7", "n_jobs": 10**6}
    loaded = tuner_from_folder(FEIClassifier, FEIEmbedder, config, arrays, None)
    assert loaded.device == "auto"
    assert loaded.n_jobs is None


def damaged(change):
    """Return a model's configuration and arrays after a change to them."""
    config, arrays = tuner_to_folder(classifier().fit(X, LABELS))
    change(config, arrays)
    return config, arrays


@pytest.mark.parametrize(
    "change",
    [
        lambda config, arrays: arrays.pop("coef_"),
        lambda config, arrays: arrays.update(coef_=arrays["coef_"][:, 1:]),
        lambda config, arrays: arrays.update(intercept_=arrays["intercept_"][:1]),
        lambda config, arrays: config["fitted"]["classes"]["values"].append("third"),
        lambda config, arrays: config["fitted"]["classes"].update(dtype="<M8[s]"),
        lambda config, arrays: config.update(output="os.system"),
        lambda config, arrays: config.pop("embedder"),
        lambda config, arrays: config["params"].update(unknown=1),
        lambda config, arrays: config.update(fitted=None),
    ],
)
def test_a_damaged_state_is_refused(change):
    config, arrays = damaged(change)
    with pytest.raises(ValueError, match="The model's"):
        tuner_from_folder(FEIClassifier, FEIEmbedder, config, arrays, None)
