"""What reading ahead gains: an epoch on a source that waits before it gives a batch.

    python benchmarks/prefetch.py

The source is an array in memory that sleeps before each read, as a disk or a network does that lets
the process wait. Epochs with and without reading ahead take turns; the batches, and so the
weights, are the same.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

from fei_sklearn import FEIEmbedder
from fei_sklearn.training import batches


class Slow:
    """A chunked array that takes its time."""

    chunks = None

    def __init__(self, X):
        self.X, self.delay = X, 0.0

    shape = property(lambda self: self.X.shape)
    dtype = property(lambda self: self.X.dtype)
    ndim = property(lambda self: self.X.ndim)

    def __getitem__(self, rows):
        time.sleep(self.delay)
        return self.X[rows]


def epoch(source, n_rows, ahead):
    """Seconds of an epoch's training, and the weights."""
    before = batches.read_ahead
    if not ahead:
        batches.read_ahead = iter
    embedder = FEIEmbedder(
        "tiny",
        max_epochs=1,
        min_epoch_steps=1,
        batch_size=n_rows,
        validation_fraction=None,
        scaling="series",
        random_state=0,
    )
    try:
        embedder.fit(source)
    finally:
        batches.read_ahead = before
    return embedder.history_[0]["seconds"], embedder.weights_


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    # one chunk, so that a batch is one read
    Slow.chunks = (512, 1, 256)
    source = Slow(np.random.default_rng(0).normal(size=(512, 1, 256)).cumsum(axis=-1))
    print(
        "512 series of 256 time points, tiny, batches of 64; seconds an epoch of 8 steps, medians"
    )
    print("\n| s a read | one after the other | read ahead | ratio |\n|---|---|---|---|")
    for delay in (0.0, 0.05, 0.2):
        source.delay = delay
        seconds = {False: [], True: []}
        for _ in range(arguments.rounds):
            weights = []
            for ahead in seconds:
                taken, learnt = epoch(source, 64, ahead)
                seconds[ahead].append(taken)
                weights.append(learnt)
            assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
        without, with_it = (median(seconds[ahead]) for ahead in (False, True))
        ratio = without / with_it
        print(f"| {delay:.2f} | {without:.2f} | {with_it:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
