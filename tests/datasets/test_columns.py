"""Columns of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fei_sklearn.datasets._columns import label_position, read_labels

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
