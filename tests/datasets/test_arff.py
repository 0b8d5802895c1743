"""Tables in .arff files."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.datasets import load_dataset

NUMBERS = "@relation p\n@attribute a numeric\n@attribute b real\n"
CLASSES = NUMBERS + "@attribute state {run,walk}\n@data\n1,100000000.25,walk\n?,3,run\n"
CHANNELS = """@relation p
@attribute series relational
 @attribute t0 numeric
 @attribute t1 numeric
@end series
@attribute state {1.0,2.0}
@data
"1,2\\n3,4",2.0
"5,6\\n7,?",1.0
"""


@pytest.fixture
def path(tmp_path):
    """Path of a file to write."""
    return tmp_path / "pumps.arff"


def test_numeric_attributes_are_time_points(path):
    path.write_text("\ufeff" + CLASSES, encoding="utf-8")
    dataset = load_dataset(path)
    np.testing.assert_array_equal(dataset.X_train, [[[1, 100000000.25]], [[np.nan, 3]]])
    assert dataset.classes.tolist() == ["run", "walk"]
    assert dataset.y_train.tolist() == [1, 0]


def test_texts_beyond_ascii_are_labels_and_names(path):
    header = NUMBERS.replace("attribute a", "attribute größe")
    path.write_text(header + "@attribute état {läuft,'日 本'}\n@data\n1,2,'日 本'\n3,4,läuft\n")
    dataset = load_dataset(path, label="état")
    assert dataset.classes.tolist() == ["läuft", "日 本"]
    assert dataset.y_train.tolist() == [1, 0]
    np.testing.assert_array_equal(dataset.X_train[:, 0], [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="no column 'grösse': did you mean 'größe'"):
        load_dataset(path, label="grösse")


def test_a_relational_attribute_has_channels(path):
    path.write_text(CHANNELS)
    dataset = load_dataset(path)
    np.testing.assert_array_equal(dataset.X_train, [[[1, 2], [3, 4]], [[5, 6], [7, np.nan]]])
    assert dataset.classes.tolist() == [1, 2]
    assert dataset.y_train.tolist() == [1, 0]


def test_two_files_are_two_parts(tmp_path):
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"GunPoint_{part}.arff").write_text(CLASSES)
    assert load_dataset("UCR:GunPoint", tmp_path).X_test.shape == (2, 1, 2)


def test_numeric_labels_are_targets(path):
    path.write_text(NUMBERS + "@attribute life numeric\n@data\n1,2,0.5\n3,4,7\n")
    dataset = load_dataset(path, label="life")
    assert dataset.task == "regression"
    assert dataset.y_train.tolist() == [0.5, 7]
    assert load_dataset(path).X_train.shape == (2, 1, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CLASSES[:-12], "is damaged"),
        (NUMBERS, "is damaged|no case"),
        ("hello", "is damaged|no case"),
        (NUMBERS + "@attribute c string\n@data\n1,2,x\n", "Leave the attribute out"),
        (CLASSES.replace(",run\n", ",?\n"), "case 2 has no label"),
        (
            NUMBERS + "@attribute c {1,2}\n@attribute d {1,2}\n@data\n1,2,1,1\n",
            "attribute 'c' is nominal instead of numeric",
        ),
    ],
)
def test_a_damaged_file_is_refused(path, content, message):
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_dataset(path)
