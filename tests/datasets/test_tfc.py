"""Folders in TF-C's format, of .pt files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from set_files import write_tfc

from fei_sklearn.datasets import datasets_in, load_dataset


def test_a_folder_is_read_as_it_was_saved(tmp_path):
    samples = write_tfc(tmp_path / "Gesture")
    assert datasets_in(tmp_path) == ["GES"]
    for dataset in load_dataset("GES", tmp_path), load_dataset(tmp_path / "Gesture"):
        assert dataset.task == "classification"
        assert dataset.y_train.tolist() == [0, 1, 1]
        assert dataset.y_train.dtype == np.int64
        for part, expected in samples.items():
            X = getattr(dataset, f"X_{part}")
            np.testing.assert_array_equal(X, expected.numpy())


def test_the_papers_protocol_does_not_swap_the_published_parts(tmp_path):
    samples = write_tfc(tmp_path / "Gesture")
    paper = load_dataset("GES", tmp_path, paper_protocol=True)
    expected = samples["train"][:, :1, :178].numpy()
    np.testing.assert_array_equal(paper.X_train, expected)


def test_fractions_are_targets(tmp_path):
    write_tfc(tmp_path / "OPA", labels=(1.0, 0.5, 0.0))
    assert load_dataset(tmp_path / "OPA").task == "regression"


def test_the_pretraining_set_has_no_labels(tmp_path):
    write_tfc(tmp_path / "SleepEEG", parts=("train", "val"))
    dataset = load_dataset("SLE", tmp_path)
    assert dataset.task == "pretraining"
    assert dataset.y_train is None
    assert dataset.X_test is None


class Harmful:
    """Object whose unpickling leaves a file behind."""

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
def test_other_content_is_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    write_tfc(tmp_path / "EMG")
    torch.save(content, tmp_path / "EMG" / "train.pt")
    with pytest.raises(ValueError, match=f"EMG.*{message}"):
        load_dataset("EMG", tmp_path)
    assert not Path("harm").exists()


@pytest.mark.parametrize("n_bytes", [0, 10, 900])
def test_a_file_that_is_cut_short_is_refused(tmp_path, n_bytes):
    write_tfc(tmp_path / "EMG")
    path = tmp_path / "EMG" / "test.pt"
    content = path.read_bytes()
    path.write_bytes(content[:n_bytes])
    with pytest.raises(ValueError, match=r"test\.pt is damaged"):
        load_dataset("EMG", tmp_path)
