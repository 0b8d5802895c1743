"""Recipes of the bundled checkpoints: what they fit, what the model stores, which names exist."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn import FEIEmbedder, recipes
from fei_sklearn.datasets import make_corpus
from fei_sklearn.recipes import RECIPES, pretrain_recipe

#: Recipes of the checkpoints whose encoder is the paper's.
PAPER_ENCODERS = ["fei-small", "fei-tiny"]

#: Parameters under which every pretraining of a recipe takes a moment.
SMALL = {"encoder": 8, "precision": "32-true", "pooling": "mean", "max_epochs": 1}

#: The same for the recipe whose encoder has one size.
SMALL_DEFAULT = {"precision": "32-true", "max_epochs": 1, "n_components": 4}

#: Series of 512 points; drawn once, since a corpus takes longer than a fit.
corpus = cache(make_corpus)


@pytest.fixture(scope="module")
def models():
    """Return the model of each recipe, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "make_corpus", corpus)
        models = {name: pretrain_recipe(name, n_series=12, **SMALL) for name in PAPER_ENCODERS}
        return models | {"default": pretrain_recipe("default", n_series=12, **SMALL_DEFAULT)}


@pytest.mark.parametrize("name", RECIPES)
def test_parameters_are_those_of_the_embedder(name):
    recipe = RECIPES[name]
    embedder = FEIEmbedder(**recipe.params)
    embedder._validate_params()
    assert embedder.encoder == name.removeprefix("fei-").replace("default", "dilated")
    assert embedder.random_state is not None  # else nobody could make the checkpoint again
    assert embedder.min_timepoints in (recipe.n_timepoints, 128)
    assert embedder.precision == "auto"  # bfloat16 is slow on a CPU that has to emulate it


def test_given_parameters_replace_those_of_the_recipe(models):
    model = models["fei-tiny"]
    assert model.n_iter_ == 2
    assert model.stage_widths_ == (1, 2, 4, 8)
    assert model.n_channels_in_ == 1
    assert model.n_timepoints_in_ == 512
    assert model.min_timepoints_ == 512
    assert model.learning_rate == RECIPES["fei-tiny"].then.params["learning_rate"]
    embeddings = model.transform(walks(n_channels=1))
    assert np.isfinite(embeddings).all()


@pytest.mark.parametrize(("name", "n_recipes"), [("fei-tiny", 2), ("fei-small", 3)])
def test_a_recipe_equals_its_pretrainings_one_after_the_other(models, name, n_recipes):
    again = FEIEmbedder()
    n_fits = 0
    recipe = RECIPES[name]
    while recipe is not None:
        again.set_params(**recipe.params | SMALL, warm_start=n_fits > 0)
        series = corpus(12, 512, random_state=recipe.corpus_seed)
        again.fit(series[:, np.newaxis])
        recipe = recipe.then
        n_fits += 1
    assert n_fits == n_recipes
    model = models[name]
    assert not model.warm_start
    assert model.mask_kind == "temporal"
    for key, weights in again.weights_.items():
        np.testing.assert_array_equal(model.weights_[key], weights, err_msg=key)


def test_the_default_has_axes_and_reads_all_features(models, tmp_path):
    model = models["default"]
    assert model.n_components is None
    assert model.weights_["axes.components"].shape == (4, 2688)
    model.save(tmp_path)
    X = walks(n_channels=1)
    assert FEIEmbedder.from_pretrained(tmp_path).transform(X).shape == (20, 2688)
    short = FEIEmbedder(pretrained=tmp_path, n_components=3).fit(X)
    assert short.transform(X).shape == (20, 3)


def test_the_untrained_twin_differs_by_its_training_alone(models):
    params = SMALL_DEFAULT | {"max_epochs": 0}
    twin = pretrain_recipe("default", n_series=12, **params)
    trained = models["default"]
    assert twin.n_iter_ == 0
    assert twin.weights_.keys() == trained.weights_.keys()
    for name in ("encoder.front.bank.weight", "thresholds.level", "axes.components"):
        assert not np.array_equal(twin.weights_[name], trained.weights_[name]), name


def test_a_fit_from_a_recipe_takes_the_scaling_of_its_own_panel(models, tmp_path):
    model = models["fei-tiny"]
    assert model.offset_ is None
    assert model.scale_ is None
    model.save(tmp_path)
    X = 5.0 + 3.0 * walks(n_channels=3)
    start = quick(pretrained=tmp_path, max_epochs=0, mask_kind="temporal").fit(X)
    np.testing.assert_allclose(start.offset_, X.mean(axis=(0, 2)))
    np.testing.assert_allclose(start.scale_, X.std(axis=(0, 2)))
    assert start.min_timepoints_ == 512
    assert start.transform(X).shape == (20, 3 * 8)
    for name, weights in model.weights_.items():
        if not name.startswith("biases."):  # biases come from the panel, as the scaling does
            np.testing.assert_array_equal(start.weights_[name], weights, err_msg=name)


def test_an_unknown_name_is_refused_with_the_known_names():
    with pytest.raises(ValueError) as error:
        pretrain_recipe("fei-huge")
    assert str(error.value) == (
        "There is no recipe 'fei-huge': choose from ['default', 'fei-small', 'fei-tiny']."
    )
