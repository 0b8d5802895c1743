"""Long frames to panels, by an independent pivot, and what is said of frames that are off."""

from __future__ import annotations

import datetime
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from quick import quick, walks

from fei_sklearn.adapters import _grid
from fei_sklearn.adapters.frames import embed_long, from_long

KINDS = pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
NAMES = {"id": "pump", "time": "hour"}


def long(X):
    """Columns of a long frame of a panel, or of a list of series."""
    names = [f"p{9 - i % 10}{i}" for i in range(len(X))]  # not in alphabetical order
    parts = {"pump": [], "hour": [], "flow": [], "heat": []}
    for name, series in zip(names, X, strict=True):
        parts["pump"] += [name] * series.shape[1]
        parts["hour"] += range(series.shape[1])
        parts["flow"] += series[0].tolist()
        parts["heat"] += series[1].tolist()
    return parts, names


def shuffled(columns):
    """The same rows, sorted by time from last to first: no series is contiguous."""
    order = np.argsort(columns["hour"], kind="stable")[::-1]
    return {name: [values[i] for i in order] for name, values in columns.items()}


# Panels


@KINDS
def test_a_panel_comes_back(kind):
    X = walks()
    columns, names = long(X)
    panel, ids = from_long(kind(columns), **NAMES)
    np.testing.assert_array_equal(panel, X)
    assert panel.dtype == np.float64
    assert panel.flags.c_contiguous
    assert ids.to_list() == names
    assert ids.name == "pump"


@KINDS
def test_rows_in_any_order(kind):
    X = walks()
    columns, names = long(X)
    panel, ids = from_long(kind(shuffled(columns)), **NAMES)
    assert ids.to_list() == names[::-1]  # the order in which they first appear
    np.testing.assert_array_equal(panel, X[::-1])


@KINDS
def test_lengths_that_differ_give_a_list(kind):
    X = [series[:, : 10 + i] for i, series in enumerate(walks())]
    columns, names = long(X)
    panel, ids = from_long(kind(columns), **NAMES)
    assert isinstance(panel, list)
    assert ids.to_list() == names
    for series, expected in zip(panel, X, strict=True):
        np.testing.assert_array_equal(series, expected)
    expected = quick().fit_transform(X)
    np.testing.assert_array_equal(quick().fit_transform(panel), expected)


@KINDS
def test_missing_rows_and_values_are_nan(kind):
    columns, names = long(walks())
    frame = pd.DataFrame(columns)
    frame.loc[frame["hour"] == 5, "flow"] = np.nan
    frame = frame.drop(frame.index[[3, 40, 41]])
    frame = kind(frame.to_dict("list"))
    panel, _ = from_long(frame, **NAMES)
    pivot = pd.DataFrame(columns).pivot(index="pump", columns="hour", values=["flow", "heat"])
    expected = pivot.loc[names].to_numpy(copy=True).reshape(20, 2, 30)
    expected[:, 0, 5] = expected[0, :, 3] = expected[1, :, 10] = expected[1, :, 11] = np.nan
    np.testing.assert_array_equal(panel, expected)


@KINDS
def test_chosen_columns_in_their_order(kind):
    X = walks()
    columns, _ = long(X)
    frame = kind(columns | {"note": ["-"] * len(columns["hour"])})
    np.testing.assert_array_equal(
        from_long(frame, columns=["heat", "flow"], **NAMES)[0], X[:, ::-1]
    )
    np.testing.assert_array_equal(from_long(frame, columns="heat", **NAMES)[0], X[:, 1:])


DAY = datetime.date(2020, 1, 30)


