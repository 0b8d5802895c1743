"""Gain of reading ahead: an epoch on a source that waits before it returns a batch.

    python benchmarks/prefetch.py

The source is an array in memory that sleeps before each read, like a disk or a network for which
the process waits. Epochs with and without reading ahead take turns. The batches, and so the
weights, are the same.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    X = np.random.default_rng(0).normal(size=(512, 1, 256)).cumsum(axis=-1)
    source = SlowArray(X)
    print("512 series of 256 time points, tiny, batches of 64")
    print("Seconds per epoch of 8 steps, medians\n")
    print("| s per read | without | read ahead | ratio |")
    print("|---|---|---|---|")
    for delay in DELAYS:
        source.delay = delay
        seconds = [epochs(source) for _ in range(args.rounds)]
        without, with_it = (median(column) for column in zip(*seconds, strict=True))
        ratio = without / with_it
        print(f"| {delay:.2f} | {without:.2f} | {with_it:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
