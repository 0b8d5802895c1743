"""Kill a fit at random moments, again and again, and compare with fits that were left alone.

    python benchmarks/kill.py --kills 100

A process with all imports done forks children that fit with a `checkpoint_dir`, writing their state
after every step, and kills each with SIGKILL after a random time. A child that gets to its end must
have, bit by bit, the weights of the same fit without interruption. POSIX only; one CPU thread.
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
    checkpointing.EVERY_SECONDS, checkpointing.LARGEST_SHARE = 0.0, 1e9
    moments = random.Random(args.seed)
    n_kills = n_runs = n_different = 0
    while n_kills < args.kills:
        with tempfile.TemporaryDirectory() as folder:
            alone, resumed = Path(folder) / "alone.json", Path(folder) / "resumed.json"
            started = time.monotonic()
            wait(child(fit, n_runs, alone))
            longest = time.monotonic() - started
            while not resumed.exists():
                pid = child(fit, n_runs, resumed, folder)
                if n_kills < args.kills:
                    time.sleep(moments.uniform(0.0, longest))
                    os.kill(pid, signal.SIGKILL)
                n_kills += wait(pid)
            n_different += alone.read_text() != resumed.read_text()
        n_runs += 1
        print(f"{n_kills} kills, {n_runs} runs, {n_different} of them different", flush=True)
    sys.exit(n_different)


def child(work: Callable[..., None], *arguments: object) -> int:
    pid = os.fork()
    if pid == 0:
        work(*arguments)
        os._exit(0)
    return pid


def wait(pid: int) -> bool:
    """Whether a child was killed before its end."""
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def fit(seed: int, out: Path, checkpoint_dir: str | None = None) -> None:
    """Fit, and note the weights, whole or not at all."""
    embedder = FEIEmbedder(
        16,
        max_epochs=6,
        min_epoch_steps=5,
        batch_size=8,
        n_iter_no_change=None,
        pooling="mean",
        random_state=seed,
        checkpoint_dir=checkpoint_dir,
    ).fit(X)
    weights = {name: crc32(array.tobytes()) for name, array in sorted(embedder.weights_.items())}
    part = out.with_suffix(".part")
    part.write_text(json.dumps([weights, embedder.best_epoch_]))
    part.rename(out)


if __name__ == "__main__":
    main()
