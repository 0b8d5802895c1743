"""Labelled sets: which are chosen, and which cannot be evaluated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny_sets import arrays, dataset, sines, write

from fei_sklearn.evaluation import sets
from fei_sklearn.evaluation.sets import SetError, SetOptions, choose_sets, load_task


def test_all_sets_of_a_folder(folder):
    write(folder, "target", arrays(regression=True))
    chosen = choose_sets(folder, None, None)
    assert list(chosen) == ["a", "b", "target"]
    chosen = choose_sets(folder, None, "regression")
    assert list(chosen) == ["target"]


def test_names_patterns_paths_and_loaded_sets(folder, tmp_path):
    path = write(tmp_path, "c")
    loaded = dataset("d")
    chosen = choose_sets(folder, ["[ab]", path, loaded, "epi"], None)
    assert chosen == {
        "a": "a",
        "b": "b",
        "c": path,
        "d": loaded,
        "EPI": "EPI",
    }


def test_one_set_may_be_named_twice_but_two_sets_need_two_names(folder):
    chosen = choose_sets(folder, ["a", "a", "*"], None)
    assert list(chosen) == ["a", "b"]
    with pytest.raises(ValueError, match="two sets of the name 'd'"):
        choose_sets(None, [dataset("d"), dataset("d")], None)


def test_missing_folders_and_sets_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        choose_sets(tmp_path / "absent", None, None)
    with pytest.raises(ValueError, match="Neither data nor sets"):
        choose_sets(None, None, None)
    with pytest.raises(ValueError, match="no regression sets in"):
        choose_sets(folder, None, "regression")
    with pytest.raises(ValueError, match="matches 'c\\*'"):
        choose_sets(folder, ["c*"], None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.zeros(40, int), "y_test": np.zeros(20, int)}, "only the class 0"),
        ({"y_test": np.full(20, 5)}, "class 5 in its test part and not in its training part"),
        ({"X_test": None, "y_test": None}, "no test part"),
        ({"task": "pretraining"}, "no labels"),
        ({"X_train": np.full((40, 1, 24), np.nan, np.float32)}, "only missing values"),
    ],
)
def test_sets_that_cannot_be_evaluated(changes, message):
    with pytest.raises(SetError, match=message):
        load_task(dataset(**changes), SetOptions())


def test_a_set_of_the_other_task_is_refused():
    with pytest.raises(SetError, match="'sines' is a classification set"):
        load_task(dataset(), SetOptions(task="regression"))


def test_an_error_without_a_message_is_named_by_its_class(monkeypatch):
    def fail(X):
        raise MemoryError

    monkeypatch.setattr(sets, "as_panel", fail)
    with pytest.raises(SetError, match=r"^MemoryError$"):
        load_task(dataset(), SetOptions())


def test_validation_and_test_parts_are_standardised_by_the_training_part():
    X_val, y_val = sines(6, seed=2)
    data = dataset(X_val=X_val, y_val=y_val)
    task = load_task(data, SetOptions(per_time_index=True))
    mean = data.X_train.mean(axis=0)
    std = data.X_train.std(axis=0)
    assert_allclose(task.X_train, (data.X_train - mean) / std, atol=1e-4)
    assert_allclose(task.X_val, (X_val - mean) / std, atol=1e-4)
    assert_allclose(task.X_test, (data.X_test - mean) / std, atol=1e-4)


def test_a_limit_of_series_keeps_rows_together():
    groups = np.arange(40)
    data = dataset(groups_train=groups)
    task = load_task(data, SetOptions(most=10))
    assert len(task.X_train) == 10
    assert_array_equal(task.X_train, data.X_train[task.groups])
    assert_array_equal(task.y_train, data.y_train[task.groups])
    assert len(task.X_test) == 20


def test_messages_name_labels_and_not_codes():
    y = np.zeros(40, int)
    data = dataset(y_train=y, y_test=y[:20], classes=np.array(["walk"]))
    with pytest.raises(SetError, match="only the class walk"):
        load_task(data, SetOptions())
