"""Refused panels: the message names the value and the remedy, and nothing else changes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from panels import fast, noise
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold, LeaveOneOut
from snapshots import nothing_changes

from fei_sklearn import FEIClassifier


@pytest.fixture(scope="module")
def fitted_2d():
    return fast().fit(noise(9, 10))


@pytest.fixture(scope="module")
def fitted_3d():
    return fast(layers="all", pooling=("mean", "max", "std")).fit(noise(9, 2, 30))


TIMES = pd.MultiIndex.from_product([range(3), range(10)])
FRAMES = [pd.DataFrame(noise(10, 2)) for _ in range(3)]
CELLS = pd.DataFrame({"x": [pd.Series(x) for x in noise(3, 10)]})
ALWAYS_REFUSED = {
    "MultiIndex frame": (pd.DataFrame({"x": noise(30)}, index=TIMES), "MultiIndex.*numpy3D"),
    "MultiIndex series": (pd.Series(noise(30), index=TIMES), "MultiIndex.*numpy3D"),
    "nested frame": (CELLS, "series in each cell.*numpy3D"),
    "polars lists": (
        pl.DataFrame({"x": noise(3, 10).tolist()}),
        r"series in each cell.*\[np.stack\(row\) for row in X.rows\(\)\].$",
    ),
    "pandas frames": (FRAMES, r"list of frames.*to_numpy\(\).T"),
    "polars frames": ([pl.DataFrame(f.to_numpy()) for f in FRAMES], "list of frames.*to_numpy"),
    "infinity": (np.where(np.eye(3, 10) > 0, np.inf, 1.0), "infinity"),
    "infinity, 3-D": (np.full((3, 2, 10), -np.inf), "infinity"),
    "infinity in a list": ([np.array([1, np.inf]), np.ones(3)], "infinity"),
    "complex": (noise(3, 10) + 1j, "[Cc]omplex"),
    "complex in a list": ([np.ones(3) + 1j, np.ones(4)], "[Cc]omplex"),
    "complex tensor": (torch.ones(3, 10) + 1j, "[Cc]omplex"),
    "strings": ([["a", "b"], ["c", "d"]], "'a'"),
    "strings in a frame": (pd.DataFrame([["a", 1.0], ["b", 2.0]]), "'a'"),
    "strings in a list": ([np.array(["a", "b"]), np.array(["c"])], "'a'"),
    "sparse": (sparse.csr_matrix(np.eye(3, 10)), "Sparse.*toarray"),
    "1-D": (noise(10), "Reshape your data"),
    "4-D": (noise(3, 2, 4, 10), r"4 dimensions, \(3, 2, 4, 10\).*Reshape your data"),
    "1 time point": (noise(3, 1), r"1 feature\(s\).*at least 2 time points"),
    "1 time point, 3-D": (noise(3, 2, 1), r"1 feature\(s\).*at least 2 time points"),
    "no time point": (np.empty((3, 2, 0)), "at least 2 time points"),
    "no series": (np.empty((0, 10)), r"0 sample\(s\)"),
    "no series, 3-D": (np.empty((0, 2, 10)), r"0 sample\(s\)"),
    "no series in a list": ([], "Reshape your data"),
    "no channel": (np.empty((3, 0, 10)), r"0 (channels|feature\(s\))"),
    "channels differ": ([noise(2, 9), noise(3, 8)], r"\(2, 9\), \(3, 8\).*same n_channels"),
    "dimensions differ": ([noise(2, 9), noise(8)], r"\(2, 9\).*\(8,\).*same n_channels"),
    "nothing": (None, "Reshape your data"),
}


PIVOTED = pd.DataFrame(
    noise(6, 24), index=pd.MultiIndex.from_product([["a", "b"], range(3)], names=["site", "day"])
)


def test_the_advice_for_a_wide_frame_with_a_multiindex_leads_to_its_series():
    with pytest.raises(ValueError, match=r"each row is a whole series.*X.to_numpy\(\)"):
        fast().fit(PIVOTED)
    assert fast().fit(PIVOTED.to_numpy()).n_timepoints_in_ == 24


@pytest.mark.parametrize(
    ("frame", "rows"),
    [
        (pd.DataFrame({"v": list(noise(9, 10)), "w": list(noise(9, 10, seed=1))}), "to_numpy"),
        (CELLS, "to_numpy"),
        (pl.DataFrame({"v": noise(9, 10).tolist(), "w": noise(9, 10).tolist()}), "rows"),
    ],
    ids=["pandas arrays", "pandas series", "polars lists"],
)
def test_the_advice_for_a_frame_of_series_works(frame, rows):
    with pytest.raises(ValueError, match=rf"\[np.stack\(row\) for row in X.{rows}\(\)\]"):
        fast().fit(frame)
    series = [np.stack(row) for row in getattr(frame, rows)()]
    assert fast().fit(series).n_channels_in_ == len(frame.columns)


@pytest.mark.parametrize("n_timepoints", [3, 11])
def test_more_channels_than_time_points_are_likely_last(n_timepoints):
    X = noise(9, 12, n_timepoints)
    with pytest.warns(UserWarning, match=rf"12 channels of {n_timepoints} .*moveaxis\(X, 2, 1\)"):
        embedder = fast().fit(X)
    embedder.transform(X)  # without a warning


def test_a_univariate_model_takes_panels_with_and_without_a_channel_axis():
    X = noise(9, 1, 20)
    embedder = fast().fit(X)
    expected = embedder.transform(X)
    names = [f"t{i}" for i in range(20)]
    for flat in (
        X[:, 0],
        pd.DataFrame(X[:, 0], columns=names),
        pl.DataFrame(X[:, 0]),
        list(X[:, 0]),
    ):
        np.testing.assert_array_equal(embedder.transform(flat), expected)
    assert embedder.transform(X[:, 0, :7]).shape == expected.shape
    frozen = FEIClassifier(FrozenEstimator(embedder), max_epochs=0)
    assert frozen.fit(X[:, 0], np.arange(9) % 2).predict(X[:, 0]).shape == (9,)


def test_a_model_of_equal_lists_takes_arrays_of_their_length_and_lists_of_any():
    X = noise(9, 20)
    embedder = fast().fit(X.tolist())
    expected = embedder.transform(X[:, np.newaxis])
    np.testing.assert_array_equal(embedder.transform(X), expected)
    np.testing.assert_array_equal(embedder.transform(X.tolist()), expected)
    assert embedder.transform([x[:7] for x in X]).shape == expected.shape
    with pytest.raises(ValueError, match=r"X has 7 features.*list of series of 20 time points"):
        embedder.transform(X[:, :7])


@pytest.mark.parametrize("splitter", [LeaveOneOut(), KFold(3)], ids=["one out", "three folds"])
def test_a_list_of_1d_series_is_a_univariate_panel_in_every_fold(splitter):
    series = [noise(30, seed=i) for i in range(11)] + [noise(24, seed=11)]
    y = np.arange(12) % 2
    model = FEIClassifier(fast(), max_epochs=0)
    for train, test in splitter.split(series):
        model.fit([series[i] for i in train], y[train])
        assert model.input_ndim_ == 3 and model.n_features_in_ == 1
        assert model.predict([series[i] for i in test]).shape == (len(test),)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ALWAYS_REFUSED)
def test_refused_by_fit(fitted_2d, kind, elsewhere):
    X, message = ALWAYS_REFUSED[kind]
    for embedder in (fast(), fitted_2d):
        with nothing_changes(embedder), pytest.raises((ValueError, TypeError)) as caught:
            embedder.fit(X)
        assert re.search(message, str(caught.value), re.DOTALL)


@pytest.mark.parametrize("kind", ALWAYS_REFUSED)
@pytest.mark.parametrize("fitted", ["fitted_2d", "fitted_3d"])
def test_refused_by_transform(fitted, kind, elsewhere, request):
    embedder, (X, message) = request.getfixturevalue(fitted), ALWAYS_REFUSED[kind]
    with nothing_changes(embedder), pytest.raises((ValueError, TypeError)) as caught:
        embedder.transform(X)
    # its shape may be refused before what is in it
    message += r"|is expecting \d+ features|was fitted on"
    assert re.search(message, str(caught.value), re.DOTALL)


@pytest.mark.parametrize(
    ("fitted", "X", "message"),
    [
        ("fitted_3d", noise(3, 3, 30), "X has 3 .*(2 channels|is expecting 2 features)"),
        ("fitted_3d", noise(3, 1, 30), "X has 1 .*(2 channels|is expecting 2 features)"),
        ("fitted_2d", noise(3, 11), "X has 11 features, but FEIEmbedder is expecting 10 features"),
        ("fitted_2d", noise(3, 10, 10), "X has 3 dimensions.* fitted on 2.*Reshape your data"),
        ("fitted_2d", noise(3, 1, 10), "X has 3 dimensions.* fitted on 2.*Reshape your data"),
        ("fitted_2d", [noise(10), noise(7)], "X has 3 dimensions.* fitted on 2"),
        ("fitted_3d", noise(3, 2), "X has 2 dimensions.* fitted on 3.*Reshape your data"),
        ("fitted_3d", noise(3, 30), "X has 2 dimensions.* fitted on 3.*Reshape your data"),
    ],
)
def test_refused_after_another_panel(fitted, X, message, elsewhere, request):
    embedder = request.getfixturevalue(fitted)
    with nothing_changes(embedder), pytest.raises(ValueError, match=message):
        embedder.transform(X)
