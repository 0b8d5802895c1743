"""Sets of the UCR archive, as pairs of .tsv files."""

from __future__ import annotations

import numpy as np
import pytest
from set_files import write_tsv

from fei_sklearn.datasets import datasets_in, load_dataset


@pytest.mark.parametrize("place", ["name", "folder", "train file", "test file"])
def test_a_set_is_read_from_its_name_its_folder_and_its_files(tmp_path, place):
    folder = tmp_path / "UCR" / "Coffee"
    train = "10\t1\t2.5\n-1\tNaN\t4\n9\t0\t0\n"
    write_tsv(folder, train, "9\t5\t6\n", name="Coffee")
    assert datasets_in(tmp_path, "classification") == ["UCR:Coffee"]
    places = {
        "name": "UCR:Coffee",
        "folder": folder,
        "train file": folder / "Coffee_TRAIN.tsv",
        "test file": folder / "Coffee_TEST.tsv",
    }
    dataset = load_dataset(places[place], tmp_path)
    expected = [[[1, 2.5]], [[np.nan, 4]], [[0, 0]]]
    np.testing.assert_array_equal(dataset.X_train, expected)
    assert dataset.y_train.tolist() == [2, 0, 1]
    assert dataset.y_test.tolist() == [1]
    assert dataset.classes.tolist() == [-1, 9, 10]


def test_padding_is_removed_and_lengths_may_differ(tmp_path):
    train = "1\t1\tNaN\t3\tNaN\n2\t4\tNaN\tNaN\tNaN\n"
    write_tsv(tmp_path, train, "1\t1\t2\tNaN\tNaN\n")
    dataset = load_dataset(tmp_path, paper_protocol=True)
    shapes = [series.shape for series in dataset.X_train]
    assert shapes == [(1, 3), (1, 1)]
    np.testing.assert_array_equal(dataset.X_train[0], [[1, np.nan, 3]])
    np.testing.assert_array_equal(dataset.X_test, [[[1, 2]]])


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("1\t2\t3\n1\t2\n", "1\t2\t3\n", "Pumps_TRAIN.tsv is damaged or cut short"),
        ("1\t2\t3\n", "1\tx\t3\n", "Pumps_TEST.tsv is damaged"),
        ("1\t2\t3\n", "2\t2\t3\n", "label 2 of y_test"),
        ("1\tNaN\tNaN\n", "1\t2\t3\n", "line 1 has no values"),
        ("1\n", "1\t2\t3\n", "has no series"),
        ("", "1\t2\t3\n", r"Pumps_TRAIN\.tsv is empty"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, train, test, message):
    write_tsv(tmp_path, train, test)
    with pytest.raises(ValueError, match=message):
        load_dataset(tmp_path)


def test_a_folder_of_two_sets_is_refused(tmp_path):
    write_tsv(tmp_path, "1\t2\n", "1\t2\n")
    write_tsv(tmp_path, "1\t2\n", "1\t2\n", name="Valves")
    with pytest.raises(ValueError, match=r"Pumps_TRAIN\.tsv and Valves_TRAIN\.tsv: name one"):
        load_dataset(tmp_path)


def test_a_missing_file_is_reported(tmp_path):
    write_tsv(tmp_path, "1\t2\n", "1\t2\n")
    (tmp_path / "Pumps_TEST.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no Pumps_TEST\.tsv in"):
        load_dataset("UCR:Pumps", tmp_path)
    (tmp_path / "Pumps_TRAIN.tsv").rename(tmp_path / "Pumps_TEST.tsv")
    with pytest.raises(FileNotFoundError, match=r"no Pumps_TRAIN\.tsv in"):
        load_dataset(tmp_path / "Pumps_TEST.tsv")


def test_a_training_file_may_be_alone(tmp_path):
    write_tsv(tmp_path, "1\t2\t3\n2\t4\t5\n", "1\t2\t3\n")
    (tmp_path / "Pumps_TEST.tsv").unlink()
    for place in (tmp_path, tmp_path / "Pumps_TRAIN.tsv"):
        dataset = load_dataset(place)
        assert len(dataset.X_train) == 2
        assert dataset.X_test is None


@pytest.mark.parametrize("separator", [",", "   ", "\t"])
def test_files_of_text_are_read(tmp_path, separator):
    for part in ("TRAIN", "TEST"):
        lines = [["  1.0e+00", "2", "3"], ["-1.0e+00", "NaN", "4"]]
        text = "\n".join(separator.join(line) for line in lines)
        (tmp_path / f"Pumps_{part}.txt").write_text(text)
    dataset = load_dataset(tmp_path / "Pumps_TRAIN.txt")
    assert dataset.classes.tolist() == [-1, 1]
    np.testing.assert_array_equal(dataset.X_test, [[[2, 3]], [[np.nan, 4]]])


def test_a_file_of_another_name_is_refused(tmp_path):
    (tmp_path / "Taps.ts").write_text("@data\n")
    with pytest.raises(ValueError, match="must end with _TRAIN"):
        load_dataset(tmp_path / "Taps.ts")


def test_a_byte_order_mark_is_left_out(tmp_path):
    write_tsv(tmp_path, "\ufeff1\t2\t3\n2\t4\t5\n", "\ufeff2\t2\t3\n")
    dataset = load_dataset(tmp_path)
    assert dataset.classes.tolist() == [1, 2]
    assert dataset.y_test.tolist() == [1]


def test_labels_may_be_text(tmp_path):
    write_tsv(tmp_path, "walk\t2\t3\nrun #1\t4\t5\n", "walk\t2\t3\n")
    dataset = load_dataset(tmp_path)
    assert dataset.classes.tolist() == ["run #1", "walk"]
    assert dataset.y_train.tolist() == [1, 0]
    np.testing.assert_array_equal(dataset.X_train, [[[2, 3]], [[4, 5]]])


def test_long_numbers_as_labels_stay_apart(tmp_path):
    write_tsv(tmp_path, f"{2**60}\t2\t3\n{2**60 + 1}\t4\t5\n", f"{2**60}\t2\t3\n")
    dataset = load_dataset(tmp_path)
    assert dataset.classes.tolist() == [str(2**60), str(2**60 + 1)]


def test_values_keep_their_precision(tmp_path):
    write_tsv(tmp_path, "1\t100000000.25\t3\n", "1\t2\t3\n")
    assert load_dataset(tmp_path).X_train[0, 0, 0] == 100000000.25


@pytest.mark.parametrize("value", ["inf", "-inf", "1e999"])
def test_an_infinite_value_is_named_with_its_line(tmp_path, value):
    write_tsv(tmp_path, f"1\t2\t3\n\n1\t2\t{value}\n", "1\t2\t3\n")
    with pytest.raises(ValueError, match=r"Pumps_TRAIN\.tsv, line 3 has the value -?inf"):
        load_dataset(tmp_path)


def test_a_line_without_a_label_is_refused(tmp_path):
    write_tsv(tmp_path, "1\t2\t3\n\t4\t5\n", "1\t2\t3\n")
    with pytest.raises(ValueError, match=r"Pumps_TRAIN\.tsv, line 2 has no label"):
        load_dataset(tmp_path)


def test_labels_with_an_underscore_are_text(tmp_path):
    write_tsv(tmp_path, "1_2\t2\t3\n12\t4\t5\n", "12\t2\t3\n")
    assert load_dataset(tmp_path).classes.tolist() == ["12", "1_2"]