@KINDS
@pytest.mark.parametrize(
    "times",
    [
        [0.5, 9.0, 10.0],
        [DAY + datetime.timedelta(days=i) for i in range(3)],
        [datetime.datetime(2020, 1, 30 + i % 2, i, tzinfo=datetime.UTC) for i in (0, 2, 3)],
        [datetime.timedelta(hours=i) for i in (1, 2, 30)],
    ],
    ids=["float", "date", "time zone", "duration"],
)
def test_times_of_all_kinds(kind, times):
    rows = [2, 0, 1, 1, 2, 0]
    frame = kind({"id": [7] * 3 + [3] * 3, "t": [times[i] for i in rows], "v": [2, 0, 1, 4, 5, 3]})
    panel, ids = from_long(frame, id="id", time="t")
    order = np.argsort(np.argsort(np.array(times)))
    assert ids.to_list() == [7, 3]
    np.testing.assert_array_equal(panel[:, 0, order], [[0, 1, 2], [3, 4, 5]])


def test_periods_and_nullable_columns():
    hours = pd.period_range("2020-01", periods=3, freq="M")
    frame = pd.DataFrame({"id": ["a"] * 3, "t": hours[::-1], "v": pd.array([3, None, 1], "Int64")})
    np.testing.assert_array_equal(from_long(frame, id="id", time="t")[0], [[[1, np.nan, 3]]])


def test_own_clocks_are_not_padded():
    frame = pd.DataFrame({"id": [0, 0, 1, 1], "t": [0, 1, 100, 101], "v": [1.0, 2.0, 3.0, 4.0]})
    np.testing.assert_array_equal(from_long(frame, id="id", time="t")[0], [[[1, 2]], [[3, 4]]])


def test_clocks_with_nothing_in_common_are_warned_of():
    time = np.random.default_rng(0).uniform(size=60)
    frame = pd.DataFrame({"id": np.repeat([*range(6)], 10), "t": time, "v": 1.0})
    sentence = r"8\d% of the panel is missing, .*: round 't', or .*groupby\('id'\)\.cumcount"
    with pytest.warns(UserWarning, match=sentence) as caught:
        from_long(frame, id="id", time="t")
    assert caught[0].filename == __file__
    panel, _ = from_long(frame.assign(t=frame.groupby("id").cumcount()), id="id", time="t")
    assert panel.shape == (6, 1, 10)


def test_clocks_with_nothing_in_common_are_refused_before_their_panel_is_allocated(monkeypatch):
    n_series, n_rows = 400, 30
    time = np.random.default_rng(0).uniform(size=n_series * n_rows)
    frame = pd.DataFrame({"id": np.repeat(np.arange(n_series), n_rows), "t": time, "v": 1.0})
    monkeypatch.setattr(_grid, "SMALL_BYTES", 2**20)
    tracemalloc.start()
    sentence = r"would take 3\d MB, 3\d\d times as much as the 12,000 rows: round 't', or number"
    with pytest.raises(ValueError, match=sentence):
        from_long(frame, id="id", time="t")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6
    shared = frame.assign(t=frame.groupby("id").cumcount())
    assert from_long(shared, id="id", time="t")[0].shape == (n_series, 1, n_rows)


def test_the_frame_stays_as_it_was():
    frame = pd.DataFrame(shuffled(long(walks())[0]))
    before = frame.copy()
    from_long(frame, **NAMES)
    pd.testing.assert_frame_equal(frame, before)


@KINDS
def test_embeddings_keep_their_ids(kind):
    X = walks()
    columns, names = long(X)
    embedder = quick().fit(X)
    embeddings = embed_long(embedder, kind(columns), columns=["flow", "heat"], **NAMES)
    assert embeddings.index.to_list() == names
    assert embeddings.index.name == "pump"
    assert embeddings.columns.to_list() == embedder.get_feature_names_out().tolist()
    np.testing.assert_array_equal(embeddings, embedder.transform(X))


@KINDS
def test_channels_are_named_because_the_embedder_knows_their_order_alone(kind):
    X = walks()
    columns, _ = long(X)
    reordered = kind({name: columns[name] for name in ("heat", "hour", "flow", "pump")})
    embedder = quick().fit(X)
    with pytest.raises(ValueError, match=r"2 columns of values, \['heat', 'flow'\], .* give col"):
        embed_long(embedder, reordered, **NAMES)
    embeddings = embed_long(embedder, reordered, columns=["flow", "heat"], **NAMES)
    np.testing.assert_array_equal(embeddings, embedder.transform(X))


