"""Tables in .parquet files."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from fei_sklearn.datasets import load_dataset

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def load(tmp_path, columns, label=None, **options):
    frame = pd.DataFrame(columns, **options)
    frame.to_parquet(tmp_path / "pumps.parquet")
    return load_dataset(tmp_path / "pumps.parquet", label=label)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "Float64"])
def test_columns_of_numbers_are_time_points(tmp_path, dtype):
    columns = {"a": pd.array([1, 3], dtype), "b": pd.array([2, 4], dtype), "state": ["on", "off"]}
    dataset = load(tmp_path, columns, "state", index=["x", "y"])
    np.testing.assert_array_equal(dataset.X_train, [[[1, 2]], [[3, 4]]])
    assert dataset.X_train.dtype == (np.float32 if dtype == "float32" else np.float64)
    assert dataset.classes.tolist() == ["off", "on"]
    assert dataset.y_train.tolist() == [1, 0]


def test_missing_values_are_nan(tmp_path):
    columns = {"a": pd.array([None, 3], "Int64"), "b": [2.0, 4.0]}
    dataset = load(tmp_path, columns)
    assert dataset.task == "pretraining"
    np.testing.assert_array_equal(dataset.X_train, [[[np.nan, 2]], [[3, 4]]])


def test_columns_of_lists_are_channels(tmp_path):
    columns = {"v": [[1.0, 2.0, 3.0], [4.0, 5.0]], "u": [[1, 1, 1], [2, 2]], "label": [7, 9]}
    dataset = load(tmp_path, columns)
    np.testing.assert_array_equal(dataset.X_train[0], [[1, 2, 3], [1, 1, 1]])
    np.testing.assert_array_equal(dataset.X_train[1], [[4, 5], [2, 2]])
    assert dataset.classes.tolist() == [7, 9]


def test_floats_are_targets(tmp_path):
    dataset = load(tmp_path, {"a": [1.0, 2.0], "b": [1.0, 2.0], "life": [1.7e9, 3.0]}, "life")
    assert dataset.task == "regression"
    assert dataset.y_train.tolist() == [1.7e9, 3.0]


@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        ({"a": [1.0], "b": ["x"]}, None, "column 'b' holds"),
        ({"a": [1.0], "label": [None]}, None, "row 1 has no label"),
        ({"v": [[1.0, 2.0]], "u": [[1.0]]}, None, "row 1 has lists of 2, 1 values"),
        ({"a": pd.to_datetime(["2020-01-01"])}, None, "column 'a' holds datetime"),
        ({"label": [1]}, None, "has no series"),
        ({"a": [np.inf], "b": [1.0]}, None, "infinite"),
        ({"a": [1.0], "b": [[1.0, 2.0]]}, None, "columns of numbers beside columns of lists"),
    ],
)
def test_other_columns_are_refused(tmp_path, columns, label, message):
    with pytest.raises(ValueError, match=rf"pumps\.parquet.*{message}"):
        load(tmp_path, columns, label)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "pumps.parquet"
    pd.DataFrame({"a": [1.0]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="is damaged or no Parquet file"):
        load_dataset(path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    pd.DataFrame({"a": [1.0]}).to_parquet(tmp_path / "pumps.parquet")
    whole_import = builtins.__import__

    def without_pyarrow(name, *args, **kwargs):
        if name == "pyarrow":
            raise ImportError("no", name=name)
        return whole_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        load_dataset(tmp_path / "pumps.parquet")
