"""The .ts format of the UEA, UCR and TSER archives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from set_files import TS_HEADER, write_ts

from fei_sklearn.datasets import load_dataset


def test_a_set_is_read_with_missing_values_and_unequal_lengths(tmp_path):
    train = TS_HEADER + "@data\n1,2,?:4,5,6:10\n\n7,8:9,0:9\n"
    test = TS_HEADER + "@data\n1,2:3,4:9\n"
    dataset = load_dataset(write_ts(tmp_path, train, test))
    np.testing.assert_array_equal(dataset.X_train[0], [[1, 2, np.nan], [4, 5, 6]])
    np.testing.assert_array_equal(dataset.X_train[1], [[7, 8], [9, 0]])
    assert dataset.y_train.tolist() == [1, 0]
    assert dataset.classes.tolist() == [9, 10]
    assert dataset.X_test.shape == (1, 2, 2)


def test_the_header_decides_the_task(tmp_path):
    path = write_ts(tmp_path, "@targetLabel true\n@data\n1,2:0.5\n3,4:-2\n")
    assert load_dataset(path).y_train.tolist() == [0.5, -2]
    path = write_ts(tmp_path, "@classLabel true off on\n@data\n1,2:on\n3,4:off\n")
    assert load_dataset(path).classes.tolist() == ["off", "on"]
    path = write_ts(tmp_path, "@classLabel false\n@data\n1,2\n3,4\n")
    assert load_dataset(path).task == "pretraining"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TS_HEADER, "no line @data"),
        (TS_HEADER + "@data\n", "no case"),
        (TS_HEADER + "@data\n1,2:10\n1,2\n", "line 7 is malformed or cut short"),
        (TS_HEADER + "@data\n1,2:3:10\n", "line 6 is malformed"),
        (TS_HEADER + "@data\n1,x:10\n", "line 6 is malformed"),
        (TS_HEADER + "@data\n1,-inf:10\n", "line 6 has an infinite value"),
        (TS_HEADER + "@data\n1,2:10\n1,2:1,2:10\n", "of 1 and of 2 channels"),
        (TS_HEADER + "@equalLength true\n@data\n1,2:10\n1,2,3:9\n", "some of 2 and of 3 points"),
        (TS_HEADER.replace("false", "true") + "@data\n(0,1):10\n", "has time stamps"),
        ("@targetLabel true\n@data\n1,2:high\n", "targets that are not numbers"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    path = write_ts(tmp_path, content)
    with pytest.raises(ValueError, match=message):
        load_dataset(path)


@pytest.mark.parametrize("name", ["JapaneseVowels", "GunPoint", "Covid3Month"])
def test_sktime_reads_the_same_series(name):
    package = Path(importlib.util.find_spec("sktime").origin).parent
    folder = package / "datasets" / "data" / name
    if not folder.is_dir():
        pytest.skip(f"sktime came without {name}")
    from sktime.datasets import load_from_tsfile

    dataset = load_dataset(folder)
    frame, y = load_from_tsfile(str(folder / f"{name}_TEST.ts"))
    assert len(frame) == len(dataset.X_test)
    for i in (0, 1, len(frame) - 1):
        channels = [frame.iloc[i, channel] for channel in range(frame.shape[1])]
        np.testing.assert_allclose(dataset.X_test[i], np.stack(channels), rtol=1e-6)
    labels = dataset.y_test
    if dataset.task == "classification":
        labels = dataset.classes[labels]
    np.testing.assert_allclose(labels, y.astype(float), rtol=1e-6)


def test_a_byte_order_mark_is_left_out(tmp_path):
    path = write_ts(tmp_path, "\ufeff@classLabel true 1 2\n@data\n1,2:1\n3,4:2\n")
    assert load_dataset(path).task == "classification"
