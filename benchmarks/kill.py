"""Kill a fit at random moments, again and again, and compare with uninterrupted fits.

    python benchmarks/kill.py --kills 100

A process with all imports done forks children that fit with a `checkpoint_dir`, writing their state
after every step. It kills each child with SIGKILL after a random time. A child that gets to its end
must have, bit by bit, the weights of the same fit without interruption. POSIX only; one CPU thread.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

os.environ["OMP_NUM_THREADS"] = "1"

import lightning_fabric  # noqa: F401  imported once, here, and not by every child
import numpy as np

from fei_sklearn import FEIEmbedder
from fei_sklearn.training import checkpointing

X = np.random.default_rng(0).normal(size=(40, 1, 32)).cumsum(axis=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    checkpointing.EVERY_SECONDS = 0.0
    checkpointing.LARGEST_SHARE = 1e9
    moments = random.Random(args.seed)
    n_kills = 0
    n_runs = 0
    n_different = 0
    while n_kills < args.kills:
        n_left = args.kills - n_kills
        n_killed, is_different = killed_run(n_runs, moments, n_left)
        n_kills += n_killed
        n_different += is_different
        n_runs += 1
        print(f"{n_kills} kills, {n_runs} runs, {n_different} of them different", flush=True)
    sys.exit(n_different)


def killed_run(seed: int, moments: random.Random, most_kills: int) -> tuple[int, bool]:
    """Return how often a run was killed, and whether its weights differ afterwards."""
    n_kills = 0
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "alone.json"
        resumed = Path(folder) / "resumed.json"
        started = time.monotonic()
        wait(child(fit, seed, alone))
        longest = time.monotonic() - started
        while not resumed.exists():
            pid = child(fit, seed, resumed, folder)
            if n_kills < most_kills:
                time.sleep(moments.uniform(0.0, longest))
                os.kill(pid, signal.SIGKILL)
            n_kills += wait(pid)
        is_different = alone.read_text() != resumed.read_text()
    return n_kills, is_different


def child(work: Callable[..., None], *arguments: object) -> int:
    """Return the process that does some work."""
    pid = os.fork()
    if pid == 0:
        work(*arguments)
        os._exit(0)
    return pid


def wait(pid: int) -> bool:
    """Return whether a child was killed before its end."""
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def fit(seed: int, out: Path, checkpoint_dir: str | None = None) -> None:
    """Fit, and write checksums of the weights, whole or not at all."""
    embedder = FEIEmbedder(
        16,
        max_epochs=6,
        min_epoch_steps=5,
        batch_size=8,
        n_iter_no_change=None,
        pooling="mean",
        random_state=seed,
        checkpoint_dir=checkpoint_dir,
    )
    embedder.fit(X)
    checksums = {}
    for name, array in sorted(embedder.weights_.items()):
        checksums[name] = crc32(array.tobytes())
    unfinished = out.with_suffix(".unfinished")
    unfinished.write_text(json.dumps([checksums, embedder.best_epoch_]))
    unfinished.rename(out)


if __name__ == "__main__":
    main()
