"""Masks and inferences as arrays, against the objective."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quick import quick, walks
from scipy import special

from fei_sklearn import _specs
from fei_sklearn._bridge.inferring import infer_targets, mask_and_target
from fei_sklearn._input.checks import check_panel
from fei_sklearn.masking import sample_mask


def inferred(embedder, X, seed=0):
    values = check_panel(embedder, X, reset=False)
    way = _specs.fitted_input(embedder)
    panel = way.training_panel(way.panel(values))
    spec = _specs.pretraining_spec(embedder, seed)
    model = _specs.fitted_model(embedder)
    return infer_targets(spec, panel, model, embedder.stream_state_, seed)


def test_a_mask_keeps_the_series_where_it_removes_nothing():
    series = walks(1, 1, 31)[0, 0]
    mask, target = mask_and_target(series, (0.0, 0.0), "discrete", 0)
    assert mask.all()
    np.testing.assert_allclose(target, series, atol=1e-9)


def test_embeddings_have_half_of_the_width():
    embedder = quick().partial_fit(walks())
    series, target, guess = inferred(embedder, walks(7, seed=2))
    assert series.shape == target.shape == guess.shape == (14, 8)
    again = inferred(embedder, walks(7, seed=2))
    np.testing.assert_array_equal(again[2], guess)
    assert not np.array_equal(inferred(embedder, walks(7, seed=2), seed=1)[1], target)


def layer(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def gelu(x):
    return 0.5 * x * (1 + special.erf(x / np.sqrt(2)))


def test_series_and_inferences_by_numpy():
    X = walks(7, seed=2)
    embedder = quick().partial_fit(walks())
    weights = {name: value.astype(float) for name, value in embedder.weights_.items()}
    embeddings = embedder.transform(X).reshape(14, 16).astype(float)  # means over time, by channel
    expected_series = layer(weights, "projector", embeddings)
    generator = torch.Generator().manual_seed(0)
    masks = sample_mask(14, 16, (0.0, 0.7), generator=generator)[:, 0].numpy()
    removed = 1 - masks
    prompt = removed @ weights["prompts"] / (np.sqrt(removed.sum(axis=1, keepdims=True)) + 1e-6)
    hidden = gelu(layer(weights, "embedding_predictor.0", expected_series + prompt))
    expected_guess = layer(weights, "embedding_predictor.2", hidden)

    series, _, guess = inferred(embedder, X)
    np.testing.assert_allclose(series, expected_series, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(guess, expected_guess, rtol=1e-4, atol=1e-5)


def test_target_series_are_embedded_by_the_momentum_copies():
    X = walks(7, seed=2)
    embedder = quick().partial_fit(walks())
    series, target, guess = inferred(embedder, X)
    bias = embedder.stream_state_["target_projector.bias"]
    embedder.stream_state_ = embedder.stream_state_ | {"target_projector.bias": bias + 1}
    moved = inferred(embedder, X)
    np.testing.assert_allclose(moved[1], target + 1, rtol=1e-5)
    np.testing.assert_array_equal(moved[0], series)
    np.testing.assert_array_equal(moved[2], guess)


def test_the_embedder_stays_as_it_was():
    embedder = quick().partial_fit(walks())
    before = embedder.transform(walks())
    inferred(embedder, walks())
    np.testing.assert_array_equal(embedder.transform(walks()), before)


def test_other_methods_infer_nothing():
    embedder = quick(objective="simmtm", max_epochs=1).partial_fit(walks())
    with pytest.raises(TypeError, match="'simmtm' infers no target embeddings"):
        inferred(embedder, walks())
