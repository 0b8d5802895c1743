"""What is in the picture of a mask, against NumPy's Fourier transform."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn.displays import MaskingDisplay


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(params=[64, 65])
def series(request):
    return walks(1, 1, request.param)[0, 0]


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_the_target_lacks_the_removed_frequencies(series, kind):
    embedder = quick(mask_ratio=(0.4, 0.6), mask_kind=kind)
    display = MaskingDisplay.from_estimator(embedder, series, random_state=3)
    expected = np.fft.irfft(np.fft.rfft(series) * display.mask, n=len(series))
    np.testing.assert_allclose(display.target, expected, atol=1e-9)
    assert 0.35 < 1 - display.mask.mean() < 0.65

    above, middle, below = display.axes_
    np.testing.assert_array_equal(above.lines[0].get_ydata(), series)
    kept, removed = middle.lines
    amplitude = np.abs(np.fft.rfft(series))
    np.testing.assert_allclose(kept.get_ydata(), amplitude[display.mask])
    np.testing.assert_allclose(removed.get_ydata(), amplitude[~display.mask])
    assert kept.get_marker() != removed.get_marker()
    assert removed.get_xdata().max() <= 0.5
    np.testing.assert_array_equal(below.lines[1].get_ydata(), display.target)
    assert [text.get_text() for text in middle.get_legend().get_texts()] == ["kept", "removed"]


def test_a_temporal_mask_removes_time_points(series):
    embedder = quick(mask_ratio=(0.4, 0.6), mask_kind="temporal")
    display = MaskingDisplay.from_estimator(embedder, series)
    np.testing.assert_allclose(display.target, np.where(display.mask, series, 0), atol=1e-9)
    _, removed = display.axes_[1].lines
    np.testing.assert_array_equal(removed.get_xdata(), np.flatnonzero(~display.mask))


def test_the_same_seed_gives_the_same_mask(series):
    embedder = quick(mask_ratio=(0.4, 0.6))
    masks = [
        MaskingDisplay.from_estimator(embedder, series, random_state=seed).mask
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])


@pytest.mark.parametrize("wrong", [walks()[0], [1.0, np.nan, 2.0], [1.0]])
def test_one_channel_of_finite_values_is_needed(wrong):
    with pytest.raises(ValueError, match=r"series must be a one-dimensional array.*X.0, 0."):
        MaskingDisplay.from_estimator(quick(), wrong)
