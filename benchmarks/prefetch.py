"""Gain of reading ahead: an epoch on a source that waits before it returns a batch.

    python benchmarks/prefetch.py --out prefetch.jsonl

The source is an array in memory that sleeps before each read, like a disk or a network for which
the process waits: 512 series of 256 time points, encoder tiny, batches of 64. Epochs with and
without reading ahead take turns. The batches, and so the weights, are the same.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
from results import append_json, markdown_table

from fei_sklearn import FEIEmbedder
from fei_sklearn.training import batches

DELAYS = (0.0, 0.05, 0.2)


class SlowArray:
    """Chunked array that sleeps before each read.

    Its attributes are on the class, where the package looks for those of chunked arrays.
    """

    chunks = (512, 1, 256)  # one chunk, so that a batch is one read
    ndim = 3

    def __init__(self, X):
        self.X = X
        self.delay = 0.0

    @property
    def shape(self):
        return self.X.shape

    @property
    def dtype(self):
        return self.X.dtype

    def __getitem__(self, rows):
        time.sleep(self.delay)
        return self.X[rows]


def epoch(source, reads_ahead):
    """Return the seconds of an epoch's training, and the weights."""
    read_ahead = batches.read_ahead
    if not reads_ahead:
        batches.read_ahead = iter
    embedder = FEIEmbedder(
        "tiny",
        max_epochs=1,
        min_epoch_steps=1,
        batch_size=64,
        validation_fraction=None,
        scaling="series",
        random_state=0,
    )
    try:
        embedder.fit(source)
    finally:
        batches.read_ahead = read_ahead
    return embedder.history_[0]["seconds"], embedder.weights_


def epochs(source):
    """Return the seconds of an epoch without and with reading ahead."""
    without, weights = epoch(source, reads_ahead=False)
    with_it, same_weights = epoch(source, reads_ahead=True)
    for name, array in weights.items():
        np.testing.assert_array_equal(same_weights[name], array)
    return without, with_it


def measure(rounds):
    """Return a record of each delay: median seconds of an epoch of 8 steps."""
    X = np.random.default_rng(0).normal(size=(512, 1, 256)).cumsum(axis=-1)
    source = SlowArray(X)
    records = []
    for delay in DELAYS:
        source.delay = delay
        seconds = [epochs(source) for _ in range(rounds)]
        without, with_it = (median(column) for column in zip(*seconds, strict=True))
        records.append({"delay": delay, "without": without, "read ahead": with_it})
    return records


def table(records):
    """Return the seconds of an epoch without and with reading ahead, and their ratio."""
    rows = []
    for record in records:
        without = record["without"]
        with_it = record["read ahead"]
        cells = [record["delay"], without, with_it, without / with_it]
        rows.append([f"{cell:.2f}" for cell in cells])
    columns = ["seconds per read", "epoch without, s", "epoch with reading ahead, s", "ratio"]
    return markdown_table(columns, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON lines, one per delay")
    args = parser.parse_args()
    records = measure(args.rounds)
    for record in records:
        append_json(args.out, record)
    print(table(records))


if __name__ == "__main__":
    main()