@KINDS
@pytest.mark.parametrize("container", [list, tuple, np.array, pd.Index, pd.Series])
def test_columns_in_any_container(kind, container):
    X = walks()
    frame = kind(long(X)[0])
    panel, _ = from_long(frame, columns=container(["heat", "flow"]), **NAMES)
    np.testing.assert_array_equal(panel, X[:, ::-1])


def test_one_channel_needs_no_name():
    X = walks(n_channels=1)
    frame = pd.DataFrame(long(np.repeat(X, 2, axis=1))[0]).drop(columns="heat")
    embedder = quick().fit(X)
    embeddings = embed_long(embedder, frame, **NAMES)
    np.testing.assert_array_equal(embeddings, embedder.transform(X))


# Frames that are off

GOOD = {"pump": [1, 1, 2, 2], "hour": [0, 1, 0, 1], "flow": [1.0, 2.0, 3.0, 4.0]}


@KINDS
@pytest.mark.parametrize(
    ("changes", "names", "sentence"),
    [
        ({}, {"id": "well"}, r"no column 'well' in \['pump', 'hour', 'flow'\]: name one"),
        ({}, {"time": "day"}, "no column 'day' in"),
        ({}, {"columns": ["flow", "heat"]}, "no column 'heat' in"),
        ({}, {"time": "pump"}, "id and time are both 'pump': name two"),
        ({}, {"columns": []}, "No column is left for values beside 'pump' and 'hour'"),
        ({"flow": [DAY] * 4}, {}, "Column 'flow' is not numeric but .*: convert"),
        ({"flow": ["a", "b", "c", "d"]}, {}, "Column 'flow' is not numeric but [sS]tr.*: convert"),
        ({"pump": [1, None, 2, None]}, {}, "Column 'pump' has no value in row 1 and 1 more: fill"),
        ({"hour": [0, 1, 0, None]}, {}, "Column 'hour' has no value in row 3: fill"),
        ({"hour": ["9", "10", "9", "10"]}, {}, "Column 'hour' cannot be sorted .* str: convert"),
        ({"hour": [0, 1, 1, 1]}, {}, "more than one row with 'pump' 2 and 'hour' 1: drop"),
        ({"pump": [], "hour": [], "flow": []}, {}, "frame is empty: give a row for each"),
    ],
)
def test_a_mistake_is_named(kind, changes, names, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        from_long(kind(GOOD | changes), **NAMES | names)
    assert "\n" not in str(caught.value)


def test_mistakes_that_only_pandas_allows():
    mixed = pd.DataFrame(GOOD).astype({"hour": object})
    mixed.loc[0, "hour"] = DAY
    with pytest.raises(ValueError, match="'hour' cannot be sorted as times, it holds date and int"):
        from_long(mixed, **NAMES)
    frame = pd.DataFrame(GOOD)
    with pytest.raises(ValueError, match="There are 2 columns 'flow': give each its own name"):
        from_long(pd.concat([frame, frame[["flow"]]], axis=1), **NAMES)
    with pytest.raises(ValueError, match=r"'pump' is in the index, .* give frame\.reset_index"):
        from_long(frame.set_index("pump"), **NAMES)
    with pytest.raises(ValueError, match="Column 'flow' is not numeric but complex128"):
        from_long(frame.astype({"flow": complex}), **NAMES)


def test_what_is_no_frame():
    with pytest.raises(TypeError, match="frame must be a pandas or polars DataFrame, got ndarray"):
        from_long(walks(), **NAMES)
    with pytest.raises(TypeError, match="got LazyFrame: collect it first"):
        from_long(pl.LazyFrame(GOOD), **NAMES)
