"""Series per second of `transform`, beside MiniRocket's, and its cost against number and length.

    python benchmarks/speed.py [--encoders small tiny] [--length 512] [--rounds 7]

One thread. All sides transform the same series in turn, round after round; medians and ratios are
printed. Encoders are untrained, which costs the same. "small mean" is the readout of the paper; a
plain "small" is the default one, of many more features. sktime's MiniRocket needs numba.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import torch

from fei_sklearn import FEIEmbedder, _network
from fei_sklearn.data import Panel
from fei_sklearn.folding import fold_batch_norm
from fei_sklearn.inference import embed


def noise(n: int, length: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 1, length)).astype(np.float32)


def fitted(encoder: str, X: np.ndarray, **readout: object) -> FEIEmbedder:
    return FEIEmbedder(encoder, max_epochs=0, n_jobs=1, random_state=0, **readout).fit(X[:64])


def medians(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each side, all of them in turn in every round."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for work in sides.values():
        work()  # compiles, and fills caches
    for _ in range(rounds):
        for name, work in sides.items():
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def against_minirocket(args: argparse.Namespace) -> None:
    X = noise(args.n, args.length)
    sides: dict[str, Callable[[], object]] = {}
    with suppress(ImportError):
        from sktime.transformations.panel.rocket import MiniRocket

        rocket = MiniRocket(n_jobs=1, random_state=0).fit(X.astype(np.float64))
        sides["MiniRocket"] = lambda: rocket.transform(X)
    for encoder in args.encoders:
        for name, readout in (("mean", {"pooling": "mean", "layers": "last"}), ("default", {})):
            embedder = fitted(encoder, X, **readout)
            sides[f"{encoder} {name}"] = partial(embedder.transform, X)
    taken = medians(sides, args.rounds)
    reference = taken.get("MiniRocket")
    for name, seconds in taken.items():
        ratio = f"{reference / seconds:5.2f} x MiniRocket" if reference else ""
        print(f"{name:16s} {len(X) / seconds:8.0f} series/s  {ratio}", flush=True)


def folding(args: argparse.Namespace) -> None:
    X = noise(args.n, args.length)
    for encoder in args.encoders:
        plain = fitted(encoder, X, pooling="mean", layers="last").encoder_
        readouts = {"plain": plain, "folded": fold_batch_norm(plain)}
        embedder = fitted(encoder, X, pooling="mean", layers="last")
        sides = {}
        for name, module in readouts.items():
            readout = _network.build_readout(embedder, module)
            sides[name] = partial(embed, readout, Panel(X), device=torch.device("cpu"))
        taken = medians(sides, args.rounds)
        gain = taken["plain"] / taken["folded"]
        print(f"{encoder:6s} folded batch norm: {gain:5.2f} x as fast", flush=True)


def growth(args: argparse.Namespace) -> None:
    """Microseconds for each value of the panel: level, where cost grows in proportion."""
    encoder = args.encoders[0]
    readout = {"pooling": "mean", "layers": "last"}
    shapes = [(n, args.length) for n in (64, 256, 1024)]
    shapes += [(64, length) for length in (128, 512, 2048, 8192)]
    sides = {}
    for n, length in shapes:
        X = noise(n, length)
        embedder = fitted(encoder, X, **readout)
        sides[n, length] = partial(embedder.transform, X)
    for (n, length), seconds in medians(sides, max(args.rounds // 2, 1)).items():
        each = 1e6 * seconds / (n * length)
        print(f"{encoder} n={n:5d} length={length:5d} {seconds:8.3f} s  {each:6.3f} us a value")
    alone = noise(1, args.length)
    embedder = fitted(encoder, noise(64, args.length), **readout)
    seconds = medians({"one": lambda: embedder.transform(alone)}, 21)["one"]
    print(f"{encoder} one series: {1e3 * seconds:.2f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=["small", "tiny"])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for part in (against_minirocket, folding, growth):
        part(args)


if __name__ == "__main__":
    main()
