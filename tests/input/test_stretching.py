"""Stretching: one factor for all short series of a panel; long ones stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from quick import assert_close, quick, walks

from fei_sklearn import FEIEmbedder
from fei_sklearn._input.preparation import to_panel
from fei_sklearn._input.scaling import Scaler
from fei_sklearn._input.stored import StoredPanel
from fei_sklearn._input.stretching import Stretching, longest_length

LENGTHS = (2, 9, 30, 39, 40, 41, 57)

EACH_TO_40 = Stretching(40)


def stretched_by_numpy(series, n_timepoints):
    """Return a series of shape (n_channels, n_timepoints), stretched by NumPy unless longer."""
    n = series.shape[1]
    if n >= n_timepoints:
        return series
    position = np.linspace(0, n - 1, n_timepoints)
    return np.stack([np.interp(position, np.arange(n), channel) for channel in series])


def ragged(lengths=LENGTHS * 3):
    return [walks(1, n_timepoints=n, seed=i)[0] for i, n in enumerate(lengths)]


def padded(series):
    whole = np.full((len(series), 2, max(s.shape[1] for s in series)), np.nan)
    for row, item in zip(whole, series, strict=True):
        row[:, : item.shape[1]] = item
    return whole


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (None, [40, 40, 40, 40, 41, 90]),
        (1.0, [2, 9, 20, 39, 41, 90]),
        (2.0, [4, 18, 40, 40, 41, 90]),
        (1.3, [3, 12, 26, 40, 41, 90]),
    ],
)
def test_lengths_after_stretching(factor, expected):
    stretching = Stretching(40, factor)
    lengths = np.array([2, 9, 20, 39, 41, 90])
    np.testing.assert_array_equal(stretching.lengths(lengths), expected)
    assert [stretching.length(n) for n in lengths] == expected


def test_without_a_length_nothing_is_stretched():
    assert Stretching.fit(walks(), None) == Stretching()
    np.testing.assert_array_equal(Stretching().lengths(np.array([2, 9, 500])), [2, 9, 500])


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "stored"])
@pytest.mark.parametrize(("lengths", "longest"), [((2, 9, 20), 20), ((2, 57, 3), 57)])
def test_one_factor_brings_the_longest_series_to_the_length(lengths, longest, stored, monkeypatch):
    monkeypatch.setattr("fei_sklearn._input.stored.MAX_BLOCK_ROWS", 1)
    series = ragged(lengths)
    empty = np.full((1, 2, 90), np.nan)
    X = np.full((len(series), 2, 90), np.nan)
    for row, item in zip(X, series, strict=True):
        row[:, 5 : 5 + item.shape[1]] = item  # padding at both ends
    X = np.concatenate([empty, X])
    values = StoredPanel(X) if stored else X
    assert longest_length(values) == longest
    stretching = Stretching.fit(values, 40)
    assert stretching == Stretching(40, max(1.0, 40 / longest))
    assert stretching.length(longest) == max(40, longest)


@pytest.mark.parametrize("n_timepoints", [2, 3, 7, 30, 39])
def test_series_of_one_length_reach_the_length(n_timepoints):
    X = walks(n_timepoints=n_timepoints)
    one_factor = to_panel(X, Scaler.fit(X, None), Stretching.fit(X, 40))
    each = to_panel(X, Scaler.fit(X, None), EACH_TO_40)
    np.testing.assert_array_equal(one_factor.values, each.values)
    assert one_factor.lengths is None


@pytest.mark.parametrize("n_timepoints", [2, 3, 30, 39])
def test_dense_series_are_interpolated(n_timepoints):
    X = walks(n_timepoints=n_timepoints)
    panel = to_panel(X, Scaler.fit(X, None), EACH_TO_40)
    assert panel.values.shape == (20, 2, 40) and panel.lengths is None
    expected = np.stack([stretched_by_numpy(series, 40) for series in X])
    np.testing.assert_allclose(panel.values, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(panel.values[:, :, [0, -1]], X[:, :, [0, -1]].astype(np.float32))


@pytest.mark.parametrize("n_timepoints", [40, 41, 57])
def test_series_that_are_long_enough_are_left_alone(n_timepoints):
    X = walks(n_timepoints=n_timepoints)
    panel = to_panel(X, Scaler.fit(X, None), EACH_TO_40)
    np.testing.assert_array_equal(panel.values, X.astype("f4"))


@pytest.mark.parametrize("factor", [None, 1.0, 1.6], ids=str)
@pytest.mark.parametrize("lengths", [LENGTHS, LENGTHS[:3]], ids=["some longer", "all shorter"])
def test_ragged_series_are_interpolated_each_from_its_own_end(lengths, factor):
    series = [s for s in ragged() if s.shape[1] in lengths]
    X = padded(series)
    stretching = Stretching(40, factor)
    panel = to_panel(X, Scaler.fit(X, None), stretching)
    expected = [stretched_by_numpy(s, stretching.length(s.shape[1])) for s in series]
    new_lengths = [item.shape[1] for item in expected]
    assert panel.values.shape == (len(series), 2, max(new_lengths))
    if len(set(new_lengths)) == 1:
        assert panel.lengths is None
    else:
        np.testing.assert_array_equal(panel.lengths, new_lengths)
    for row, item in zip(panel.values, expected, strict=True):
        np.testing.assert_allclose(row[:, : item.shape[1]], item, rtol=1e-6, atol=1e-6)
        assert not row[:, item.shape[1] :].any()


def test_gaps_are_filled_and_ends_cut_before():
    X = walks(4)
    X[0, :, :10] = X[1, :, 20:] = X[2, 0, 5:9] = np.nan
    panel = to_panel(X, Scaler.fit(X, None), EACH_TO_40)
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
    assert embedder.stretch_ == 48 / 30
    assert embedder.n_timepoints_in_ == 30
    expected = stretched.transform(np.stack([stretched_by_numpy(series, 27) for series in other]))
    # two steps of AdamW amplify differences of the last bit
    np.testing.assert_allclose(embedder.transform(other), expected, rtol=0, atol=1e-3)
    unstretched = stretched.transform(other)
    assert np.abs(embedder.transform(other) - unstretched).max() > 0.05
    assert_close(embedder.transform([other[0], X[0]]), embedder.transform([X[0], other[0]])[::-1])


def test_short_series_of_a_panel_with_longer_ones_are_not_stretched():
    series = ragged((9, 20, 60))
    embedder = quick(min_timepoints=48).fit(series)
    assert embedder.stretch_ == 1
    plain = quick().fit(series)
    np.testing.assert_array_equal(embedder.transform(series), plain.transform(series))


def test_a_fitted_embedder_keeps_its_length():
    embedder = quick(min_timepoints=48).fit(walks())
    expected = embedder.transform(walks())
    np.testing.assert_array_equal(
        embedder.set_params(min_timepoints=99).transform(walks()), expected
    )


def test_a_stream_keeps_the_factor_of_its_first_chunk():
    embedder = quick(min_timepoints=48).partial_fit(walks(n_timepoints=24))
    embedder.partial_fit(walks(n_timepoints=12))
    assert embedder.stretch_ == 2


@pytest.mark.parametrize("given", [None, 99])
def test_from_a_model_its_own_length_is_used(given, tmp_path):
    model = quick(min_timepoints=48).fit(walks())
    model.save(tmp_path)
    expected = model.transform(walks(seed=1))
    loaded = FEIEmbedder.load(tmp_path)
    assert (loaded.min_timepoints_, loaded.stretch_) == (48, 48 / 30)
    np.testing.assert_array_equal(loaded.transform(walks(seed=1)), expected)
    start = quick(pretrained=tmp_path, max_epochs=0, min_timepoints=given).fit(walks())
    assert start.min_timepoints_ == 48
    np.testing.assert_array_equal(start.transform(walks(seed=1)), expected)


@pytest.mark.parametrize("n_timepoints", [24, 300])
def test_a_checkpoint_takes_the_factor_of_the_panel(n_timepoints):
    X = [walks(1, n_channels=1, n_timepoints=n)[0] for n in (n_timepoints, n_timepoints // 2)]
    embedder = FEIEmbedder(pretrained="default", n_jobs=1).fit(X)
    assert embedder.stretch_ == max(1, 128 / n_timepoints)
    without_panel = FEIEmbedder.from_pretrained()
    assert without_panel.stretch_ is None
    assert without_panel.transform(X).shape == (2, 2688)


@pytest.mark.parametrize("value", [1, 0, -3, 2.5, "long"])
def test_lengths_that_are_none_are_refused(value):
    with pytest.raises(ValueError, match=f"min_timepoints.*{value!r}"):
        quick(min_timepoints=value).fit(walks())
