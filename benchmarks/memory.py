"""Fit and embed a panel on disk that is larger than the memory the process may have.

    python benchmarks/memory.py --folder /somewhere/with/room

The panel is of float64 and 8 GB: random walks of 256 to 1024 time points, padded with NaN to 65,536
as series of unequal length are, so that there is much to read and little to compute. It is written
as .npy (and memory-mapped), as zarr and as HDF5, one after the other. Each is fitted, one epoch of
it all, and embedded by a process of its own, whose data may take 1.5 GB (RLIMIT_DATA, which is
``ulimit -d``); that this is less than the panel is shown by loading it whole, which fails.

A limit on address space (RLIMIT_AS, ``ulimit -v``) would count the mapped file itself, though it
takes no memory that cannot be had back. So only the processes of zarr and HDF5 get one, too: 1.5 GB
beyond what is mapped before they open their panel.

Peaks are of anonymous memory, sampled every 50 ms; pages of the file that the system keeps because
there is room are not in them.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

N_TIMEPOINTS = 65536
GB = 2**30


def blocks(n):
    """The panel, 64 series at a time."""
    generator = np.random.default_rng(0)
    for start in range(0, n, 64):
        size = min(64, n - start)
        block = np.full((size, 1, N_TIMEPOINTS), np.nan)
        for series in block[:, 0]:
            length = int(generator.integers(256, 1025))
            series[:length] = generator.normal(size=length).cumsum()
        yield slice(start, start + size), block


def create(store, path, shape, dtype):
    """An empty array, to be written by rows; its chunks are of one series."""
    if store == "memory map":
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
    if store == "zarr":
        import zarr

        return zarr.create_array(path, shape=shape, chunks=(1, *shape[1:]), dtype=dtype)
    import h5py

    return h5py.File(path, "w").create_dataset("X", shape, dtype, chunks=(1, *shape[1:]))


def opened(store, path):
    """The array, to be read."""
    if store == "memory map":
        return np.load(path, mmap_mode="r")
    if store == "zarr":
        import zarr

        return zarr.open_array(path, mode="r")
    import h5py

    return h5py.File(path, "r")["X"]


def status(name):
    """A size in bytes of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


class Peak:
    """The most anonymous memory that the process has had."""

    def __enter__(self):
        self.bytes, self.stopped = status("RssAnon"), threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.stopped.wait(0.05):
            self.bytes = max(self.bytes, status("RssAnon"))

    def __exit__(self, *error):
        self.stopped.set()
        self.thread.join()


def measure(store, path, limit):
    """Fit and embed in this process, under the limit."""
    from fei_sklearn import FEIEmbedder

    embedder = FEIEmbedder(
        "tiny", pooling="mean", layers="last", max_epochs=1, batch_size=64, random_state=0
    )
    warm = np.random.default_rng(0).normal(size=(64, 1, 64)).cumsum(axis=-1)
    embedder.fit(warm).transform(warm)
    before = status("RssAnon")
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if store != "memory map":
        address_space = status("VmSize") + limit
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    X = opened(store, path)
    out = create(store, path.with_name("embeddings" + path.suffix), (X.shape[0], 128), np.float32)
    seconds = []
    with Peak() as peak:
        for task in (lambda: embedder.fit(X), lambda: embedder.transform(X, out=out)):
            started = time.perf_counter()
            task()
            seconds.append(time.perf_counter() - started)
    sample = slice(0, 32)
    assert np.allclose(out[sample], embedder.transform(X[sample]), rtol=1e-4, atol=1e-4)
    assert np.isfinite(out[X.shape[0] - 32 :]).all()
    try:
        np.array(X)
        whole = "fits"
    except MemoryError:
        whole = "MemoryError"
    print(
        f"| {store} | {before / GB:.2f} | {peak.bytes / GB:.2f} | {whole} | {seconds[0]:.0f} | "
        f"{seconds[1]:.0f} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the panel is written")
    parser.add_argument("--gb", type=float, default=8.0, help="size of the panel")
    parser.add_argument("--limit", type=float, default=1.5, help="limit on data, in GB")
    parser.add_argument("--stores", nargs="+", default=["memory map", "zarr", "HDF5"])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.child, arguments.folder, int(arguments.limit * GB))
        return
    n = int(arguments.gb * GB) // (8 * N_TIMEPOINTS)
    print(
        f"{n} series of {N_TIMEPOINTS} time points, {arguments.gb:g} GB; "
        f"data limited to {arguments.limit:g} GB\n"
    )
    print("| store | GB before | peak GB | loading it whole | fit, s | transform, s |")
    print("|---|---|---|---|---|---|", flush=True)
    for store in arguments.stores:
        folder = arguments.folder / "fei-sklearn-memory"
        folder.mkdir(parents=True)
        path = folder / {"memory map": "X.npy", "zarr": "X.zarr", "HDF5": "X.h5"}[store]
        try:
            X = create(store, path, (n, 1, N_TIMEPOINTS), np.float64)
            for rows, block in blocks(n):
                X[rows] = block
            if store == "HDF5":
                X.file.close()
            del X
            options = ["--folder", str(path), "--limit", str(arguments.limit), "--child", store]
            subprocess.run([sys.executable, __file__, *options], check=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
