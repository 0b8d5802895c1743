"""Recipes of checkpoints: they fit, keep no scaling, and say which there are."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import make_corpus
from fei_sklearn.recipes import RECIPES, pretrain_recipe


@pytest.fixture(scope="module")
def model():
    return pretrain_recipe(
        "fei-tiny", n_series=12, encoder=8, max_epochs=1, precision="32-true", pooling="mean"
    )


@pytest.mark.parametrize("name", RECIPES)
def test_parameters_are_the_embedders(name):
    recipe = RECIPES[name]
    embedder = FEIEmbedder(**recipe.params)
    embedder._validate_params()
    assert name == f"fei-{embedder.encoder}"
    assert embedder.random_state is not None  # or nobody could make it again
    assert embedder.min_timepoints == recipe.n_timepoints
    assert embedder.precision == "auto"  # bfloat16 crawls on a CPU that has to emulate it


def test_a_recipe_fits_the_corpus_with_what_is_to_differ(model):
    assert model.n_iter_ == 2 and model.stage_widths_ == (1, 2, 4, 8)
    assert (model.n_channels_in_, model.n_timepoints_in_, model.min_timepoints_) == (1, 512, 512)
    assert model.learning_rate == RECIPES["fei-tiny"].then.params["learning_rate"]
    assert np.isfinite(model.transform(walks(n_channels=1))).all()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_its_parts_one_after_the_other(name):
    few = {"encoder": 8, "precision": "32-true", "pooling": "mean", "max_epochs": 1}
    model = pretrain_recipe(name, n_series=12, **few)
    again, part, n_parts = FEIEmbedder(), RECIPES[name], 0
    while part is not None:
        again.set_params(**part.params | few, warm_start=n_parts > 0)
        again.fit(make_corpus(12, 512, random_state=part.corpus_seed)[:, np.newaxis])
        part, n_parts = part.then, n_parts + 1
    assert n_parts == {"fei-tiny": 2, "fei-small": 3}[name]
    assert not model.warm_start and model.mask_kind == "temporal"
    for key, weights in again.weights_.items():
        np.testing.assert_array_equal(model.weights_[key], weights, err_msg=key)


def test_a_fit_that_starts_from_it_takes_the_scaling_of_its_own_panel(model, tmp_path):
    assert model.offset_ is None and model.scale_ is None
    model.save(tmp_path)
    X = 5.0 + 3.0 * walks(n_channels=3)
    start = quick(pretrained=tmp_path, max_epochs=0, mask_kind="temporal").fit(X)
    np.testing.assert_allclose(start.offset_, X.mean(axis=(0, 2)))
    np.testing.assert_allclose(start.scale_, X.std(axis=(0, 2)))
    assert start.min_timepoints_ == 512 and start.transform(X).shape == (20, 3 * 8)
    for name, weights in model.weights_.items():
        if not name.startswith("biases."):  # of the panel, like the scaling
            np.testing.assert_array_equal(start.weights_[name], weights, err_msg=name)


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError) as error:
        pretrain_recipe("fei-huge")
    assert str(error.value) == (
        "There is no recipe 'fei-huge': choose from ['fei-small', 'fei-tiny']."
    )
