"""Series per second of `transform`, beside MiniRocket's, and its cost against number and length.

    python benchmarks/speed.py [minirocket] [folding] [growth] [--encoders small tiny]
                               [--length 512] [--rounds 7] [--plot growth.png]

One thread. All sides transform the same series in turn, round after round; medians and ratios of
CPU time, which does not count waiting for a core, are printed. Encoders are untrained, which costs
the same. "small mean" is the readout of the paper; a plain "small" is the default one, of many more
features. sktime's MiniRocket needs numba, the plot matplotlib.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import torch
from authors import our_step

from fei_sklearn import FEIEmbedder, _specs
from fei_sklearn._bridge.encoding import build_readout
from fei_sklearn.data import Panel
from fei_sklearn.encoder.folding import fold_batch_norm
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
            started = time.process_time()
            work()
            times[name].append(time.process_time() - started)
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
            encoding = _specs.encoding_spec(embedder)
            readout = build_readout(encoding.model, encoding.readout, module)
            sides[name] = partial(embed, readout, Panel(X), device=torch.device("cpu"))
        taken = medians(sides, args.rounds)
        gain = taken["plain"] / taken["folded"]
        print(f"{encoder:6s} folded batch norm: {gain:5.2f} x as fast", flush=True)


def growth(args: argparse.Namespace) -> None:
    """Microseconds for each value: level, where cost grows in proportion."""
    encoder = args.encoders[0]
    shapes = {
        "series": [(n, args.length) for n in (64, 256, 1024)],
        "time points": [(64, length) for length in (128, 512, 2048, 8192)],
    }
    sides = {}
    for shape in chain(*shapes.values()):
        X = noise(*shape)
        embedder = fitted(encoder, X, pooling="mean", layers="last")
        sides["transform", shape] = partial(embedder.transform, X)
        sides["step of fit", shape] = our_step(encoder, X, shape[0], "cpu", "32-true")
    taken = medians(sides, max(args.rounds // 2, 1))
    for (what, (n, length)), seconds in taken.items():
        each = 1e6 * seconds / (n * length)
        panel = f"n={n:5d} length={length:5d}"
        print(f"{encoder} {what:12s} {panel} {seconds:8.3f} s  {each:6.3f} us a value")
    alone = noise(1, args.length)
    embedder = fitted(encoder, noise(64, args.length), pooling="mean", layers="last")
    seconds = medians({"one": lambda: embedder.transform(alone)}, 21)["one"]
    print(f"{encoder} one series: {1e3 * seconds:.2f} ms", flush=True)
    if args.plot:
        plot(args.plot, shapes, taken)


def plot(file: str, shapes: dict[str, list], taken: dict) -> None:
    """Seconds against the number of series and their length, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    for axes, (label, of_axis) in zip(figure.subplots(1, 2), shapes.items(), strict=True):
        sizes = [n if label == "series" else length for n, length in of_axis]
        for what in ("step of fit", "transform"):
            seconds = [taken[what, shape] for shape in of_axis]
            (line,) = axes.loglog(sizes, seconds, "o-", label=what)
            proportional = [seconds[-1] * size / sizes[-1] for size in sizes]
            axes.loglog(sizes, proportional, ":", color=line.get_color())
        axes.set(xlabel=label, ylabel="seconds")
    axes.legend()
    figure.savefig(file, dpi=100)


PARTS = {"minirocket": against_minirocket, "folding": folding, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", default=list(PARTS), metavar="PART", help=" ".join(PARTS)
    )
    parser.add_argument("--encoders", nargs="+", default=["small", "tiny"])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plot", help="where growth is drawn")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for part in args.parts:
        PARTS[part](args)


if __name__ == "__main__":
    main()
