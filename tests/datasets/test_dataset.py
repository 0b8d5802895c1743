"""The Dataset class, and the checks that all readers share."""

from __future__ import annotations

import numpy as np
import pytest
from set_files import write_npz

from fei_sklearn.datasets import Dataset, load_dataset
from fei_sklearn.datasets._dataset import Part, assemble


def test_labels_become_codes_in_sorted_order(tmp_path):
    y = np.array(["b", "c", "a", "a", "b", "c"])
    write_npz(tmp_path, y_train=y, y_val=y[:4], y_test=None)
    dataset = load_dataset("pumps", tmp_path)
    assert dataset.y_train.tolist() == [1, 2, 0, 0, 1, 2]
    assert dataset.y_test is None
    assert dataset.classes.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": np.zeros(5, int)}, r"6 series, but y_train 5"),
        ({"X_test": np.zeros((5, 3, 9))}, r"2 channels and one of X_test 3"),
        ({"y_test": np.array([0, 1, 7, 0, 1])}, r"label 7 of y_test .* 0, 1"),
        ({"X_train": np.array(["x"] * 6)}, r"X_train holds <U1"),
        ({"X_train": np.zeros((6, 2, 9, 1))}, r"shape \(6, 2, 9, 1\)"),
        ({"X_train": np.zeros((0, 2, 9))}, r"X_train has no series"),
        ({"class_names": np.array(["off"])}, r"names 1 classes"),
        ({"y_train": np.array([0.5, 1, 2, 3, 4, np.nan])}, r"y_train has a target"),
        ({"groups_train": np.zeros(2)}, r"groups_train 2 values"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path, change, message):
    write_npz(tmp_path, **change)
    with pytest.raises(ValueError, match=rf"pumps\.npz.*{message}"):
        load_dataset("pumps", tmp_path)


def test_a_pretraining_set_has_no_labels(tmp_path):
    write_npz(tmp_path, "sleep_eeg_ucddb.npz", n_channels=1, subject_train=np.arange(6))
    dataset = load_dataset("SLE-UCDDB", tmp_path)
    assert dataset.task == "pretraining"
    assert dataset.y_train is None
    assert dataset.y_test is None
    assert len(dataset.groups_train) == 6
    assert load_dataset("sleep_eeg_ucddb", tmp_path).y_train is not None


def test_several_targets_keep_their_columns_and_one_column_is_flattened():
    X = np.zeros((4, 9))
    two = assemble("a", "regression", {"train": Part(X, np.ones((4, 2)))}, "a.npz")
    one = assemble("a", "regression", {"train": Part(X, np.ones((4, 1)))}, "a.npz")
    assert two.y_train.shape == (4, 2)
    assert one.y_train.shape == (4,)


def test_a_set_without_training_series_or_labels_is_refused():
    X = np.zeros((4, 9))
    with pytest.raises(ValueError, match=r"a\.npz has no training series"):
        assemble("a", "classification", {"test": Part(X)}, "a.npz")
    with pytest.raises(ValueError, match="no training labels for classification"):
        assemble("a", "classification", {"train": Part(X)}, "a.npz")


def test_the_representation_shows_the_range_of_lengths():
    X = [np.zeros((2, 5), np.float32), np.zeros((2, 8), np.float32)]
    dataset = Dataset("a", "pretraining", X)
    assert repr(dataset) == "Dataset('a', pretraining, train=(2, 2, 5..8))"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.float16, np.float32),
        (np.int64, np.float64),
        (np.int16, np.float32),
    ],
)
def test_series_keep_the_precision_of_the_file(given, kept):
    X = (1000 + np.arange(36).reshape(4, 9)).astype(given)
    dataset = assemble("a", "pretraining", {"train": Part(X)}, "a.npz")
    assert dataset.X_train.dtype == kept
    np.testing.assert_array_equal(dataset.X_train[:, 0], X)


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_large_targets_stay_apart(dtype):
    y = (1.7e9 + 3 * np.arange(60)).astype(dtype)
    dataset = assemble("a", "regression", {"train": Part(np.zeros((60, 9)), y)}, "a.npz")
    assert dataset.y_train.dtype == np.float64
    np.testing.assert_array_equal(dataset.y_train, y)


def test_large_labels_stay_apart():
    X = np.zeros((3, 9))
    y = np.array([1e300, 2e300, 1e300])
    dataset = assemble("a", "classification", {"train": Part(X, y)}, "a.npz")
    assert dataset.y_train.tolist() == [0, 1, 0]
    assert dataset.classes.tolist() == [1e300, 2e300]


def test_labels_of_bytes_become_text():
    y = np.array([b"run", b"walk"])
    dataset = assemble("a", "classification", {"train": Part(np.zeros((2, 9)), y)}, "a.npz")
    assert dataset.classes.tolist() == ["run", "walk"]
