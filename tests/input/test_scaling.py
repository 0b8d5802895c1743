"""Scaling: equality with NumPy's statistics, and scales from 1e-300 to 1e300."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import PROPERTIES, expected_scaling, fast, noise, panels

from fei_sklearn._input.scaling import Scaler


@pytest.fixture(scope="module")
def fitted_3d():
    return fast(layers="all", pooling=("mean", "max", "std")).fit(noise(9, 2, 30))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_timepoints", [30, 3000])
def test_a_large_offset_does_not_swallow_the_signal(fitted_3d, n_timepoints, order):
    shifted = np.asarray(1e-3 * noise(9, 2, n_timepoints) + 1e8, order=order)
    expected = fitted_3d.transform(shifted - 1e8)
    np.testing.assert_allclose(fitted_3d.transform(shifted), expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1


@pytest.mark.parametrize("scaling", ["series", "channel"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_timepoints", [30, 3000])
def test_a_large_offset_is_taken_off_before_float32(n_timepoints, order, scaling):
    shifted = np.asarray(1e-3 * noise(9, 2, n_timepoints) + 1e8, order=order)
    scaled = Scaler.fit(shifted, scaling).apply(shifted)
    expected = expected_scaling(shifted - 1e8, scaling)
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-100, 1e-10, 1e10, 1e100, 1e160, 1e300])
def test_the_scale_of_a_series_does_not_matter(fitted_3d, scale):
    X = noise(9, 2, 30)
    expected = fitted_3d.transform(X)
    np.testing.assert_allclose(fitted_3d.transform(scale * X), expected, rtol=1e-4, atol=1e-5)
    assert np.isfinite(fast().fit_transform(scale * X)).all()


@pytest.mark.filterwarnings("ignore::fei_sklearn.CollapseWarning")
@pytest.mark.parametrize("scaling", ["channel", None])
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_any_scale_is_embedded_or_refused(scale, scaling):
    X = scale * noise(9, 2, 30)
    embedder = fast(scaling=scaling)
    try:
        embeddings = embedder.fit_transform(X)
    except ValueError:
        assert not hasattr(embedder, "weights_")
    else:
        assert np.isfinite(embeddings).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e8 + 0.1, 1e300, 1e-300])
def test_constant_series_are_all_the_same(fitted_3d, value, order):
    embeddings = fitted_3d.transform(np.full((9, 2, 2000), value, order=order))
    expected = fitted_3d.transform(np.zeros((9, 2, 2000)))
    np.testing.assert_allclose(embeddings, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scaling", ["series", "channel", None])
def test_a_panel_of_constant_series(scaling):
    X = np.repeat([0.0, 0.1, 1e8, 7.0, 0.1], 12).reshape(5, 12)
    assert np.isfinite(fast(scaling=scaling).fit_transform(X)).all()


def test_channel_scaling_keeps_what_series_scaling_takes_away():
    X = np.sin(np.arange(30.0)) * np.arange(1, 10)[:, np.newaxis, np.newaxis]
    same, other = (fast(scaling=s).fit_transform(X) for s in ("series", "channel"))
    np.testing.assert_allclose(same, same[:1].repeat(9, axis=0), rtol=1e-4, atol=1e-5)
    assert np.abs(other - other[:1]).max(axis=1)[1:].min() > 1e-3


@settings(PROPERTIES, max_examples=100)
@given(panels(), st.sampled_from(["series", "channel", None]))
def test_scaling_is_numpys(X, scaling):
    scaled = Scaler.fit(X, scaling).apply(X)
    np.testing.assert_allclose(scaled, expected_scaling(X, scaling), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scaling", ["series", "channel"])
@pytest.mark.parametrize("largest", [1.7e308, np.finfo(float).max])
def test_the_whole_range_of_float64_is_scaled(scaling, largest):
    X = largest * np.sign(noise(9, 2, 30))
    scaled = Scaler.fit(X, scaling).apply(X)
    expected = expected_scaling(np.sign(X), scaling)
    np.testing.assert_allclose(scaled, expected, rtol=1e-9, atol=1e-9)
    embeddings = fast(scaling=scaling).fit(X).transform(X)
    np.testing.assert_allclose(
        embeddings, fast(scaling=scaling).fit_transform(np.sign(X)), rtol=1e-4, atol=1e-4
    )


def test_what_is_too_large_beside_the_training_panel_is_refused():
    embedder = fast(scaling="channel").fit(1e-3 * noise(9, 2, 30))
    with pytest.raises(ValueError, match="after scaling"):
        embedder.transform(1.7e308 * np.sign(noise(9, 2, 30)))
