"""Data sets by name and by path: loading, listing, and the paper's protocol."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from set_files import write_npz, write_ts, write_tsv

from fei_sklearn.datasets import datasets_in, describe_dataset, load_dataset


def test_datasets_are_listed_by_their_task(tmp_path):
    write_npz(tmp_path)
    write_npz(tmp_path, "life.npz", y_train=np.linspace(0, 1, 6))
    write_npz(tmp_path, "bare.npz", y_train=None, y_val=None, y_test=None)
    np.savez(tmp_path / "weights.npz", kernel=np.zeros(3))
    assert datasets_in(tmp_path) == ["bare", "life", "pumps"]
    assert datasets_in(tmp_path, "pretraining") == ["bare"]
    assert datasets_in(tmp_path, "regression") == ["life"]
    assert datasets_in(tmp_path, "classification") == ["pumps"]


def test_damaged_files_are_listed_and_refused_when_loaded(tmp_path):
    write_npz(tmp_path)
    whole = (tmp_path / "pumps.npz").read_bytes()
    half = whole[: len(whole) // 2]
    (tmp_path / "cut.npz").write_bytes(half)
    start = whole.index(b"y_train.npy") + 60
    flipped = whole[:start] + b"\xff" * 8 + whole[start + 8 :]
    (tmp_path / "flipped.npz").write_bytes(flipped)
    for task in (None, "classification"):
        assert datasets_in(tmp_path, task) == ["cut", "flipped", "pumps"]
    for name in ("cut", "flipped"):
        with pytest.raises(ValueError, match=rf"{name}\.npz is damaged"):
            load_dataset(name, tmp_path)


def test_known_archives_are_found_by_their_names(tmp_path):
    arrays = write_npz(tmp_path, "epilepsy.npz", n_channels=1, length=178)
    write_npz(tmp_path, "ucr/GunPoint.npz", n_channels=1)
    write_npz(tmp_path, "ucr/Newer.npz", n_channels=1)
    write_npz(tmp_path, "fdb.npz")  # not the paper's set, and still listed under its full name
    names = datasets_in(tmp_path)
    assert names == ["EPI", "UCR:GunPoint", "UCR:Newer", "fdb.npz"]
    loaded = [load_dataset(name, tmp_path).name for name in names]
    assert loaded == ["EPI", "UCR:GunPoint", "UCR:Newer", "fdb"]
    assert load_dataset("ucr:gunpoint", tmp_path).name == "UCR:GunPoint"
    np.testing.assert_array_equal(load_dataset("epi", tmp_path).X_test, arrays["X_test"])


def test_the_papers_protocol_swaps_the_parts_of_the_gestures(tmp_path):
    arrays = write_npz(tmp_path, "uwave_gesture.npz", length=200, X_val=None, y_val=None)
    plain = load_dataset("GES", tmp_path)
    np.testing.assert_array_equal(plain.X_train, arrays["X_train"])
    paper = load_dataset("GES", tmp_path, paper_protocol=True)
    np.testing.assert_array_equal(paper.X_train, arrays["X_test"][:, :1, :178])
    np.testing.assert_array_equal(paper.y_train, arrays["y_test"])
    for X in (paper.X_val, paper.X_test):
        np.testing.assert_array_equal(X, arrays["X_train"][:, :1, :178])


def test_the_papers_protocol_keeps_the_first_channel(tmp_path):
    write_npz(tmp_path, "har.npz", length=128)
    har = load_dataset("HAR", tmp_path, paper_protocol=True)
    assert har.X_train.shape == (6, 1, 128)
    arrays = write_npz(tmp_path, length=200)
    pumps = load_dataset("pumps", tmp_path, paper_protocol=True)
    np.testing.assert_array_equal(pumps.X_val, arrays["X_val"][:, :1])


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


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="did you mean 'EPI'"):
        describe_dataset("EPY")
    with pytest.raises(ValueError, match="got 'forecasting'"):
        datasets_in(".", "forecasting")
    with pytest.raises(FileNotFoundError, match="no folder nowhere"):
        datasets_in("nowhere")


def test_a_path_of_unknown_format_is_refused(tmp_path):
    (tmp_path / "a.xyz").write_text("1")
    (tmp_path / "train.pt").write_text("1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="format"):
        load_dataset(tmp_path / "a.xyz")
    with pytest.raises(ValueError, match="give its folder"):
        load_dataset(tmp_path / "train.pt")
    with pytest.raises(ValueError, match="no set"):
        load_dataset(tmp_path / "empty")


def test_importing_the_package_needs_numpy_alone():
    code = (
        "import sys, fei_sklearn.datasets; print({'torch', 'sklearn', 'sktime'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_own_files_and_folders_are_listed_and_loaded(tmp_path, monkeypatch):
    for folder, name in [
        ("", "Pumps"),
        ("Valves", "Valves"),
        ("mine", "Taps"),
        ("mine", "Pipes"),
        ("deep/Wells", "Wells"),
        ("UCR/GunPoint", "GunPoint"),
        ("", "EPI"),
    ]:
        write_tsv(tmp_path / folder, "1\t2\t3\n2\t4\t5\n", "1\t2\t3\n", name=name)
    (tmp_path / "series").mkdir()
    write_ts(tmp_path / "series", "@targetLabel true\n@data\n1,2:0.5\n3,4:-2\n")
    classes = ["UCR:GunPoint", "EPI_TRAIN.tsv", "Pumps", "Valves"]
    classes += ["mine/Pipes", "mine/Taps", "deep/Wells"]
    assert datasets_in(tmp_path, "classification") == classes
    assert datasets_in(tmp_path, "regression") == ["series/Pumps"]
    elsewhere = tmp_path / "elsewhere" / "Valves"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere.parent)
    for name in classes:
        assert load_dataset(name, tmp_path).X_test.shape == (1, 1, 2)
    assert load_dataset("series/Pumps", tmp_path).y_train.tolist() == [0.5, -2]


def test_a_compressed_file_is_to_be_unpacked(tmp_path):
    (tmp_path / "pumps.csv.gz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pumps\.csv\.gz is compressed: unpack it first"):
        load_dataset(tmp_path / "pumps.csv.gz")


def test_an_empty_name_is_not_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pumps_TRAIN.csv").write_text("a,b\n1,2\n")
    assert load_dataset(".").X_train.shape == (1, 1, 2)
    with pytest.raises(ValueError, match="name_or_path is empty"):
        load_dataset("")
