"""Windows of series: known values, lengths, and panels with exogenous variables."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from fei_sklearn.adapters import _windows
from fei_sklearn.adapters._windows import (
    append_observations,
    check_observations,
    check_window_length,
    fitting_length,
    longest_window,
    refuse_gaps,
    relative_windows,
    sliding_windows,
    stack_each_series,
    thinned_windows,
)

MONTHS = pd.period_range("2000-01", periods=5, freq="M")
DAYS = pd.date_range("2000-01-01", periods=6)._with_freq(None)


def test_windows_are_all_those_of_the_series():
    series = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    windows = sliding_windows(series, 3)
    assert windows.tolist() == [[[1, 2, 3], [5, 6, 7]], [[2, 3, 4], [6, 7, 8]]]


def test_windows_are_relative_to_their_last_value_in_units_of_their_deviation():
    windows = np.array([[[1.0, 3.0], [5.0, 5.0]]])
    assert relative_windows(windows).tolist() == [[[-2.0, 0.0], [0.0, 0.0]]]


def test_windows_are_thinned_over_all_series(monkeypatch):
    monkeypatch.setattr(_windows, "MAX_WINDOWS", 4)
    series = [np.arange(6.0)[np.newaxis], 10 + np.arange(5.0)[np.newaxis]]
    # 5 and 4 windows, of which every third is taken, counted on from one series to the next
    assert thinned_windows(series, 2)[:, 0, 0].tolist() == [0, 3, 11]
    assert thinned_windows(series[:1], 2, n_rows_per_window=2)[:, 0, 0].tolist() == [0, 3]
    assert thinned_windows(series[1:], 2)[:, 0, 0].tolist() == [10, 11, 12, 13]


def test_windows_are_thinned_before_they_are_copied():
    series = np.zeros((1, 60_000))
    tracemalloc.start()
    panel = thinned_windows([series], 500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(panel) <= _windows.MAX_WINDOWS
    assert peak < 1.1 * panel.nbytes


@pytest.mark.parametrize(
    ("preferred", "n_timepoints", "horizon", "length"),
    [(12, 100, 6, 12), (12, 20, 4, 8), (12, 8, 4, 2), (1, 100, 6, 2), (12, 10, 5, 2)],
)
def test_windows_of_short_series_are_shorter(preferred, n_timepoints, horizon, length):
    assert fitting_length(preferred, n_timepoints, horizon) == length


def test_at_least_three_windows_have_known_targets():
    assert longest_window(8, 4) == 2
    check_window_length(14, 20, 4)
    with pytest.raises(ValueError, match=r"window_length=15 leaves fewer than 3 .* at most 14"):
        check_window_length(15, 20, 4)
    with pytest.raises(ValueError, match=r"7 time points, too few for a horizon of 4: .* 8, or"):
        longest_window(7, 4)


def test_each_column_of_a_panel_is_a_series_above_its_exogenous_variables():
    index = pd.MultiIndex.from_product([["a", "b"], range(2)])
    y = pd.DataFrame({"u": [1, 2, 3, 4], "v": [5, 6, 7, 8]}, index=index)
    X = pd.DataFrame({"x": [9, 10, 11, 12]}, index=index)
    stacked = [series.tolist() for series in stack_each_series(y, X)]
    assert stacked == [[[1, 2], [9, 10]], [[5, 6], [9, 10]], [[3, 4], [11, 12]], [[7, 8], [11, 12]]]


def test_a_new_observation_replaces_the_old_one_of_its_time():
    old = pd.Series([1.0, 2.0, 3.0], index=MONTHS[:3])
    new = pd.Series([5.0, 4.0], index=MONTHS[[3, 2]])
    appended = append_observations(old, new)
    pd.testing.assert_series_equal(appended, pd.Series([1.0, 2.0, 4.0, 5.0], index=MONTHS[:4]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("y", "y holds inf at 2000-03: replace it"),
        ("X", "X holds nan in column 'x' at 2000-03: replace it"),
        ("index", "X lacks 1 of the 5 time points of y, such as 2000-05: give"),
    ],
)
def test_observations_that_a_head_cannot_use_are_named(change, sentence):
    y = pd.Series(np.arange(5.0), index=MONTHS)
    X = y.to_frame("x")
    if change == "y":
        y = y.where(y != 2, np.inf)
    elif change == "X":
        X = X.where(X != 2)
    else:
        X = X.iloc[:-1]
    with pytest.raises(ValueError, match=f"^{sentence}"):
        check_observations(y, X)


def test_gaps_are_refused_where_the_next_time_point_is_known():
    with pytest.raises(ValueError, match=r"^y has no value between 2000-02 and 2000-05: give"):
        refuse_gaps(MONTHS[[0, 1, 4]])
    with pytest.raises(ValueError, match=r"^y has no value between 2 and 9: give the values"):
        refuse_gaps(pd.Index([1, 2, 9]))
    for index in (
        MONTHS[:1],
        pd.RangeIndex(5),
        pd.date_range("2000", periods=3),
    ):
        refuse_gaps(index)
    refuse_gaps(pd.bdate_range("2000-01-01", periods=9))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (MONTHS[[0, 2, 4]], "no value between 2000-01 and 2000-03, nor between later"),
        (pd.Index([3, 5, 7]), "no value between 3 and 5, nor between later"),
        (MONTHS[[0, 1, 1]], "several values at 2000-02: give one of them"),
        (DAYS[[0, 0, 1]], "several values at 2000-01-01 00:00:00"),
        (DAYS[[0, 1, 2, 4, 5]], "dates at no regular distance, such as none between 2000-01-03"),
        (pd.to_timedelta([0, 1, 2], unit="h"), "indexed by durations, such as 0 days 00:00:00"),
    ],
)
def test_an_index_along_which_no_step_leads_is_refused(index, message):
    with pytest.raises(ValueError, match=f"^y (has|is) {message}"):
        refuse_gaps(index)


@pytest.mark.parametrize("frequency", ["D", "W", "B", "MS", "ME", "QE", "2h", "YS"])
@pytest.mark.parametrize("timezone", [None, "Europe/Berlin"])
def test_dates_of_a_frequency_need_not_name_it(frequency, timezone):
    index = pd.date_range("2000-01-01", periods=150, freq=frequency, tz=timezone)
    refuse_gaps(index)
    refuse_gaps(index._with_freq(None))
