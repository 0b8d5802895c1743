"""Cells that are no numbers: dates are refused wherever they are, missing values become NaN."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from panels import fast, noise

from fei_sklearn._input.cells import fill_missing, first_missing, refuse_dates
from fei_sklearn._input.checks import check_panel

DAYS = pd.date_range("2026-01-01", periods=9)
ARRAY = np.arange(90).astype("datetime64[D]").reshape(9, 10)
NUMBERS = pd.DataFrame(noise(9, 4), columns=list("abcd"))
DATES = {
    "array": ARRAY,
    "array of durations": ARRAY - ARRAY[0, 0],
    "masked array": np.ma.array(ARRAY),
    "array of objects": ARRAY.astype(object),
    "frame": pd.DataFrame(ARRAY.astype("datetime64[ns]")),
    "frame of durations": pd.DataFrame((ARRAY - ARRAY[0, 0]).astype("timedelta64[s]")),
    "one column": NUMBERS.assign(c=DAYS),
    "one column with a time zone": NUMBERS.assign(c=DAYS.tz_localize("UTC")),
    "one column of durations": NUMBERS.assign(c=DAYS - DAYS[0]),
    "one column of periods": NUMBERS.assign(c=DAYS.to_period("D")),
    "one column of objects": NUMBERS.assign(c=[datetime.date(2026, 1, 1)] * 9),
    "one object": NUMBERS.assign(c=[1.0] * 8 + [pd.Timedelta(1)]),
    "one column of Arrow": NUMBERS.assign(c=pd.Series(DAYS, dtype="timestamp[ns][pyarrow]")),
    "Arrow": pa.table({"a": noise(9), "c": pa.array(DAYS)}),
    "polars": pl.DataFrame({"a": noise(9), "c": [datetime.date(2026, 1, 1)] * 9}),
    "polars durations": pl.DataFrame({"a": noise(9), "c": [datetime.timedelta(1)] * 9}),
    "list": list(ARRAY),
    "lists": ARRAY.tolist(),
    "unequal list": [ARRAY[0], ARRAY[1, :5]],
    "list of series": [pd.Series(DAYS), pd.Series(DAYS)],
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_and_durations_are_refused_in_a_sentence(kind):
    with pytest.raises(TypeError, match=r"X holds dates or durations.*: give numbers"):
        fast().fit(DATES[kind])
    fitted = fast().fit(noise(9, 4))
    with pytest.raises(TypeError, match=r"X holds dates or durations.*: give numbers"):
        fitted.transform(DATES[kind])


def test_the_column_of_dates_is_named():
    with pytest.raises(TypeError, match="in column 'c'"):
        refuse_dates(DATES["one column"], "X")


def test_names_that_begin_like_dates_are_no_dates():
    refuse_dates(pd.DataFrame({"date": [1.0], "time": [2]}), "X")
    refuse_dates(pd.DataFrame({"time": pd.Categorical([2.0])}), "X")


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: pd.DataFrame(rows, dtype=object),
        lambda rows: np.array(rows, dtype=object),
        lambda rows: rows,
        lambda rows: pd.Series([np.array(row, dtype=object) for row in rows]),
    ],
    ids=["frame", "array", "lists", "series of arrays"],
)
def test_pandas_na_is_a_missing_value(make):
    X = noise(9, 4)
    rows = X.tolist()
    rows[2][1] = pd.NA
    rows[3][0] = None
    X[[2, 3], [1, 0]] = np.nan
    read = np.asarray(check_panel(fast(), make(rows), reset=True))
    np.testing.assert_array_equal(read.reshape(X.shape), X)


def test_filling_leaves_the_callers_cells_alone():
    cells = np.array([1.0, pd.NA], dtype=object)
    frame = pd.DataFrame({"a": cells})
    assert np.isnan(fill_missing(cells)[1]) and cells[1] is pd.NA
    assert np.isnan(fill_missing(frame).iloc[1, 0]) and frame.iloc[1, 0] is pd.NA


@pytest.mark.parametrize("missing", [None, pd.NA, pd.NaT, np.nan, np.float64("nan")])
def test_the_first_missing_cell(missing):
    assert first_missing(np.array(["a", 1, missing, missing], dtype=object)) == 2
    assert first_missing(np.array(["a", 1, "nan"], dtype=object)) is None
