"""Columns of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fei_sklearn.datasets._columns import (
    check_same_columns,
    label_position,
    read_labels,
    refuse_other_columns,
)

PATH = Path("pumps.csv")


@pytest.mark.parametrize(
    ("names", "label", "position"),
    [
        (["a", "state"], "state", 1),
        (["Class", "a"], None, 0),
        (["a", "b"], None, None),
        (["label", "class"], "class", 1),
    ],
)
def test_a_column_is_found(names, label, position):
    assert label_position(names, label, PATH) == position


@pytest.mark.parametrize(
    ("names", "label", "message"),
    [
        (["a", "state"], "stat", "no column 'stat': did you mean 'state'"),
        (["a", "b"], "zzz", "its columns are a, b"),
        (["label", "class"], None, "several columns of labels, 'label' and 'class'"),
        (["x", "x"], "x", "several columns of labels"),
    ],
)
def test_a_missing_column_is_named(names, label, message):
    with pytest.raises(ValueError, match=message):
        label_position(names, label, PATH)


@pytest.mark.parametrize(
    ("texts", "expected", "task"),
    [
        (["2", "10"], [2, 10], "classification"),
        (["2.0", "10"], [2.0, 10.0], "regression"),
        (["walk", "1"], ["walk", "1"], "classification"),
        (["01", "1"], ["01", "1"], "classification"),
        (["1_2", "12"], ["1_2", "12"], "classification"),
        (["0.5", "-0.25", "0"], [0.5, -0.25, 0], "regression"),
        ([str(2**70), "1"], [2.0**70, 1.0], "regression"),
    ],
)
def test_labels_are_numbers_if_all_are(texts, expected, task):
    labels, found = read_labels(texts)
    np.testing.assert_array_equal(labels, expected)
    assert found == task


@pytest.mark.parametrize("name", ["id", "Time", "date", "y"])
def test_a_column_that_is_no_time_point_is_named(name):
    with pytest.raises(ValueError, match=f"pumps.csv has the column '{name}', which would become"):
        refuse_other_columns(["t0", name, "t1"], PATH)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b", "c"], ["a", "b"]),
        (["a", "b"], ["a", "b", "c"]),
        (["2020", "2021"], ["2021", "2022"]),
        (["a", "b"], []),
    ],
)
def test_parts_may_have_other_names_or_a_later_end(train, test):
    check_same_columns(train, test, PATH)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (["a", "b", "c"], ["c", "b", "a"], "'c' where the training part has 'a'"),
        (["a", "b", "c"], ["a", "c"], "'c' where the training part has 'b'"),
        (["a", "c"], ["a", "b", "c"], "'b' where the training part has 'c'"),
    ],
)
def test_columns_at_other_positions_are_named(train, test, message):
    with pytest.raises(ValueError, match=f"pumps.csv has the column {message}"):
        check_same_columns(train, test, PATH)
