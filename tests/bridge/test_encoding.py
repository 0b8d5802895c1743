"""Embeddings under a fitted model: steps and their positions, blocks, and the kept encoder."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest
import torch
from quick import dilated, quick, walks

from fei_sklearn import _specs
from fei_sklearn._bridge import encoding
from fei_sklearn._bridge.encoding import embed_blocks, embed_values, restore_encoder, rows_at_once
from fei_sklearn._bridge.spec import MachineSpec
from fei_sklearn._input.checks import check_panel
from fei_sklearn._input.stored import StoredPanel
from fei_sklearn.encoder.resnet import FEIEncoder

X = walks(20, 2, 130)


@pytest.fixture(scope="module", params=["independent", "mix"])
def fitted(request):
    return quick(channels=request.param).fit(X)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_mean_of_the_steps_is_the_pooled_embedding(stride):
    embedder = quick(stride=stride).fit(X)
    pooled = embedder.transform(X)
    steps = embedder.set_params(pooling=None).transform(X)
    positions = embedder.step_positions(130)
    assert steps.shape == (20, len(positions), 32) == (20, {1: 65, 2: 5}[stride], 32)
    assert steps.dtype == np.float32
    np.testing.assert_allclose(steps.mean(axis=1), pooled, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.diff(positions), {1: 2, 2: 32}[stride])
    assert len(embedder.get_feature_names_out()) == 32


def test_shorter_series_end_in_nan(fitted):
    ragged = [series[:, : 60 + 3 * i] for i, series in enumerate(X)]
    fitted.set_params(pooling=None)
    steps = fitted.transform(ragged)
    for series, own in zip(ragged, steps, strict=True):
        alone = fitted.transform(series[np.newaxis])[0]
        np.testing.assert_allclose(own[: len(alone)], alone, rtol=1e-4, atol=1e-5)
        assert np.isnan(own[len(alone) :]).all()
    fitted.set_params(pooling="mean")


@pytest.mark.parametrize("stride", [1, 2])
def test_a_step_answers_to_the_time_points_around_its_position(stride):
    encoder = FEIEncoder(1, 16, stride).eval()
    series = torch.zeros(1, 1, 2000, requires_grad=True)
    maps = encoder(series)
    step = maps.shape[-1] // 2
    maps[0, :, step].sum().backward()
    touched = np.flatnonzero(series.grad[0, 0].abs().numpy() > 0)
    centre = (touched[0] + touched[-1]) / 2
    half = (touched[-1] - touched[0]) / 2
    # zero padding and strides make the field a little lopsided, never by more than a tenth of it
    assert abs(float(encoder.step_positions(2000)[step]) - centre) < 0.2 * half


def test_steps_of_all_stages_are_refused():
    with pytest.raises(ValueError, match="layers='last'"):
        quick(pooling=None, layers="all").fit(X)


def test_positions_of_a_foreign_encoder_are_not_known():
    embedder = quick(encoder=dilated, pooling=None).fit(X)
    assert embedder.transform(X).ndim == 3
    with pytest.raises(ValueError, match="step_positions"):
        embedder.step_positions(130)


# The kept encoder


@pytest.fixture
def restored(monkeypatch):
    """List that grows by one whenever an encoder is restored."""
    models = []

    def noting(model):
        models.append(model)
        return restore_encoder(model)

    monkeypatch.setattr(encoding, "restore_encoder", noting)
    return models


def test_the_encoder_is_restored_once_for_its_weights(restored):
    embedder, other = (quick(max_epochs=0, random_state=seed).fit(X) for seed in range(2))
    first = embedder.transform(X)
    embedder.transform(X[:3])
    assert len(restored) == 1
    embedder.weights_ = other.weights_
    np.testing.assert_array_equal(embedder.transform(X), other.transform(X))
    assert (first != embedder.transform(X)).any()
    assert len(restored) == 3
    embedder.fit(X)
    np.testing.assert_array_equal(embedder.transform(X), first)
    assert len(restored) == 4


def test_the_encoder_is_dropped_with_its_owner():
    gc.collect()
    before = len(encoding._encoders)
    embedder = quick(max_epochs=0).fit(X)
    embedder.transform(X)
    assert len(encoding._encoders) == before + 1
    del embedder
    gc.collect()
    assert len(encoding._encoders) == before


# Blocks


def test_blocks_are_those_of_the_whole(fitted):
    spec = _specs.encoding_spec(fitted)
    values = check_panel(fitted, X, reset=False)
    expected = embed_values(spec, values)
    assert expected.shape == (20, spec.n_features)
    rows, blocks = zip(*embed_blocks(spec, values, n_rows=7), strict=True)
    assert [(r.start, r.stop) for r in rows] == [(0, 7), (7, 14), (14, 20)]
    np.testing.assert_array_equal(np.concatenate(blocks), expected)
    in_blocks = embed_values(spec, StoredPanel(values))
    np.testing.assert_array_equal(in_blocks, expected)
    prepared = spec.input.panel(values)
    np.testing.assert_array_equal(embed_values(spec, values, panel=prepared), expected)


@pytest.mark.parametrize(
    ("shape", "chunk_rows", "expected"),
    [
        ((9, 1, 2**20), 1, 1),
        ((9, 1, 2**15), 1, 32),
        ((9, 2, 2**13), 1, 64),
        ((9, 1, 2**15), 50, 50),
    ],
)
def test_rows_at_once_fill_tiles_and_chunks(shape, chunk_rows, expected):
    assert rows_at_once(MachineSpec("cpu"), shape, chunk_rows) == expected


@pytest.mark.parametrize("origin", ["fit", "pickle", "replaced"])
def test_weights_changed_in_place_are_read_only_or_noticed(origin):
    fitted = quick().fit(walks())
    before = fitted.transform(walks())
    name = next(name for name in fitted.weights_ if name.endswith("weight"))
    if origin == "fit":
        with pytest.raises(ValueError, match="read-only"):
            fitted.weights_[name][...] = 0.5
        fitted.weights_[name] = fitted.weights_[name] + np.float32(0.5)
    elif origin == "pickle":
        fitted = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(fitted.transform(walks()), before)
        fitted.weights_[name][...] += 0.5
    else:
        fitted.weights_ = {key: array.copy() for key, array in fitted.weights_.items()}
        np.testing.assert_array_equal(fitted.transform(walks()), before)
        fitted.weights_[name][...] += 0.5
    changed = fitted.transform(walks())
    assert np.abs(changed - before).max() > 1e-3
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.transform(walks()), changed)


def test_the_encoder_is_kept_while_weights_are_unchanged(monkeypatch):
    fitted = pickle.loads(pickle.dumps(quick().fit(walks())))
    expected = fitted.transform(walks())
    monkeypatch.setattr(encoding, "restore_encoder", None)
    np.testing.assert_array_equal(fitted.transform(walks()), expected)
    fitted.transform_sliding(walks()[:2], window_length=10)
