"""Rates of reading, embedding and writing on one core, and what they make of 10^6 to 10^10 series.

    python benchmarks/cost.py --out docs/results/cost.jsonl    # measure; then the tables
    python benchmarks/cost.py --tables                         # the tables of the committed records

Every step works in turn, once per round. CPU seconds count the work of a core, the clock the disk.
Files are removed from the page cache before they are read, and flushed after
they were written (POSIX only). One thread computes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import zarr
from results import append_json, markdown_table, read_json

from fei_sklearn import FEIEmbedder
from fei_sklearn.cli.embedding_store import open_store, write_block

RECORDS = Path(__file__).parent.parent / "docs" / "results" / "cost.jsonl"

LENGTH = 512
N_READ = 65_536
N_EMBEDDED = 4_096
CHUNK_ROWS = 4_096

#: Readouts of the checkpoint "default", and their parameters.
READOUTS = {
    "default": {},
    "small": {"pooling": "small"},
    "64 numbers": {"n_components": 64},
}
COUNTS = {"10^6": 1e6, "10^8": 1e8, "10^10": 1e10}
N_CORES = 64

#: Steps that take hardly any CPU time, so that the clock gives the rate of the disk.
DISK_STEPS = ("read npy", "write npy")

Side = tuple[str, int, Callable[[], int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="file of records to append to")
    parser.add_argument("--folder", help="folder of the files (default: temporary)")
    parser.add_argument(
        "--tables", action="store_true", help="print the tables and measure nothing"
    )
    args = parser.parse_args()
    records = read_json(RECORDS)
    if not args.tables:
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            records = measure(Path(name), args.rounds, args.out)
    print(rates_table(records))
    print()
    print(cost_table(records))


# Measuring


def measure(folder: Path, n_rounds: int, out: Path | None) -> list[dict]:
    """Return one record per step and round."""
    records = []
    sides = make_sides(folder)
    for number in range(-1, n_rounds):
        for step, n_series, work in sides:
            wall = time.perf_counter()
            cpu = time.process_time()
            n_bytes = work()
            cpu = time.process_time() - cpu
            wall = time.perf_counter() - wall
            is_warm = number >= 0  # the first round compiles and warms up
            if is_warm:
                rates = {"cpu_us": 1e6 * cpu / n_series, "wall_us": 1e6 * wall / n_series}
                record = {"step": step, "round": number, "bytes": n_bytes / n_series, **rates}
                append_json(out, record)
                records.append(record)
    return records


def make_sides(folder: Path) -> list[Side]:
    """Return the steps: their names, their numbers of series, and their work, which gives bytes."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(N_READ, LENGTH)).cumsum(axis=1).astype(np.float32)
    np.save(folder / "series.npy", X)
    chunks = (CHUNK_ROWS, LENGTH)
    zarr.create_array(folder / "series.zarr", data=X, chunks=chunks)
    sides: list[Side] = [
        ("read npy", N_READ, partial(read_npy, folder / "series.npy")),
        ("read zarr", N_READ, partial(read_zarr, folder / "series.zarr")),
        ("write npy", N_READ, partial(write_npy, folder / "written.npy", X)),
    ]
    series = X[:N_EMBEDDED]
    for name, params in READOUTS.items():
        embedder = FEIEmbedder(pretrained="default", device="cpu", n_jobs=1, **params)
        embeddings = embedder.fit(series).transform(series)
        sides.append((f"embed {name}", N_EMBEDDED, partial(embed, embedder, series)))
        store = folder / f"{name}.zarr"
        sides.append((f"write {name}", N_EMBEDDED, partial(write, store, embeddings)))
        if name == "default":
            zstd = partial(write_zstd, folder / "zstd.zarr", embeddings)
            sides.append(("write default, zstd", N_EMBEDDED, zstd))
    return sides


def read_npy(path: Path) -> int:
    forget([path])
    values = np.load(path)
    return values.nbytes


def read_zarr(path: Path) -> int:
    forget(path.rglob("*"))
    values = zarr.open_array(path, mode="r")[:]
    return values.nbytes


def embed(embedder: FEIEmbedder, series: np.ndarray) -> int:
    return embedder.transform(series).nbytes


def write_npy(path: Path, values: np.ndarray) -> int:
    np.save(path, values)
    return flush([path])


