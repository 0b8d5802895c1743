"""Tables in .csv files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fei_sklearn.datasets import load_dataset

X = [[[1.5, 2.25]], [[3.0, np.nan]], [[-4.0, 1e8 + 0.25]]]
NAMED = "t0,state,t1\n1.5,walk,2.25\n3,run,\n-4,walk,100000000.25\n"


@pytest.fixture
def path(tmp_path):
    """Path of a file to write."""
    return tmp_path / "pumps.csv"


def load(path, text, label=None):
    path.write_text(text, encoding="utf-8")
    return load_dataset(path, label=label)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (NAMED, "state"),
        (NAMED.replace("state", "Label"), None),
        (NAMED.replace(",", ";"), "state"),
        (NAMED.replace(",", ";").replace(".", ","), "state"),
        (NAMED.replace(",", "\t").replace(".", ","), "state"),
        ("\ufeff" + NAMED, "state"),
        (NAMED.replace("\n", "\r\n") + "\r\n", "state"),
        (NAMED.split("\n", 1)[1], "1"),
        (NAMED.replace("t0", "0").replace("t1", "1"), "state"),
        (',0,1,state\n0,1.5,2.25,walk\n1,3,NA,"run"\n2,-4,100000000.25,walk\n', "state"),
    ],
)
def test_values_and_labels(path, text, label):
    dataset = load(path, text, label)
    lengths = [series.shape for series in dataset.X_train]
    assert lengths == [(1, 2), (1, 1), (1, 2)]
    for series, expected in zip(dataset.X_train, X, strict=True):
        np.testing.assert_array_equal(series[0], expected[0][: series.shape[1]])
    assert dataset.task == "classification"
    assert dataset.classes.tolist() == ["run", "walk"]
    assert dataset.y_train.tolist() == [1, 0, 1]


@pytest.mark.parametrize("text", ["1,2,3\n4,5,6\n", "0,1,2\n1,2,3\n4,5,6\n", "a,b,c\n1,2,3\n4,5,6"])
def test_a_file_without_labels_is_for_pretraining(path, text):
    dataset = load(path, text)
    assert dataset.task == "pretraining"
    np.testing.assert_array_equal(dataset.X_train[:, 0], [[1, 2, 3], [4, 5, 6]])


def test_numbers_with_a_point_are_targets(path):
    dataset = load(path, "a,b,life\n1,2,1700000003.5\n3,4,7\n", "life")
    assert dataset.task == "regression"
    assert dataset.y_train.tolist() == [1700000003.5, 7]


def test_two_files_are_two_parts(tmp_path):
    (tmp_path / "Pumps_TRAIN.csv").write_text("a,b,label\n1,2,on\n3,4,off\n")
    (tmp_path / "Pumps_TEST.csv").write_text("a,b,label\n5,6,on\n")
    dataset = load_dataset(tmp_path / "Pumps_TRAIN.csv")
    assert dataset.name == "Pumps"
    assert dataset.y_test.tolist() == [1]
    np.testing.assert_array_equal(dataset.X_test, [[[5, 6]]])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_parts_with_columns_in_another_order_are_refused(suffix, tmp_path):
    table = pd.DataFrame({"a": [1.0, 2.0], "label": [0, 1], "b": [3.0, 4.0]})
    reordered = table[["b", "a", "label"]]
    if suffix == "csv":
        table.to_csv(tmp_path / "Pumps_TRAIN.csv", index=False)
        reordered.to_csv(tmp_path / "Pumps_TEST.csv", index=False)
    else:
        table.to_parquet(tmp_path / "Pumps_TRAIN.parquet")
        reordered.to_parquet(tmp_path / "Pumps_TEST.parquet")
    with pytest.raises(ValueError, match=r"_TEST.*'b' where the training part has 'a'"):
        load_dataset(tmp_path / f"Pumps_TRAIN.{suffix}")


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (NAMED, "stat", "no column 'stat': did you mean 'state'"),
        (NAMED, None, "line 2 has 'walk' in column 'state', which is no number"),
        (NAMED + "1,walk\n", "state", "line 5 has 2 fields instead of 3"),
        (NAMED.replace("-4", "inf"), "state", "line 4 has an infinite value"),
        (NAMED.replace("run", ""), "state", "line 3 has no label"),
        (NAMED.replace("\n3,run,", "\n,run,"), "state", "line 3 has no values"),
        ("walk,1.5,2\nrun,3,4\n", None, "line 1 has the text 'walk' among numbers"),
        ("a,b\n", None, "no series"),
        ("", None, "is empty"),
        ("state\nwalk\n", "state", "no values beside its labels"),
        ('a,b\n1,"2\n', None, "is no table of text"),
        ('a,b\n"1,234",2\n', None, "line 2 has '1,234' in column 'a'"),
        ("a;b\n1.234,5;2\n", None, "line 2 has '1.234,5' in column 'a'"),
        ("a b\n1.5 2\n", None, "'1.5 2' in column 'a b', .*: put commas, semicolons or tabs"),
        (NAMED.replace("t1", "id"), "state", "has the column 'id', which would become"),
    ],
)
def test_a_damaged_table_is_refused(path, text, label, message):
    with pytest.raises(ValueError, match=rf"pumps\.csv.*{message}"):
        load(path, text, label)


def test_a_binary_file_is_refused(path):
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"is no text in UTF-8 .*: save it in UTF-8"):
        load_dataset(path)
