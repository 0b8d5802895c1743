"""Fit and embed a panel on disk that is larger than the memory the process may have.

    python benchmarks/memory.py --folder /somewhere/with/room --out memory.jsonl

The panel is of float64 and 8 GB: random walks of 256 to 1024 time points, padded with NaN to 65,536
as series of unequal length are, so that there is much to read and little to compute. The script
writes it as .npy (and memory-maps it), as zarr and as HDF5, one after the other. A process of its
own fits each for one epoch and embeds it, and may have 1.5 GB of data (RLIMIT_DATA, which is
``ulimit -d``). The process then tries to load the panel whole, which must fail.

A limit on address space (RLIMIT_AS, ``ulimit -v``) would count the mapped file itself, though the
system can take that memory back at any time. So only the processes of zarr and HDF5 also get such a
limit: 1.5 GB beyond what is mapped before they open their panel.

Peaks are of anonymous memory, sampled every 50 ms. They leave out pages of the file that the system
keeps because there is room.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from results import append_json, markdown_table

N_TIMEPOINTS = 65536
GB = 2**30

#: File name of the panel in each store.
FILES = {"memory map": "X.npy", "zarr": "X.zarr", "HDF5": "X.h5"}


def row_blocks(n):
    """Yield the panel, 64 series at a time, and their rows."""
    generator = np.random.default_rng(0)
    for start in range(0, n, 64):
        stop = min(start + 64, n)
        block = np.full((stop - start, 1, N_TIMEPOINTS), np.nan)
        for series in block[:, 0]:
            length = int(generator.integers(256, 1025))
            series[:length] = generator.normal(size=length).cumsum()
        yield slice(start, stop), block


def create(store, path, shape, dtype):
    """Return an empty array on disk, to be written by rows; its chunks hold one series each."""
    if store == "memory map":
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
    chunks = (1, *shape[1:])
    if store == "zarr":
        import zarr

        return zarr.create_array(path, shape=shape, chunks=chunks, dtype=dtype)
    import h5py

    return h5py.File(path, "w").create_dataset("X", shape, dtype, chunks=chunks)


def opened(store, path):
    """Return the array on disk, to be read."""
    if store == "memory map":
        return np.load(path, mmap_mode="r")
    if store == "zarr":
        import zarr

        return zarr.open_array(path, mode="r")
    import h5py

    return h5py.File(path, "r")["X"]


def write_panel(store, path, n_series):
    X = create(store, path, (n_series, 1, N_TIMEPOINTS), np.float64)
    for rows, block in row_blocks(n_series):
        X[rows] = block
    if store == "HDF5":
        X.file.close()


def status(name):
    """Return a size in bytes from /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name))
    return 1024 * int(line.split()[1])


class Peak:
    """Highest anonymous memory of the process while the context lasts."""

    def __enter__(self):
        self.bytes = status("RssAnon")
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.stopped.wait(0.05):
            self.bytes = max(self.bytes, status("RssAnon"))

    def __exit__(self, *error):
        self.stopped.set()
        self.thread.join()


def limit_memory(store, limit):
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if store != "memory map":
        address_space = status("VmSize") + limit
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def measure(store, path, limit):
    """Fit and embed in this process, under the limit, and print the record."""
    from fei_sklearn import FEIEmbedder

    embedder = FEIEmbedder(
        "tiny", pooling="mean", layers="last", max_epochs=1, batch_size=64, random_state=0
    )
    warm = np.random.default_rng(0).normal(size=(64, 1, 64)).cumsum(axis=-1)
    embedder.fit(warm).transform(warm)
    before = status("RssAnon")
    limit_memory(store, limit)
    X = opened(store, path)
    n_series = X.shape[0]
    out = create(store, path.with_name("embeddings" + path.suffix), (n_series, 128), np.float32)
    with Peak() as peak:
        started = time.perf_counter()
        embedder.fit(X)
        fitted = time.perf_counter()
        embedder.transform(X, out=out)
        embedded = time.perf_counter()
    check_embeddings(embedder, X, out)
    record = {
        "store": store,
        "bytes before": before,
        "peak bytes": peak.bytes,
        "fits whole": fits_whole(X),
        "fit": fitted - started,
        "transform": embedded - fitted,
    }
    print(json.dumps(record))


def check_embeddings(embedder, X, out):
    """Check the first embeddings against a panel in memory, and that the last are finite."""
    first = slice(0, 32)
    expected = embedder.transform(X[first])
    np.testing.assert_allclose(out[first], expected, rtol=1e-4, atol=1e-4)
    last = out[X.shape[0] - 32 :]
    if not np.isfinite(last).all():
        raise ValueError("The last embeddings are not finite.")


def fits_whole(X):
    """Return whether the whole panel fits in the memory of the process."""
    try:
        np.array(X)
    except MemoryError:
        return False
    return True


def measure_in_child(store, args):
    """Write the panel to a store, measure it in a process of its own, and return the record."""
    n_series = int(args.gb * GB) // (8 * N_TIMEPOINTS)
    folder = args.folder / "fei-sklearn-memory"
    folder.mkdir(parents=True)
    path = folder / FILES[store]
    try:
        write_panel(store, path, n_series)
        options = ["--folder", str(path), "--limit", str(args.limit), "--child", store]
        command = [sys.executable, __file__, *options]
        child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    finally:
        shutil.rmtree(folder)
    return json.loads(child.stdout)


def table(records):
    """Return the peaks of memory and the seconds by store."""
    rows = []
    for record in records:
        rows.append(
            [
                record["store"],
                f"{record['bytes before'] / GB:.2f}",
                f"{record['peak bytes'] / GB:.2f}",
                "fits" if record["fits whole"] else "MemoryError",
                f"{record['fit']:.0f}",
                f"{record['transform']:.0f}",
            ]
        )
    columns = [
        "store",
        "GB of anonymous memory before",
        "at most",
        "loading it whole",
        "fit, s",
        "transform, s",
    ]
    return markdown_table(columns, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the panel is written")
    parser.add_argument("--gb", type=float, default=8.0, help="size of the panel")
    parser.add_argument("--limit", type=float, default=1.5, help="limit on data, in GB")
    parser.add_argument("--stores", nargs="+", default=list(FILES))
    parser.add_argument("--out", type=Path, help="JSON lines, one per store")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        measure(args.child, args.folder, int(args.limit * GB))
        return
    records = []
    for store in args.stores:
        record = measure_in_child(store, args)
        append_json(args.out, record)
        records.append(record)
    print(table(records))


if __name__ == "__main__":
    main()
