"""`fei-sklearn embed --dask`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Thread

import dask
import numpy as np
import pytest
from tiny_sets import arrays, sines

from fei_sklearn import FEIEmbedder
from fei_sklearn.cli import cluster

zarr = pytest.importorskip("zarr")
distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    """Client of a worker of one thread in this process."""
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1}
    with distributed.Client(dashboard_address=":0", **options) as client:
        yield client


@pytest.fixture
def here(monkeypatch, client):
    """Compute in this process, in blocks of 16 series."""
    monkeypatch.setattr(cluster, "_client", lambda address: nullcontext(client))
    monkeypatch.setattr(cluster, "BLOCK_BYTES", 16 * 4 * 96)  # a row is 96 features in float32


@pytest.fixture
def series(data):
    """Series, also in the file "x.npy"."""
    X = arrays()["X_train"]
    np.save("x.npy", X)
    return X


def stored(path="e.zarr"):
    return zarr.open_group(path, mode="r")["embeddings"]


@pytest.mark.parametrize("kind", ["npy", "zarr", "2d"])
def test_a_file_becomes_a_store(model, series, command, here, kind):
    path = "x.npy"
    if kind == "2d":
        np.save("x.npy", series[:, 0])
    if kind == "zarr":
        path = "x.zarr"
        zarr.create_array(path, data=series, chunks=(3, *series.shape[1:]))
    done = command(f"embed model {path} --dask HOST:8786 --out e.zarr --quiet")
    assert done == (0, "e.zarr: 40 embeddings of 96 features\n", "")
    np.testing.assert_array_equal(stored()[:], model.transform(series))
    n_rows = 15 if kind == "zarr" else 16  # whole chunks
    assert stored().chunks == (n_rows, 96)


def test_the_same_command_resumes(model, series, command, here, monkeypatch):
    write = cluster.write_block
    written = []

    def write_and_fail(block, path, number):
        if len(written) == 2:
            raise OSError("No space left on device")
        written.append(number)
        write(block, path, number)

    options = "embed model x.npy --dask HOST:8786 --out e.zarr"
    monkeypatch.setattr(cluster, "write_block", write_and_fail)
    done = command(options)
    assert done.code == 1
    assert "No space left" in done.err
    monkeypatch.setattr(cluster, "write_block", write)
    done = command(options)
    assert done.code == 0
    assert done.err == (
        "fei-sklearn: 2 of 3 blocks were complete already.\nfei-sklearn: 3 of 3 blocks\n"
    )
    np.testing.assert_array_equal(stored()[:], model.transform(series))


def test_a_small_file_is_one_block(model, series, command, here, monkeypatch):
    monkeypatch.setattr(cluster, "BLOCK_BYTES", 2**26)
    assert command("embed model x.npy --dask HOST:8786 --out e.zarr").code == 0
    assert stored().chunks == (40, 96)


def test_a_line_per_percent(model, series, command, here, monkeypatch):
    monkeypatch.setattr(cluster, "BLOCK_BYTES", 4 * 96)
    np.save("x.npy", np.repeat(series, 4, axis=0))
    done = command("embed model x.npy --dask HOST:8786 --out e.zarr")
    lines = done.err.splitlines()
    assert len(lines) == 100
    assert lines[0] == "fei-sklearn: 2 of 160 blocks"
    assert lines[-1] == "fei-sklearn: 160 of 160 blocks"


def test_another_readout(model, series, command, here):
    done = command("embed model x.npy --dask HOST:8786 --out e.zarr --pooling mean")
    assert done.out == "e.zarr: 40 embeddings of 16 features\n"
    np.testing.assert_array_equal(stored()[:], model.transform(series)[:, :16])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("x.npy --out e.npz", "--out must end in .zarr with --dask, got 'e.npz'"),
        ("x.npy --out e.zarr --part test", "--part needs a dataset in memory"),
        ("x.npy --out e.zarr --paper-protocol", "--paper-protocol needs a dataset in memory"),
        ("none.npy --out e.zarr", "There is no file 'none.npy'"),
        ("data --out e.zarr", "'data' is neither a .npy file of numbers nor the folder of a zarr"),
        ("words.npy --out e.zarr", "'words.npy' is neither a .npy file of numbers nor"),
        ("empty.npy --out e.zarr", "'empty.npy' has shape (0, 1, 24): give an array"),
        (
            "flat.npy --out e.zarr",
            "'flat.npy' has shape (24,): give an array of shape (n_samples, n_timepoints)",
        ),
    ],
)
def test_bad_arguments(model, series, command, here, arguments, message):
    np.save("flat.npy", series[0, 0])
    np.save("empty.npy", series[:0])
    np.save("words.npy", np.array(["a", None]))
    zarr.create_group("group.zarr")
    done = command(f"embed model {arguments} --dask HOST:8786")
    assert done.code == 2
    assert message in done.err


def test_other_channels_are_refused_before_anything_is_computed(model, series, command, here):
    np.save("wide.npy", np.repeat(series, 2, axis=1))
    done = command("embed model wide.npy --dask HOST:8786 --out e.zarr")
    assert done.code == 1
    assert "X has 2 features, but FEIEmbedder is expecting 1" in done.err
    assert not Path("e.zarr").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (distributed.KilledWorker("block", None, 3), "A block has ended several workers"),
        (distributed.client.FutureCancelledError("block", ""), "to the scheduler was lost"),
    ],
)
def test_the_end_of_workers_or_scheduler(
    model, series, command, client, monkeypatch, error, message
):
    def fail(*_):
        raise error

    monkeypatch.setattr(cluster, "_embed", fail)
    done = command(f"embed model x.npy --dask {client.scheduler.address} --out e.zarr")
    assert done.code == 1
    assert message in done.err
    assert "the same command then computes the blocks that are missing" in done.err


def count_pickles():
    """Count how often this process reads an embedder from a pickle, and return the count so far."""
    if not hasattr(FEIEmbedder, "n_read"):
        restore = FEIEmbedder.__setstate__

        def counting(embedder, state):
            FEIEmbedder.n_read += 1
            restore(embedder, state)

        FEIEmbedder.n_read = 0
        FEIEmbedder.__setstate__ = counting
    return FEIEmbedder.n_read


def kill_after_first_block(pid, killed):
    """Kill a worker once a block is complete."""
    while not any(Path("e.zarr/complete/c").glob("*")):
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    killed.set()


@pytest.fixture
def two_workers():
    """Client of two workers, each with one thread."""
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "30s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as workers,
        distributed.Client(workers) as client,
    ):
        yield client


#: 1,000 series are 250 blocks of 4 series, whose embeddings have 96 features.
SMALL_BLOCKS = 4 * 4 * 96


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed(model, data, command, two_workers, monkeypatch):
    X, _ = sines(1000)
    np.save("x.npy", X)
    monkeypatch.setattr(cluster, "BLOCK_BYTES", SMALL_BLOCKS)
    first, second = two_workers.run(os.getpid).values()
    two_workers.run(count_pickles)
    killed = Event()
    Thread(target=kill_after_first_block, args=(first, killed), daemon=True).start()
    address = two_workers.scheduler.address
    done = command(f"embed model x.npy --dask {address} --out e.zarr")
    assert done.code == 0, done.err
    assert killed.is_set()
    np.testing.assert_array_equal(stored()[:], model.transform(X))
    counts = two_workers.run(lambda: (os.getpid(), count_pickles()))
    # from the scheduler or from the other worker, and again after a death; not once per block
    assert 1 <= dict(counts.values())[second] <= 2


COMMAND = f"""
import sys
from fei_sklearn.cli import cluster, main
cluster.BLOCK_BYTES = {SMALL_BLOCKS}
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(model, data, command, monkeypatch):
    X, _ = sines(1000)
    np.save("x.npy", X)
    options = "embed model x.npy --dask local --out e.zarr"
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *options.split()])
    killed = Event()
    kill_after_first_block(process.pid, killed)
    process.wait()
    monkeypatch.setattr(cluster, "BLOCK_BYTES", SMALL_BLOCKS)
    done = command(options)
    assert done.code == 0
    n_complete = int(done.err.split()[1])
    assert 0 < n_complete < 250
    np.testing.assert_array_equal(stored()[:], model.transform(X))


@pytest.mark.slow
def test_no_scheduler(model, series, command):
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        done = command("embed model x.npy --dask 127.0.0.1:9 --out e.zarr")
    assert done.code == 2
    assert "There is no dask scheduler at '127.0.0.1:9'" in done.err


SLOW_END = """
import atexit, time
from fei_sklearn.cli import cluster
with cluster._client(cluster.LOCAL) as client:
    client.run(atexit.register, time.sleep, 6)
"""


@pytest.mark.slow
def test_local_workers_that_end_slowly_are_not_killed():
    done = subprocess.run([sys.executable, "-c", SLOW_END], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
