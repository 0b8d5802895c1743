"""Files of jobs: arrays go by file, and what cannot be written is refused."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn import _specs
from fei_sklearn._bridge.job_file import write_job
from fei_sklearn._input.checks import check_panel


def sent(obj, folder):
    write_job(obj, folder / "job")
    return pickle.loads((folder / "job").read_bytes())


@pytest.mark.parametrize("view", ["whole", "rows", "columns", "backwards", "transposed"])
def test_a_memory_map_is_sent_by_name(view, tmp_path):
    np.save(tmp_path / "panel.npy", np.arange(600_000.0).reshape(300, 2, 1000))
    panel = np.load(tmp_path / "panel.npy", mmap_mode="r")
    part = {
        "whole": panel,
        "rows": np.asarray(panel)[7:90][:, np.newaxis],
        "columns": panel[:, 1, 3:900:2],
        "backwards": panel[::-1, :, ::-3],
        "transposed": panel[2:].T,
    }[view]
    copy = sent({"panel": part}, tmp_path)["panel"]
    np.testing.assert_array_equal(copy, part)
    assert (tmp_path / "job").stat().st_size < 2000
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_large_array_is_sent_in_a_file_and_a_small_one_is_not(tmp_path):
    large = np.ones((2**18, 1, 2), np.float32)
    small = np.arange(5)
    copies = sent([large, small], tmp_path)
    np.testing.assert_array_equal(copies[0], large)
    np.testing.assert_array_equal(copies[1], small)
    assert isinstance(copies[0], np.memmap) and not isinstance(copies[1], np.memmap)
    assert (tmp_path / "job").stat().st_size < 2000


@pytest.mark.parametrize("kind", ["npy", "zarr", "hdf5"])
def test_a_panel_that_is_not_in_memory_is_sent_by_its_file(kind, tmp_path):
    values = walks(200, 1, 64)
    if kind == "npy":
        np.save(tmp_path / "panel.npy", values)
        stored = np.load(tmp_path / "panel.npy", mmap_mode="r")
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        stored = zarr.create_array(str(tmp_path / "panel.zarr"), data=values, chunks=(50, 1, 64))
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "panel.h5", "w") as file:
            file["panel"] = values
        stored = h5py.File(tmp_path / "panel.h5")["panel"]
    embedder = quick(device="cpu").fit(walks(20, 1, 64))
    checked = check_panel(embedder, stored, reset=False)
    panel = _specs.fitted_input(embedder).panel(checked)
    copy = sent(panel, tmp_path)
    rows = np.array([3, 150, 4])
    np.testing.assert_array_equal(copy.take(rows).values, panel.take(rows).values)
    assert (tmp_path / "job").stat().st_size < 20_000 < values.nbytes


def test_a_job_that_cannot_be_sent_is_refused(tmp_path):
    lock = threading.Lock()
    with pytest.raises(ValueError, match=r"cannot be sent to them .*lock.*use n_devices=1"):
        write_job(lambda watcher: lock, tmp_path / "job")


def test_a_disk_without_room_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    panel = np.ones((2**18, 1))
    with pytest.raises(ValueError, match=r"could not be copied.*No space left.*set TMPDIR"):
        write_job(lambda watcher: panel, tmp_path / "job")
