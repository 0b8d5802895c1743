"""Embeddings of steps and of sliding windows."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn import FEIClassifier

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
    from fei_sklearn.encoder.resnet import FEIEncoder

    encoder = FEIEncoder(1, 16, stride).eval()
    import torch

    series = torch.zeros(1, 1, 2000, requires_grad=True)
    maps = encoder(series)
    step = maps.shape[-1] // 2
    maps[0, :, step].sum().backward()
    touched = np.flatnonzero(series.grad[0, 0].abs().numpy() > 0)
    centre = (touched[0] + touched[-1]) / 2
    half = (touched[-1] - touched[0]) / 2
    # zero padding and strides make the field a little lopsided, never by more than a tenth of it
    assert abs(float(encoder.step_positions(2000)[step]) - centre) < 0.2 * half


def test_windows_are_embedded_like_series_of_their_own(fitted):
    embeddings, ends = fitted.transform_sliding(X[:3], window_length=40, step=7)
    np.testing.assert_array_equal(ends, np.arange(39, 130, 7))
    assert embeddings.shape == (3, len(ends), fitted._n_features_out)
    for j, end in enumerate(ends):
        alone = fitted.transform(X[:3, :, end - 39 : end + 1])
        np.testing.assert_allclose(embeddings[:, j], alone, rtol=1e-5, atol=1e-6)


def test_windows_see_nothing_that_comes_after(fitted):
    changed = X[:3].copy()
    changed[:, :, 100:] += 5.0
    before, ends = fitted.transform_sliding(X[:3], window_length=40)
    after, _ = fitted.transform_sliding(changed, window_length=40)
    np.testing.assert_array_equal(before[:, ends < 100], after[:, ends < 100])
    assert np.abs(before[:, ends >= 100] - after[:, ends >= 100]).max() > 0


def test_windows_of_a_2d_panel():
    panel = X[:, 0]
    embedder = quick().fit(panel[:, :40])
    embeddings, ends = embedder.transform_sliding(panel, window_length=40, step=30)
    np.testing.assert_array_equal(embeddings[:, 0], embedder.transform(panel[:, :40]))
    assert ends.tolist() == [39, 69, 99, 129]


@pytest.mark.parametrize("window", [1, 131, 0])
def test_windows_that_do_not_fit_are_refused(fitted, window):
    with pytest.raises(ValueError, match=rf"window_length.*130.*got {window}"):
        fitted.transform_sliding(X, window_length=window)


def test_steps_of_all_stages_are_refused():
    with pytest.raises(ValueError, match="layers='last'"):
        quick(pooling=None, layers="all").fit(X)


def test_a_head_needs_a_vector():
    with pytest.raises(ValueError, match=r"pooling=None.*'mean'"):
        FEIClassifier(quick(pooling=None)).fit(X, np.arange(20) % 2)


def test_positions_of_a_foreign_encoder_are_not_known():
    from test_inference import DilatedConvolutions

    embedder = quick(encoder=DilatedConvolutions, pooling=None).fit(X)
    assert embedder.transform(X).ndim == 3
    with pytest.raises(ValueError, match="step_positions"):
        embedder.step_positions(130)


def test_windows_of_a_masked_array_keep_what_is_missing():
    panel = X[:3].copy()
    panel[:, :, 50:60] = np.nan
    masked = np.ma.masked_invalid(X[:3].copy())
    masked[:, :, 50:60] = np.ma.masked
    embedder = quick().fit(X)
    expected, _ = embedder.transform_sliding(panel, window_length=40, step=10)
    embeddings, _ = embedder.transform_sliding(masked, window_length=40, step=10)
    np.testing.assert_array_equal(embeddings, expected)
