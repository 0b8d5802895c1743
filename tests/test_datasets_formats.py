"""Published formats of classification sets: TF-C's .pt, the archives' .tsv and .ts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from fei_sklearn.datasets import datasets_in, load_dataset


def write_tfc(folder, labels=(0.0, 1.0, 1.0), **sizes):
    folder.mkdir()
    samples = {}
    for part, n in (sizes or {"train": 3, "val": 2, "test": 3}).items():
        samples[part] = torch.randn(n, 2, 200, dtype=torch.float64)
        content = {"samples": samples[part], "labels": torch.tensor(labels)[:n]}
        torch.save(content, folder / f"{part}.pt")
    return samples


def test_a_tfc_folder_comes_back(tmp_path):
    samples = write_tfc(tmp_path / "Gesture")
    assert datasets_in(tmp_path) == ["GES"]
    for dataset in load_dataset("GES", tmp_path), load_dataset(tmp_path / "Gesture"):
        assert (dataset.task, dataset.y_train.tolist()) == ("classification", [0, 1, 1])
        assert dataset.y_train.dtype == np.int64
        for part in samples:
            X = getattr(dataset, f"X_{part}")
            np.testing.assert_array_equal(X, samples[part].numpy().astype(np.float32))
    paper = load_dataset("GES", tmp_path, paper_protocol=True)  # the published parts stay
    np.testing.assert_array_equal(paper.X_train, dataset.X_train[:, :1, :178])


def test_fractions_are_targets_and_sle_has_no_labels(tmp_path):
    write_tfc(tmp_path / "OPA", labels=(1.0, 0.5, 0.0))
    assert load_dataset(tmp_path / "OPA").task == "regression"
    write_tfc(tmp_path / "SleepEEG", train=3, val=2)
    dataset = load_dataset("SLE", tmp_path)
    assert (dataset.task, dataset.y_train, dataset.X_test) == ("pretraining", None, None)


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("harm"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"samples": Harmful()}, "more than tensors"),
        (torch.zeros(3), "Tensor instead of a dict"),
        ({"x": torch.zeros(3)}, r"\['x'\] instead of a dict"),
        ({"samples": [1, 2]}, "'samples' is a list"),
        ({"samples": torch.zeros(2, 1, 5), "labels": torch.zeros(1)}, "2 series, but y_train 1"),
    ],
)
def test_other_content_of_pt_files_is_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    write_tfc(tmp_path / "EMG")
    torch.save(content, tmp_path / "EMG" / "train.pt")
    with pytest.raises(ValueError, match=f"EMG.*{message}"):
        load_dataset("EMG", tmp_path)
    assert not Path("harm").exists()


@pytest.mark.parametrize("keep", [0, 10, 900])
def test_a_pt_file_cut_short_is_refused(tmp_path, keep):
    write_tfc(tmp_path / "EMG")
    path = tmp_path / "EMG" / "test.pt"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"test\.pt is damaged"):
        load_dataset("EMG", tmp_path)


def write_tsv(folder, train, test, name="Pumps"):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}_TRAIN.tsv").write_text(train)
    (folder / f"{name}_TEST.tsv").write_text(test)


def test_a_tsv_set_comes_back(tmp_path):
    write_tsv(
        tmp_path / "UCR" / "Coffee", "10\t1\t2.5\n-1\tNaN\t4\n9\t0\t0\n", "9\t5\t6\n", "Coffee"
    )
    assert datasets_in(tmp_path, "classification") == ["UCR:Coffee"]
    folder = tmp_path / "UCR" / "Coffee"
    places = ["UCR:Coffee", folder, folder / "Coffee_TRAIN.tsv", folder / "Coffee_TEST.tsv"]
    for place in places:
        dataset = load_dataset(place, tmp_path)
        np.testing.assert_array_equal(dataset.X_train, [[[1, 2.5]], [[np.nan, 4]], [[0, 0]]])
        assert dataset.y_train.tolist() == [2, 0, 1]
        assert (dataset.y_test.tolist(), dataset.classes.tolist()) == ([1], [-1, 9, 10])


def test_padding_is_taken_off_and_lengths_may_differ(tmp_path):
    write_tsv(tmp_path, "1\t1\tNaN\t3\tNaN\n2\t4\tNaN\tNaN\tNaN\n", "1\t1\t2\tNaN\tNaN\n")
    dataset = load_dataset(tmp_path, paper_protocol=True)
    assert [series.shape for series in dataset.X_train] == [(1, 3), (1, 1)]
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
def test_a_damaged_tsv_is_refused(tmp_path, train, test, message):
    write_tsv(tmp_path, train, test)
    with pytest.raises(ValueError, match=message):
        load_dataset(tmp_path)


def test_missing_and_doubled_files(tmp_path):
    write_tsv(tmp_path, "1\t2\n", "1\t2\n")
    write_tsv(tmp_path, "1\t2\n", "1\t2\n", "Valves")
    with pytest.raises(ValueError, match=r"Pumps_TRAIN\.tsv and Valves_TRAIN\.tsv: name one"):
        load_dataset(tmp_path)
    (tmp_path / "Pumps_TEST.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no Pumps_TEST\.tsv in"):
        load_dataset(tmp_path / "Pumps_TRAIN.tsv")
    (tmp_path / "Taps.ts").write_text("@data\n")
    with pytest.raises(ValueError, match="must end with _TRAIN"):
        load_dataset(tmp_path / "Taps.ts")


HEADER = "# made up\n@problemName Pumps\n@timeStamps false\n@classLabel true 10 9\n"


def write_ts(folder, train, test=None):
    (folder / "Pumps_TRAIN.ts").write_text(train)
    (folder / "Pumps_TEST.ts").write_text(test or train)
    return folder / "Pumps_TRAIN.ts"


def test_a_ts_set_comes_back(tmp_path):
    path = write_ts(
        tmp_path,
        HEADER + "@data\n1,2,?:4,5,6:10\n\n7,8:9,0:9\n",
        HEADER + "@data\n1,2:3,4:9\n",
    )
    dataset = load_dataset(path)
    np.testing.assert_array_equal(dataset.X_train[0], [[1, 2, np.nan], [4, 5, 6]])
    np.testing.assert_array_equal(dataset.X_train[1], [[7, 8], [9, 0]])
    assert (dataset.y_train.tolist(), dataset.classes.tolist()) == ([1, 0], [9, 10])
    assert dataset.X_test.shape == (1, 2, 2)


def test_targets_and_words_in_ts(tmp_path):
    path = write_ts(tmp_path, "@targetLabel true\n@data\n1,2:0.5\n3,4:-2\n")
    assert load_dataset(path).y_train.tolist() == [0.5, -2]
    path = write_ts(tmp_path, "@classLabel true off on\n@data\n1,2:on\n3,4:off\n")
    assert load_dataset(path).classes.tolist() == ["off", "on"]
    path = write_ts(tmp_path, "@classLabel false\n@data\n1,2\n3,4\n")
    assert load_dataset(path).task == "pretraining"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER, "no line @data"),
        (HEADER + "@data\n", "no case"),
        (HEADER + "@data\n1,2:10\n1,2\n", "line 7 is malformed or cut short"),
        (HEADER + "@data\n1,2:3:10\n", "line 6 is malformed"),
        (HEADER + "@data\n1,x:10\n", "line 6 is malformed"),
        (HEADER + "@data\n1,2:10\n1,2:1,2:10\n", "of 1 and of 2 channels"),
        (HEADER + "@equalLength true\n@data\n1,2:10\n1,2,3:9\n", "some of 2 and of 3 points"),
        (HEADER.replace("false", "true") + "@data\n(0,1):10\n", "has time stamps"),
        ("@targetLabel true\n@data\n1,2:high\n", "targets that are not numbers"),
    ],
)
def test_a_damaged_ts_is_refused(tmp_path, content, message):
    path = write_ts(tmp_path, content)
    with pytest.raises(ValueError, match=message):
        load_dataset(path)


@pytest.mark.parametrize("name", ["JapaneseVowels", "GunPoint", "Covid3Month"])
def test_ts_reads_what_sktime_reads(name):
    folder = Path(importlib.util.find_spec("sktime").origin).parent / "datasets" / "data" / name
    if not folder.is_dir():
        pytest.skip(f"sktime came without {name}")
    from sktime.datasets import load_from_tsfile

    dataset = load_dataset(folder)
    regression = dataset.task == "regression"
    frame, y = load_from_tsfile(str(folder / f"{name}_TEST.ts"))
    assert len(frame) == len(dataset.X_test)
    for i in (0, 1, len(frame) - 1):
        theirs = np.stack([frame.iloc[i, channel] for channel in range(frame.shape[1])])
        np.testing.assert_allclose(dataset.X_test[i], theirs, rtol=1e-6)
    ours = dataset.y_test if regression else dataset.classes[dataset.y_test]
    np.testing.assert_allclose(ours, y.astype(float), rtol=1e-6)
