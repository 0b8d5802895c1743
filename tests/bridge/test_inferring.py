"""Masks and inferences as arrays, against the objective."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn import _specs
from fei_sklearn._bridge.inferring import infer_targets, mask_and_target
from fei_sklearn._input.checks import check_panel


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


def test_the_embedder_stays_as_it_was():
    embedder = quick().partial_fit(walks())
    before = embedder.transform(walks())
    inferred(embedder, walks())
    np.testing.assert_array_equal(embedder.transform(walks()), before)


def test_other_methods_infer_nothing():
    embedder = quick(objective="simmtm", max_epochs=1).partial_fit(walks())
    with pytest.raises(TypeError, match="'simmtm' infers no target embeddings"):
        inferred(embedder, walks())
