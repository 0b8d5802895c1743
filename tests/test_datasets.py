"""Panels in .npz files, the registry, and what every reader checks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fei_sklearn.datasets import (
    Dataset,
    datasets_in,
    describe_dataset,
    list_datasets,
    load_dataset,
)

RNG = np.random.default_rng(0)
SIZES = {"train": 6, "val": 4, "test": 5}


def panel(n_channels=2, length=9, **arrays):
    """Arrays of a classification set, of which some may be replaced, or dropped with None."""
    content = {}
    for part, n in SIZES.items():
        content[f"X_{part}"] = RNG.normal(size=(n, n_channels, length)).astype(np.float32)
        content[f"y_{part}"] = np.arange(n) % 2
    content |= arrays
    return {key: array for key, array in content.items() if array is not None}


def saved(folder, name="pumps.npz", **arrays):
    content = panel(**arrays)
    (folder / name).parent.mkdir(exist_ok=True)
    np.savez_compressed(folder / name, **content)
    return content


def test_a_panel_comes_back_as_it_was_saved(tmp_path):
    content = saved(tmp_path, subject_train=np.arange(6), class_names=np.array(["off", "on"]))
    for dataset in load_dataset(tmp_path / "pumps.npz"), load_dataset("pumps", root=tmp_path):
        assert (dataset.name, dataset.task) == ("pumps", "classification")
        for part in SIZES:
            X = getattr(dataset, f"X_{part}")
            assert X.dtype == np.float32
            np.testing.assert_array_equal(X, content[f"X_{part}"])
            np.testing.assert_array_equal(getattr(dataset, f"y_{part}"), content[f"y_{part}"])
        np.testing.assert_array_equal(dataset.groups_train, np.arange(6))
        assert dataset.classes.tolist() == ["off", "on"]


def test_labels_become_codes_in_sorted_order(tmp_path):
    y = np.array(["b", "c", "a", "a", "b", "c"])
    saved(tmp_path, y_train=y, y_val=y[:4], y_test=None)
    dataset = load_dataset("pumps", tmp_path)
    assert dataset.y_train.tolist() == [1, 2, 0, 0, 1, 2]
    assert dataset.y_test is None
    assert dataset.classes.tolist() == ["a", "b", "c"]


def test_the_task_follows_from_the_labels(tmp_path):
    targets = {f"y_{part}": RNG.normal(size=n) for part, n in SIZES.items()}
    saved(tmp_path, "life.npz", **targets)
    saved(tmp_path, "bare.npz", y_train=None, y_val=None, y_test=None)
    saved(tmp_path)
    np.savez(tmp_path / "weights.npz", kernel=np.zeros(3))
    life = load_dataset("life", tmp_path)
    assert (life.task, life.y_train.dtype) == ("regression", np.float32)
    np.testing.assert_array_equal(life.y_test, targets["y_test"].astype(np.float32))
    assert load_dataset("bare", tmp_path).y_train is None
    assert datasets_in(tmp_path) == ["bare", "life", "pumps"]
    for task, name in ("pretraining", "bare"), ("regression", "life"), ("classification", "pumps"):
        assert datasets_in(tmp_path, task) == [name]


def test_a_damaged_file_is_named_among_the_others_and_loading_it_says_so(tmp_path):
    saved(tmp_path)
    whole = (tmp_path / "pumps.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    at = whole.index(b"y_train.npy") + 60
    (tmp_path / "flipped.npz").write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
    for task in (None, "classification"):
        assert datasets_in(tmp_path, task) == ["cut", "flipped", "pumps"]
    for name in ("cut", "flipped"):
        with pytest.raises(ValueError, match=rf"{name}\.npz is damaged"):
            load_dataset(name, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_train": None}, r"'X_train'"),
        ({"y_train": np.zeros(5, int)}, r"6 series, but y_train 5"),
        ({"X_test": np.zeros((5, 3, 9))}, r"2 channels and one of X_test 3"),
        ({"y_test": np.array([0, 1, 7, 0, 1])}, r"label 7 of y_test .* 0, 1"),
        ({"X_val": None}, r"'y_val' but no 'X_val'"),
        ({"X_train": np.array([{}] * 6)}, r"'X_train' holds Python objects"),
        ({"X_train": np.array(["x"] * 6)}, r"X_train holds <U1"),
        ({"X_train": np.zeros((6, 2, 9, 1))}, r"shape \(6, 2, 9, 1\)"),
        ({"X_train": np.zeros((0, 2, 9))}, r"X_train has no series"),
        ({"class_names": np.array(["off"])}, r"names 1 classes"),
        ({"y_train": np.array([0.5, 1, 2, 3, 4, np.nan])}, r"y_train has a target"),
        ({"groups_train": np.zeros(2)}, r"groups_train 2 values"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_the_files_name(tmp_path, change, message):
    saved(tmp_path, **change)
    with pytest.raises(ValueError, match=rf"pumps\.npz.*{message}"):
        load_dataset("pumps", tmp_path)


@pytest.mark.parametrize("damage", ["cut", "text", "single", "flipped"])
def test_a_damaged_archive_is_refused(tmp_path, damage):
    path = tmp_path / "pumps.npz"
    saved(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "single":
        with path.open("wb") as file:
            np.save(file, np.zeros((3, 4)))
    else:
        content[200:260] = bytes(60)
        path.write_bytes({"cut": content[:500], "text": b"no", "flipped": content}[damage])
    with pytest.raises(ValueError, match=r"pumps\.npz is damaged"):
        load_dataset("pumps", tmp_path)


def test_known_archives_are_found_by_their_names(tmp_path):
    content = saved(tmp_path, "epilepsy.npz", n_channels=1, length=178)
    saved(tmp_path, "ucr/GunPoint.npz", n_channels=1)
    saved(tmp_path, "ucr/Newer.npz", n_channels=1)
    saved(tmp_path, "fdb.npz")  # not the paper's, and not to be hidden by its name
    assert datasets_in(tmp_path) == ["EPI", "UCR:GunPoint", "UCR:Newer", "fdb.npz"]
    for name in datasets_in(tmp_path):
        assert load_dataset(name, tmp_path).name in (name, "fdb")
    assert load_dataset("ucr:gunpoint", tmp_path).name == "UCR:GunPoint"
    np.testing.assert_array_equal(load_dataset("epi", tmp_path).X_test, content["X_test"])


def test_the_papers_protocol_cuts_and_swaps(tmp_path):
    gestures = saved(tmp_path, "uwave_gesture.npz", length=200, X_val=None, y_val=None)
    saved(tmp_path, "har.npz", length=128)
    other = saved(tmp_path, length=200)
    plain = load_dataset("GES", tmp_path)
    np.testing.assert_array_equal(plain.X_train, gestures["X_train"])
    paper = load_dataset("GES", tmp_path, paper_protocol=True)
    np.testing.assert_array_equal(paper.X_train, gestures["X_test"][:, :1, :178])
    np.testing.assert_array_equal(paper.y_train, gestures["y_test"])
    for X in paper.X_val, paper.X_test:
        np.testing.assert_array_equal(X, gestures["X_train"][:, :1, :178])
    assert load_dataset("HAR", tmp_path, paper_protocol=True).X_train.shape == (6, 1, 128)
    free = load_dataset("pumps", tmp_path, paper_protocol=True)
    np.testing.assert_array_equal(free.X_val, other["X_val"][:, :1])


def test_a_pretraining_set_has_no_labels(tmp_path):
    saved(tmp_path, "sleep_eeg_ucddb.npz", n_channels=1, subject_train=np.arange(6))
    dataset = load_dataset("SLE-UCDDB", tmp_path)
    assert (dataset.task, dataset.y_train, dataset.y_test) == ("pretraining", None, None)
    assert len(dataset.groups_train) == 6
    assert load_dataset("sleep_eeg_ucddb", tmp_path).y_train is not None


@pytest.mark.parametrize("name", ["SLE", "GES", "CWRU", "FD003", "OC-B", "UCR:Wine"])
def test_a_missing_set_says_where_it_is_from_and_where_it_goes(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"https://\S+") as error:
        load_dataset(name, tmp_path)
    assert str(error.value).count(str(tmp_path)) >= 2
    assert "\n" not in str(error.value)
    assert "https://" in describe_dataset(name)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("EPIL", ValueError, "did you mean 'EPI'"),
        ("gunpoints", ValueError, "did you mean 'UCR:GunPoint'"),
        ("UCR:../secret", FileNotFoundError, "There is no file or folder"),
        ("some.npz", FileNotFoundError, "There is no file or folder some.npz"),
        (3, TypeError, "got int"),
    ],
)
def test_a_wrong_name_is_refused(tmp_path, name, error, message):
    with pytest.raises(error, match=message):
        load_dataset(name, tmp_path)


def test_names_and_arguments():
    names = list_datasets()
    assert len(names) == len(set(names)) == 16 + 128
    assert describe_dataset("opa").startswith("OC-A: ")
    with pytest.raises(ValueError, match="did you mean 'EPI'"):
        describe_dataset("EPY")
    with pytest.raises(ValueError, match="got 'forecasting'"):
        datasets_in(".", "forecasting")
    with pytest.raises(FileNotFoundError, match="no folder nowhere"):
        datasets_in("nowhere")


def test_a_path_of_no_known_format_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("1")
    (tmp_path / "train.pt").write_text("1")
    (tmp_path / "empty").mkdir()
    for path, message in ("a.csv", "format"), ("train.pt", "give its folder"), ("empty", "no set"):
        with pytest.raises(ValueError, match=message):
            load_dataset(tmp_path / path)


def test_the_representation_is_short():
    X = [np.zeros((2, 5), np.float32), np.zeros((2, 8), np.float32)]
    assert repr(Dataset("a", "pretraining", X)) == "Dataset('a', pretraining, train=(2, 2, 5..8))"


def test_importing_needs_numpy_alone():
    code = (
        "import sys, fei_sklearn.datasets; print({'torch', 'sklearn', 'sktime'} & {*sys.modules})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
