"""The bundled checkpoints: found by name, used as they are, better than an untrained encoder."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn._saving.names import BUNDLED
from fei_sklearn._specs import max_epochs

pytest.importorskip("sktime")
from sktime.datasets import load_gunpoint

NAMES = ["default", "fei-small", "fei-tiny"]


def test_each_has_a_card_and_a_recipe():
    from fei_sklearn.recipes import RECIPES

    assert sorted(p.name for p in BUNDLED.iterdir()) == sorted(RECIPES) == NAMES
    assert all((BUNDLED / name / "README.md").is_file() for name in NAMES)


def test_epochs_are_none_with_a_checkpoint():
    assert max_epochs(FEIEmbedder(pretrained="fei-tiny")) == 0
    assert max_epochs(FEIEmbedder(pretrained="fei-tiny", max_epochs=3)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_fit_keeps_the_weights_and_takes_the_panels_scaling(name):
    X = 5.0 + 3.0 * np.random.default_rng(0).normal(size=(12, 60))
    fitted = FEIEmbedder(pretrained=name).fit(X)
    saved = FEIEmbedder.from_pretrained(name)
    assert fitted.n_iter_ == 0
    for key, array in saved.weights_.items():
        if key.startswith("encoder."):
            np.testing.assert_array_equal(fitted.weights_[key], array)
    np.testing.assert_allclose([fitted.offset_[0], fitted.scale_[0]], [X.mean(), X.std()])


def test_without_a_name_it_is_the_default():
    X = np.random.default_rng(0).normal(size=(12, 60))
    model = FEIEmbedder.from_pretrained()
    fitted = FEIEmbedder(pretrained="default").fit(X)
    for key, array in model.weights_.items():
        if not key.startswith("biases."):  # those of the body's readout come from the panel
            np.testing.assert_array_equal(fitted.weights_[key], array)
    assert fitted.transform(X).shape == (12, 2688)
    assert fitted.set_params(pooling="small").transform(X).shape == (12, 1344)
    fitted.set_params(pooling="auto", n_components=256)
    assert fitted.transform(X).shape == (12, 256)


def test_the_default_beats_raw_series():
    X, y = load_gunpoint(split="train", return_type="numpy3d")
    X_test, y_test = load_gunpoint(split="test", return_type="numpy3d")
    head = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 5, 17)))
    embedder = FEIEmbedder(pretrained="default").fit(X)
    score = head.fit(embedder.transform(X), y).score(embedder.transform(X_test), y_test)
    raw = head.fit(X[:, 0], y).score(X_test[:, 0], y_test)
    assert score > max(0.98, raw)


def test_the_default_has_no_features_of_other_series():
    series = np.random.default_rng(1).normal(size=(3, 1, 90)).cumsum(axis=-1)
    model = FEIEmbedder.from_pretrained()
    alone = model.transform(series[:1])
    np.testing.assert_array_equal(alone, model.transform(series)[:1])
    np.testing.assert_allclose(alone, model.transform(5.0 + 3.0 * series[:1]), atol=1e-4)


def test_it_beats_an_untrained_encoder_under_the_papers_readout():
    X, y = load_gunpoint(split="train", return_type="numpy3d")
    X_test, y_test = load_gunpoint(split="test", return_type="numpy3d")

    def accuracy(**params):
        embedder = FEIEmbedder(pooling="mean", random_state=0, **params)
        model = make_pipeline(embedder, StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
        return model.fit(X, y).score(X_test, y_test)

    trained = accuracy(pretrained="fei-small")
    assert trained > accuracy(max_epochs=0, min_timepoints=512) + 0.05


def test_steps_of_a_stretched_series_lie_within_it():
    embedder = FEIEmbedder(pretrained="fei-tiny", pooling=None).fit(np.ones((2, 1, 100)))
    positions = embedder.step_positions(100)
    steps = embedder.transform(np.random.default_rng(0).normal(size=(1, 1, 100))).shape[1]
    assert len(positions) == steps == 16
    np.testing.assert_allclose(positions, (32 * np.arange(16) + 0.5) * 99 / 511)
