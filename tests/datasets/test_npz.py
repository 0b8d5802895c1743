"""Panels in .npz archives: what is read, and which archives are refused."""

from __future__ import annotations

import numpy as np
import pytest
from set_files import SIZES, write_npz

from fei_sklearn.datasets import datasets_in, load_dataset
from fei_sklearn.datasets._npz import keys_of, read_arrays


def test_a_panel_is_read_as_it_was_saved(tmp_path):
    names = np.array(["off", "on"])
    arrays = write_npz(tmp_path, subject_train=np.arange(6), class_names=names)
    for dataset in load_dataset(tmp_path / "pumps.npz"), load_dataset("pumps", root=tmp_path):
        assert dataset.name == "pumps"
        assert dataset.task == "classification"
        for part in SIZES:
            X = getattr(dataset, f"X_{part}")
            y = getattr(dataset, f"y_{part}")
            assert X.dtype == np.float32
            np.testing.assert_array_equal(X, arrays[f"X_{part}"])
            np.testing.assert_array_equal(y, arrays[f"y_{part}"])
        np.testing.assert_array_equal(dataset.groups_train, np.arange(6))
        assert dataset.classes.tolist() == ["off", "on"]


def test_labels_of_an_archive_name_its_codes(tmp_path):
    write_npz(tmp_path, labels=np.array(["off", "on"]))
    dataset = load_dataset("pumps", tmp_path)
    assert dataset.classes.tolist() == ["off", "on"]


def test_the_task_follows_from_the_labels(tmp_path):
    rng = np.random.default_rng(0)
    targets = {f"y_{part}": rng.normal(size=n) for part, n in SIZES.items()}
    write_npz(tmp_path, "life.npz", **targets)
    life = load_dataset("life", tmp_path)
    assert life.task == "regression"
    assert life.y_train.dtype == np.float64
    np.testing.assert_array_equal(life.y_test, targets["y_test"])

    write_npz(tmp_path, "bare.npz", y_train=None, y_val=None, y_test=None)
    bare = load_dataset("bare", tmp_path)
    assert bare.task == "pretraining"
    assert bare.y_train is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_train": None}, r"'X_train'"),
        ({"X_val": None}, r"'y_val' but no 'X_val'"),
        ({"X_train": np.array([{}] * 6)}, r"'X_train' holds Python objects"),
    ],
)
def test_an_archive_without_usable_arrays_is_refused(tmp_path, change, message):
    write_npz(tmp_path, **change)
    with pytest.raises(ValueError, match=rf"pumps\.npz.*{message}"):
        load_dataset("pumps", tmp_path)


def _cut(content):
    return content[:500]


def _replace_by_text(content):
    return b"no"


def _zero_some_bytes(content):
    return content[:200] + bytes(60) + content[260:]


@pytest.mark.parametrize("damage", [_cut, _replace_by_text, _zero_some_bytes])
def test_a_damaged_archive_is_refused(tmp_path, damage):
    write_npz(tmp_path)
    path = tmp_path / "pumps.npz"
    content = path.read_bytes()
    path.write_bytes(damage(content))
    with pytest.raises(ValueError, match=r"pumps\.npz is damaged"):
        load_dataset("pumps", tmp_path)


def test_a_single_array_is_refused(tmp_path):
    with (tmp_path / "pumps.npz").open("wb") as file:
        np.save(file, np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"pumps\.npz is damaged"):
        load_dataset("pumps", tmp_path)


def test_only_the_wanted_arrays_are_read(tmp_path):
    arrays = write_npz(tmp_path)
    path = tmp_path / "pumps.npz"
    assert keys_of(path) == list(arrays)
    read = read_arrays(path, ["y_val"])
    assert list(read) == ["y_val"]
    np.testing.assert_array_equal(read["y_val"], arrays["y_val"])


def test_an_archive_of_one_part_trains(tmp_path):
    arrays = {"X": np.ones((4, 9)), "y": np.array([0, 1, 0, 1]), "groups": np.arange(4)}
    np.savez(tmp_path / "one.npz", **arrays)
    dataset = load_dataset("one", tmp_path)
    assert datasets_in(tmp_path, "classification") == ["one"]
    np.testing.assert_array_equal(dataset.X_train[:, 0], arrays["X"])
    assert dataset.y_train.tolist() == [0, 1, 0, 1]
    assert dataset.groups_train.tolist() == [0, 1, 2, 3]
    assert dataset.X_test is None


@pytest.mark.parametrize("shape", [(4, 9), (4, 2, 9)])
def test_a_single_array_is_for_pretraining(tmp_path, shape):
    X = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "pumps.npy", X)
    dataset = load_dataset(tmp_path / "pumps.npy")
    assert dataset.task == "pretraining"
    np.testing.assert_array_equal(dataset.X_train, X.reshape(4, -1, 9))


def test_a_damaged_array_is_refused_before_it_is_allocated(tmp_path):
    path = tmp_path / "pumps.npy"
    np.save(path, np.zeros((4, 9)))
    for content in (path.read_bytes()[:-8], path.read_bytes()[:50], b"no"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"pumps\.npy is damaged"):
            load_dataset(path)
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError, match=r"pumps\.npy is damaged"):
        load_dataset(path)
    np.save(path, np.array([{}]))
    with pytest.raises(ValueError, match=r"pumps\.npy is damaged"):
        load_dataset(path)
