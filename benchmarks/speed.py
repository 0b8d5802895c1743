"""Series per second of `transform`, beside MiniRocket's, and its cost against number and length.

    python benchmarks/speed.py [front] [minirocket] [folding] [growth] [--encoders small tiny]
                               [--length 512] [--rounds 7] [--plot growth.png]

One thread. All sides transform the same series in turn, round after round; the script prints
medians and ratios of CPU time, which does not count waiting for a core. Encoders are untrained,
which costs the same. "small mean" is the readout of the paper; a plain "small" is the default
readout, of many more features. sktime's MiniRocket needs numba, the plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import chain

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import torch
from timing import Work, medians_in_turn
from training_step import our_step

from fei_sklearn import FEIEmbedder, _specs
from fei_sklearn._bridge.encoding import build_readout
from fei_sklearn.data import Panel
from fei_sklearn.encoder.dilated import DilatedEncoder
from fei_sklearn.encoder.folding import fold_batch_norm
from fei_sklearn.inference import embed
from fei_sklearn.readout.front import FrontReadout, fit_thresholds
from fei_sklearn.readout.spec import FRONT_VIEWS, FrontSpec

PAPER = {"pooling": "mean", "layers": "last"}

Shape = tuple[int, int]


def noise(n: int, length: int) -> np.ndarray:
    series = np.random.default_rng(0).normal(size=(n, 1, length))
    return series.astype(np.float32)


def fitted(encoder: str, X: np.ndarray, **readout: object) -> FEIEmbedder:
    embedder = FEIEmbedder(encoder, max_epochs=0, n_jobs=1, random_state=0, **readout)
    return embedder.fit(X[:64])


def warm_medians(sides: Mapping[str, Work], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each side, after one run that compiles and fills caches."""
    for work in sides.values():
        work()
    return medians_in_turn(sides, rounds)


def minirockets(X: np.ndarray) -> dict[str, Work]:
    """Return the transforms of the MiniRockets that are installed."""
    sides: dict[str, Work] = {}
    with suppress(ImportError):
        from sktime.transformations.panel.rocket import MiniRocket

        rocket = MiniRocket(n_jobs=1, random_state=0).fit(X.astype(np.float64))
        sides["MiniRocket"] = partial(rocket.transform, X)
    with suppress(ImportError):
        from aeon.transformations.collection.convolution_based import MiniRocket as OfAeon

        of_aeon = OfAeon(n_jobs=1, random_state=0).fit(X)
        sides["aeon's"] = partial(of_aeon.transform, X)
    return sides


def print_beside_minirocket(sides: dict[str, Work], n: int, rounds: int) -> None:
    medians = warm_medians(sides, rounds)
    reference = medians.get("MiniRocket", medians.get("aeon's"))
    for name, seconds in medians.items():
        ratio = f"{reference / seconds:5.2f} x MiniRocket" if reference else ""
        print(f"{name:16s} {n / seconds:8.0f} series/s  {ratio}", flush=True)


def front(args: argparse.Namespace) -> None:
    """Print the speed of a dilated front end, its views one by one and in both forms."""
    X = noise(args.n, args.length)
    panel = Panel(X)
    kernels = DilatedEncoder().front_bank()
    thresholds = fit_thresholds(kernels, panel, FRONT_VIEWS)
    specs = {"front default": FrontSpec(), "front small": FrontSpec(n_groups=1)}
    specs |= {view: FrontSpec(views=(view,)) for view in FRONT_VIEWS}
    sides = minirockets(X)
    for name, spec in specs.items():
        readout = FrontReadout(kernels, spec, thresholds)
        sides[name] = partial(embed, readout, panel, device=torch.device("cpu"))
    print_beside_minirocket(sides, len(X), args.rounds)


def against_minirocket(args: argparse.Namespace) -> None:
    X = noise(args.n, args.length)
    sides = minirockets(X)
    for encoder in args.encoders:
        for name, readout in {"mean": PAPER, "default": {}}.items():
            embedder = fitted(encoder, X, **readout)
            sides[f"{encoder} {name}"] = partial(embedder.transform, X)
    print_beside_minirocket(sides, len(X), args.rounds)


def folding(args: argparse.Namespace) -> None:
    X = noise(args.n, args.length)
    device = torch.device("cpu")
    for encoder in args.encoders:
        embedder = fitted(encoder, X, **PAPER)
        encoding = _specs.encoding_spec(embedder)
        plain = embedder.encoder_
        sides = {}
        for name, module in {"plain": plain, "folded": fold_batch_norm(plain)}.items():
            readout = build_readout(encoding.model, encoding.readout, module)
            sides[name] = partial(embed, readout, Panel(X), device=device)
        medians = warm_medians(sides, args.rounds)
        gain = medians["plain"] / medians["folded"]
        print(f"{encoder:6s} folded batch norm: {gain:5.2f} x as fast", flush=True)


def growth(args: argparse.Namespace) -> None:
    """Print microseconds per value, which are level where cost grows in proportion."""
    encoder = args.encoders[0]
    shapes = {
        "series": [(n, args.length) for n in (64, 256, 1024)],
        "time points": [(64, length) for length in (128, 512, 2048, 8192)],
    }
    sides: dict[tuple[str, Shape], Work] = {}
    for shape in chain(*shapes.values()):
        X = noise(*shape)
        embedder = fitted(encoder, X, **PAPER)
        sides["transform", shape] = partial(embedder.transform, X)
        sides["step of fit", shape] = our_step(encoder, X, shape[0], "cpu", "32-true")
    medians = warm_medians(sides, max(args.rounds // 2, 1))
    for (work, (n, length)), seconds in medians.items():
        microseconds = 1e6 * seconds / (n * length)
        panel = f"n={n:5d} length={length:5d}"
        print(f"{encoder} {work:12s} {panel} {seconds:8.3f} s  {microseconds:6.3f} us a value")
    print_one_series(encoder, args.length)
    if args.plot:
        plot(args.plot, shapes, medians)


def print_one_series(encoder: str, length: int) -> None:
    """Print milliseconds for one series alone."""
    embedder = fitted(encoder, noise(64, length), **PAPER)
    series = noise(1, length)
    sides = {"one": partial(embedder.transform, series)}
    seconds = warm_medians(sides, 21)["one"]
    print(f"{encoder} one series: {1e3 * seconds:.2f} ms", flush=True)


def plot(
    file: str, shapes: dict[str, list[Shape]], medians: dict[tuple[str, Shape], float]
) -> None:
    """Draw seconds against the number of series and their length, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (label, shapes_of_axis) in zip(panels, shapes.items(), strict=True):
        sizes = [n if label == "series" else length for n, length in shapes_of_axis]
        for work in ("step of fit", "transform"):
            seconds = [medians[work, shape] for shape in shapes_of_axis]
            (line,) = axes.loglog(sizes, seconds, "o-", label=work)
            proportional = [seconds[-1] * size / sizes[-1] for size in sizes]
            axes.loglog(sizes, proportional, ":", color=line.get_color())
        axes.set(xlabel=label, ylabel="seconds")
    axes.legend()
    figure.savefig(file, dpi=100)


STUDIES = {"front": front, "minirocket": against_minirocket, "folding": folding, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "studies", nargs="*", default=list(STUDIES), metavar="STUDY", help=" ".join(STUDIES)
    )
    parser.add_argument("--encoders", nargs="+", default=["small", "tiny"])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plot", help="file of the plot of growth")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for study in args.studies:
        STUDIES[study](args)


if __name__ == "__main__":
    main()