def write(path: Path, embeddings: np.ndarray) -> int:
    """Write a store of one block as `fei-sklearn embed --dask` does."""
    shutil.rmtree(path, ignore_errors=True)
    open_store(path, len(embeddings), len(embeddings), embeddings[0])
    write_block(embeddings, path, 0)
    return flush(path.rglob("*"))


def write_zstd(path: Path, embeddings: np.ndarray) -> int:
    """Write an array of one chunk with zarr's default compression."""
    zarr.create_array(path, data=embeddings, chunks=embeddings.shape, overwrite=True)
    return flush(path.rglob("*"))


def flush(paths: Iterable[Path]) -> int:
    """Wait until files are on the disk, and return their bytes."""
    n_bytes = 0
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            n_bytes += path.stat().st_size
    return n_bytes


def forget(paths: Iterable[Path]) -> None:
    """Remove files from the page cache."""
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # only what is on the disk can be removed
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# Tables


def rates_table(records: list[dict]) -> str:
    """Return the rates of the steps, with standard errors over rounds."""
    rows = []
    for step in dict.fromkeys(record["step"] for record in records):
        cpu = values_of(records, step, "cpu_us")
        error = statistics.stdev(cpu) / len(cpu) ** 0.5
        microseconds = f"{statistics.mean(cpu):.1f} ± {error:.1f}"
        per_second = f"{1e6 / statistics.mean(cpu):,.0f}"
        megabytes = ""
        if step in DISK_STEPS:
            megabytes = f"{disk_rate(records, step) / 1e6:,.0f}"
        n_bytes = f"{bytes_of(records, step):,.0f}"
        rows.append([step, n_bytes, microseconds, per_second, megabytes])
    columns = ["step", "bytes per series", "CPU microseconds per series", "series/s of one core"]
    return markdown_table([*columns, "MB/s of the disk"], rows)


def cost_table(records: list[dict]) -> str:
    """Return the time of each number of series, and what limits it."""
    rows = []
    for readout in READOUTS:
        for name, n_series in COUNTS.items():
            rows.append([readout, name, *costs(records, readout, n_series)])
    columns = ["readout", "series", "read", "written", "1 core", "64 cores, this disk"]
    return markdown_table([*columns, "64 cores, faster storage", "1 GPU"], rows)


def costs(records: list[dict], readout: str, n_series: float) -> list[str]:
    """Return bytes read and written, and times on one core, on 64 and on a GPU."""
    steps = {"reading": "read npy", "embedding": f"embed {readout}", "writing": f"write {readout}"}
    parts = {}
    for part, step in steps.items():
        parts[part] = 1e-6 * n_series * statistics.mean(values_of(records, step, "cpu_us"))
    n_read = n_series * bytes_of(records, steps["reading"])
    n_written = n_series * bytes_of(records, steps["writing"])
    of_disk = n_read / disk_rate(records, "read npy") + n_written / disk_rate(records, "write npy")
    of_one = sum(parts.values())
    of_many = of_one / N_CORES
    needed = (n_read + n_written) / of_many
    largest = max(parts, key=lambda part: parts[part])
    return [
        size(n_read),
        size(n_written),
        limited(of_one, of_disk, largest),
        limited(of_many, of_disk, largest),
        f"{duration(of_many)} at {size(needed)}/s",
        "-",
    ]


def limited(of_cores: float, of_disk: float, part: str) -> str:
    """Return the longer one of two times, and what takes it: a part of the work, or the disk."""
    if of_disk > of_cores:
        return f"{duration(of_disk)}: disk"
    return f"{duration(of_cores)}: {part}"


def duration(seconds: float) -> str:
    for unit, length in {"days": 86_400, "h": 3_600, "min": 60}.items():
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(n_bytes: float) -> str:
    if n_bytes >= 1e12:
        return f"{n_bytes / 1e12:,.1f} TB"
    return f"{n_bytes / 1e9:,.1f} GB"


def values_of(records: list[dict], step: str, key: str) -> list[float]:
    return [record[key] for record in records if record["step"] == step]


def bytes_of(records: list[dict], step: str) -> float:
    return statistics.mean(values_of(records, step, "bytes"))


def disk_rate(records: list[dict], step: str) -> float:
    """Return the bytes per second of the fastest round, in which others used the machine least."""
    return 1e6 * bytes_of(records, step) / min(values_of(records, step, "wall_us"))


if __name__ == "__main__":
    main()
