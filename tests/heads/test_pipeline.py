"""The embedder of a pipeline: names, unfitted and fitted embedders, and anything else."""

from __future__ import annotations

import numpy as np
import pytest
from quick import oscillations, quick
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV

from fei_sklearn import FEIEmbedder
from fei_sklearn.heads._pipeline import pipeline

X, FREQUENCY = oscillations()


def test_names_and_folders_are_pretrained_models(tmp_path):
    quick().fit(X).save(tmp_path / "mine")
    for name in ("default", str(tmp_path / "mine"), tmp_path / "mine"):
        embedder = pipeline(name, RidgeCV())["embedder"]
        assert isinstance(embedder, FEIEmbedder)
        assert embedder.pretrained == name
    model = pipeline(tmp_path / "mine", RidgeCV()).set_params(embedder__pooling="mean")
    assert model.fit(X, FREQUENCY)["scaler"].n_features_in_ > 0


def test_an_unknown_name_is_refused_when_it_is_loaded():
    model = pipeline("no-such-model", RidgeCV())
    with pytest.raises(ValueError, match="no-such-model"):
        model.fit(X, FREQUENCY)


def test_an_unfitted_embedder_is_fitted_with_the_pipeline():
    embedder = quick()
    model = pipeline(embedder, RidgeCV())
    assert model["embedder"] is embedder
    model.set_params(embedder__max_epochs=1).fit(X, FREQUENCY)
    assert model["embedder"].n_iter_ == 1


@pytest.mark.parametrize("wrap", [lambda embedder: embedder, FrozenEstimator])
def test_a_fitted_embedder_keeps_its_weights(wrap):
    embedder = quick().fit(X)
    model = clone(pipeline(wrap(embedder), RidgeCV())).fit(X[:10], FREQUENCY[:10])
    np.testing.assert_array_equal(model["embedder"].transform(X), embedder.transform(X))


@pytest.mark.parametrize("other", [None, 3, FEIEmbedder, RidgeCV(), FrozenEstimator(RidgeCV())])
def test_anything_else_is_refused(other):
    with pytest.raises(TypeError, match="embedder must be the name or folder of a model") as error:
        pipeline(other, RidgeCV())
    assert repr(other) in str(error.value)


def test_features_have_names():
    model = pipeline(quick(), RidgeCV()).fit(X, FREQUENCY)
    names = model[:-1].get_feature_names_out()
    assert len(names) == model["head"].n_features_in_
    frozen = pipeline(model["embedder"], RidgeCV()).fit(X, FREQUENCY)
    assert list(frozen[:-1].get_feature_names_out()) == list(names)


def test_short_embeddings_are_not_scaled():
    short = FEIEmbedder(pretrained="default", n_components=3)
    assert pipeline(short, RidgeCV())["scaler"] == "passthrough"
    model = pipeline(short.fit(X), RidgeCV()).fit(X, FREQUENCY)
    head = RidgeCV().fit(short.transform(X), FREQUENCY)
    np.testing.assert_allclose(model.predict(X), head.predict(short.transform(X)), rtol=1e-5)
