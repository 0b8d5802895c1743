"""Processes that run a job together: what they are sent, and how they end."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from quick import python_path, quick, walks
from started_processes import processes_of

from fei_sklearn import _specs
from fei_sklearn._bridge import processes
from fei_sklearn._bridge.processes import _Pickler, run_on_ranks
from fei_sklearn._input.checks import check_panel

# Arrays on their way to other processes


def sent(obj, folder):
    with open(folder / "job", "wb") as file:
        _Pickler(file, folder).dump(obj)
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
        run_on_ranks(lambda watcher: lock, 2, n_threads=1, watcher=None, remedy="")


def test_a_process_that_ends_early_is_named(jobs):
    with pytest.raises(RuntimeError, match=r"Process \d of the 2 .*ended with code 3.*remedy"):
        run_on_ranks(_leave, 2, n_threads=1, watcher=None, remedy="remedy")


def _leave(watcher):
    os._exit(3)


# Nothing is left


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BlockingIOError(11, "no process")])
def test_a_start_that_fails_leaves_nothing(error, jobs, monkeypatch):
    popen = subprocess.Popen
    started = []

    def start_one(*arguments, **named):
        if started:
            raise error
        started.append(popen(*arguments, **named))
        return started[0]

    before = threading.enumerate()
    monkeypatch.setattr(subprocess, "Popen", start_one)
    with pytest.raises(type(error)):
        run_on_ranks(_wait, 2, n_threads=1, watcher=None, remedy="")
    assert started[0].returncode is not None
    assert threading.enumerate() == before


def _wait(watcher):
    time.sleep(600)


def test_no_thread_is_left(jobs):
    before = threading.enumerate()
    assert run_on_ranks(_seven, 2, n_threads=1, watcher=None, remedy="") == 7
    assert threading.enumerate() == before


def _seven(watcher):
    return 7


CALLER = """
import sys, time
import numpy as np
from fei_sklearn._bridge.processes import run_on_ranks

panel = np.ones((2**18, 2))

def job(watcher):
    open(f"{sys.argv[1]}.started", "w")
    time.sleep(600 + 0 * panel[0, 0])

run_on_ranks(job, 2, n_threads=1, watcher=None, remedy="")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_caller_that_is_killed_leaves_nothing(name, tmp_path):
    environment = os.environ | {"PYTHONPATH": python_path(), "TMPDIR": str(tmp_path)}
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER],
        env=environment,
        start_new_session=True,
    )
    assert holds_in_time(lambda: list(tmp_path.glob("*/job.started")))
    os.killpg(caller.pid, signal.Signals[name])  # as a shell or a scheduler does
    caller.wait()
    assert holds_in_time(lambda: processes_of(tmp_path) == [])
    assert list(tmp_path.iterdir()) == []


def holds_in_time(condition):
    """Return whether a condition comes true."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("state", ["abandoned", "locked", "young"])
def test_folders_of_killed_jobs_are_removed(state, tmp_path):
    folder = tmp_path / f"{processes.FOLDER_PREFIX}x"
    folder.mkdir()
    with open(folder / processes.LOCK, "wb") as lock:
        if state == "locked":
            assert processes._take(lock)
        if state != "young":
            os.utime(folder, (0, 0))
        processes.remove_abandoned(tmp_path)
    assert folder.exists() == (state != "abandoned")


def test_a_disk_without_room_is_an_error_with_a_remedy(jobs, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    panel = np.ones((2**18, 1))
    with pytest.raises(ValueError, match=r"could not be copied.*No space left.*set TMPDIR"):
        run_on_ranks(lambda watcher: panel, 2, n_threads=1, watcher=None, remedy="")


# A process that hangs


def test_a_process_that_hangs_is_named(jobs):
    message = r"Process 1 of the 2 .*did not answer the others.*suspended.*: remedy"
    with pytest.raises(RuntimeError, match=message):
        run_on_ranks(_hang, 2, n_threads=1, watcher=None, remedy="remedy")


def _hang(watcher):
    if os.environ["RANK"] == "1":
        time.sleep(600)
    raise RuntimeError("Timed out waiting 1000ms for recv operation to complete")
