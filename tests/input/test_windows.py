"""Windows that slide over long series."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn._input.windows import sliding_windows

X = walks(20, 2, 130)


@pytest.fixture(scope="module", params=["independent", "mix"])
def fitted(request):
    return quick(channels=request.param).fit(X)


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


def test_windows_of_a_masked_array_keep_what_is_missing():
    panel = X[:3].copy()
    panel[:, :, 50:60] = np.nan
    masked = np.ma.masked_invalid(X[:3].copy())
    masked[:, :, 50:60] = np.ma.masked
    embedder = quick().fit(X)
    expected, _ = embedder.transform_sliding(panel, window_length=40, step=10)
    embeddings, _ = embedder.transform_sliding(masked, window_length=40, step=10)
    np.testing.assert_array_equal(embeddings, expected)


@pytest.mark.parametrize("shape", [(3, 11), (3, 2, 11)])
def test_windows_of_each_series_in_turn(shape):
    panel = np.arange(np.prod(shape)).reshape(shape)
    windows, ends = sliding_windows(panel, window_length=4, step=3)
    np.testing.assert_array_equal(ends, [3, 6, 9])
    for series, of_series in zip(panel, windows, strict=True):
        for window, end in zip(of_series, ends, strict=True):
            np.testing.assert_array_equal(window, series[..., end - 3 : end + 1])


def test_windows_of_a_memory_map_are_those_of_its_array(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    of_file, of_array = (sliding_windows(panel, 40, 7)[0] for panel in (mapped, X))
    for one, other in zip(of_file, of_array, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_that_does_not_move_is_refused(step):
    with pytest.raises(ValueError, match=rf"step at least 1, got {step}"):
        sliding_windows(X, 40, step)


def test_series_that_have_no_windows_are_refused_in_a_sentence():
    embedder = quick().fit(walks(9, 1, 12))
    with pytest.raises(ValueError, match="series of unequal length"):
        embedder.transform_sliding([np.ones(30), np.ones(20)], window_length=12)
    dates = np.arange(60).astype("datetime64[D]").reshape(2, 30)
    with pytest.raises(TypeError, match="dates or durations"):
        embedder.transform_sliding(dates, window_length=12)


@pytest.mark.parametrize("shape", [(30,), (2, 1, 1, 30)])
def test_other_dimensions_are_named(shape):
    with pytest.raises(ValueError, match=r"^X has the shape .* give X\[np\.newaxis\] if it is one"):
        sliding_windows(np.zeros(shape), 10, 1)
