"""sktime's frames as panels, by an independent pivot, and the names of what is in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from quick import walks
from sktime.datatypes import convert_to

from fei_sklearn.adapters._sktime_panels import (
    as_panel,
    channel_names,
    check_container,
    instance_names,
)


@pytest.fixture
def frame():
    panel = convert_to(walks(4), "pd-multiindex").set_axis(["u", "v"], axis=1)
    return panel.rename(index=dict(enumerate("dacb")), level=0)


def test_arrays_stay_as_they_are():
    X = walks()
    assert as_panel(X) is X
    assert channel_names(X) is None


def test_names_of_channels_and_series(frame):
    assert channel_names(frame) == ["u", "v"]
    assert channel_names(frame.set_axis(["var_0", "var_1"], axis=1)) is None  # sktime's for arrays
    assert channel_names(frame.set_axis(["var_1", "var_0"], axis=1)) == ["var_1", "var_0"]
    assert instance_names(frame).to_list() == list("dacb")  # in the order of the rows


@pytest.mark.parametrize("level_names", [["id", "hour"], [None, None]])
def test_missing_rows_are_nan(frame, level_names):
    gappy = frame.drop(index=[("a", 3), ("b", 10), ("b", 11)]).rename_axis(level_names)
    expected = walks(4)
    expected[1, :, 3] = expected[3, :, 10:12] = np.nan
    np.testing.assert_array_equal(as_panel(gappy), expected)


def test_nullable_values_are_nan(frame):
    frame["u"] = frame["u"].astype("Float64")
    frame.iloc[0, 0] = pd.NA
    expected = walks(4)
    expected[0, 0, 0] = np.nan
    np.testing.assert_array_equal(as_panel(frame), expected)


def test_a_row_that_occurs_twice_is_named(frame):
    with pytest.raises(ValueError, match=r"more than one row for \(d, 0\): keep one"):
        check_container(frame.iloc[[0, *range(len(frame))]])


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        ("walk", ValueError, "X has the text 'walk' in column 'w'"),
        (pd.Timestamp("2026-01-01"), TypeError, r"X holds dates .* in column 'w'"),
        (pd.Timedelta("1D"), TypeError, r"X holds dates or durations .* in column 'w'"),
        (np.zeros(3), ValueError, r"X has cells that are no numbers .*pd\.Series in each cell"),
    ],
    ids=["text", "dates", "durations", "arrays"],
)
def test_cells_that_are_no_numbers_are_refused(cells, error, message, frame):
    column = pd.Series([cells] * len(frame), index=frame.index)
    with pytest.raises(error, match=message):
        as_panel(frame.assign(w=column))
