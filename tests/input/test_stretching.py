"""min_timepoints: shorter series are stretched by linear interpolation, others are unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from quick import assert_close, quick, walks

from fei_sklearn import FEIEmbedder
from fei_sklearn._input.preparation import to_panel
from fei_sklearn._input.scaling import Scaler

LENGTHS = (2, 9, 30, 39, 40, 41, 57)


def stretched_by_numpy(series, at_least):
    """Return a series of shape (n_channels, n_timepoints), stretched by NumPy."""
    n = series.shape[1]
    if n >= at_least:
        return series
    position = np.linspace(0, n - 1, at_least)
    return np.stack([np.interp(position, np.arange(n), channel) for channel in series])


def ragged():
    return [walks(1, n_timepoints=n, seed=i)[0] for i, n in enumerate(LENGTHS * 3)]


def padded(series):
    whole = np.full((len(series), 2, max(s.shape[1] for s in series)), np.nan)
    for row, item in zip(whole, series, strict=True):
        row[:, : item.shape[1]] = item
    return whole


@pytest.mark.parametrize("n_timepoints", [2, 3, 30, 39])
def test_dense_series_are_interpolated(n_timepoints):
    X = walks(n_timepoints=n_timepoints)
    panel = to_panel(X, Scaler.fit(X, None), 40)
    assert panel.values.shape == (20, 2, 40) and panel.lengths is None
    expected = np.stack([stretched_by_numpy(series, 40) for series in X])
    np.testing.assert_allclose(panel.values, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(panel.values[:, :, [0, -1]], X[:, :, [0, -1]].astype(np.float32))


@pytest.mark.parametrize("n_timepoints", [40, 41, 57])
def test_series_that_are_long_enough_are_left_alone(n_timepoints):
    X = walks(n_timepoints=n_timepoints)
    np.testing.assert_array_equal(to_panel(X, Scaler.fit(X, None), 40).values, X.astype("f4"))


@pytest.mark.parametrize("lengths", [LENGTHS, LENGTHS[:3]], ids=["some longer", "all shorter"])
def test_ragged_series_are_interpolated_each_from_its_own_end(lengths):
    series = [s for s in ragged() if s.shape[1] in lengths]
    X = padded(series)
    panel = to_panel(X, Scaler.fit(X, None), 40)
    expected = [stretched_by_numpy(item, 40) for item in series]
    longest = max(40, *lengths)
    assert panel.values.shape == (len(series), 2, longest)
    if longest == 40:
        assert panel.lengths is None
    else:
        np.testing.assert_array_equal(panel.lengths, [e.shape[1] for e in expected])
    for row, item in zip(panel.values, expected, strict=True):
        np.testing.assert_allclose(row[:, : item.shape[1]], item, rtol=1e-6, atol=1e-6)
        assert not row[:, item.shape[1] :].any()


def test_gaps_are_filled_and_ends_cut_before():
    X = walks(4)
    X[0, :, :10] = X[1, :, 20:] = X[2, 0, 5:9] = np.nan
    panel = to_panel(X, Scaler.fit(X, None), 40)
    filled = X[2].copy()
    known = np.flatnonzero(~np.isnan(X[2, 0]))
    filled[0] = np.interp(np.arange(30), known, X[2, 0, known])
    expected = [stretched_by_numpy(s, 40) for s in (X[0, :, 10:], X[1, :, :20], filled, X[3])]
    assert panel.lengths is None
    np.testing.assert_allclose(panel.values, np.stack(expected), rtol=1e-6, atol=1e-6)


def test_an_embedder_stretches_in_fit_and_transform():
    X = walks()
    other = walks(n_timepoints=17, seed=1)
    embedder = quick(min_timepoints=48, scaling=None).fit(X)
    stretched = quick(scaling=None).fit(np.stack([stretched_by_numpy(series, 48) for series in X]))
    assert embedder.min_timepoints_ == 48 and embedder.reference_length_ == 48
    assert embedder.n_timepoints_in_ == 30
    expected = stretched.transform(np.stack([stretched_by_numpy(series, 48) for series in other]))
    # two steps of AdamW amplify differences of the last bit
    np.testing.assert_allclose(embedder.transform(other), expected, rtol=0, atol=1e-3)
    unstretched = stretched.transform(other)
    assert np.abs(embedder.transform(other) - unstretched).max() > 0.05
    assert_close(embedder.transform([other[0], X[0]]), embedder.transform([X[0], other[0]])[::-1])


def test_a_fitted_embedder_keeps_its_length():
    embedder = quick(min_timepoints=48).fit(walks())
    expected = embedder.transform(walks())
    np.testing.assert_array_equal(
        embedder.set_params(min_timepoints=99).transform(walks()), expected
    )


@pytest.mark.parametrize("given", [None, 99])
def test_from_a_model_its_own_length_is_used(given, tmp_path):
    model = quick(min_timepoints=48).fit(walks())
    model.save(tmp_path)
    expected = model.transform(walks(seed=1))
    assert FEIEmbedder.load(tmp_path).min_timepoints_ == 48
    np.testing.assert_array_equal(FEIEmbedder.load(tmp_path).transform(walks(seed=1)), expected)
    start = quick(pretrained=tmp_path, max_epochs=0, min_timepoints=given).fit(walks())
    assert start.min_timepoints_ == 48
    np.testing.assert_array_equal(start.transform(walks(seed=1)), expected)


@pytest.mark.parametrize("value", [1, 0, -3, 2.5, "long"])
def test_lengths_that_are_none_are_refused(value):
    with pytest.raises(ValueError, match=f"min_timepoints.*{value!r}"):
        quick(min_timepoints=value).fit(walks())
