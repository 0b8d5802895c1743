"""Series per second of `transform`, beside MiniRocket's, and its cost against number and length.

    python benchmarks/speed.py [front] [minirocket] [folding] [growth] [--encoders small tiny]
                               [--length 512] [--rounds 7] [--plot growth.png] [--out speed.jsonl]

One thread. All sides transform the same series in turn, round after round; the script prints
medians of CPU time, which does not count waiting for a core. Encoders are untrained, which costs
the same. "small mean" is the readout of the paper; a plain "small" is the default readout, of many
more features. sktime's MiniRocket needs numba, the plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from itertools import chain
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import torch
from results import append_json, markdown_table
from sktime.transformations.panel.rocket import MiniRocket
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


def minirocket(X: np.ndarray) -> dict[str, Work]:
    """Return the transform of sktime's MiniRocket; ``peers_speed.py`` has aeon's."""
    rocket = MiniRocket(n_jobs=1, random_state=0).fit(X.astype(np.float64))
    return {"MiniRocket": partial(rocket.transform, X)}


def rates(study: str, sides: dict[str, Work], n: int, rounds: int) -> list[dict]:
    """Return a record of each side: how many series per second it transforms."""
    medians = warm_medians(sides, rounds)
    return [
        {"study": study, "side": side, "series/s": n / seconds} for side, seconds in medians.items()
    ]


def front(args: argparse.Namespace) -> list[dict]:
    """Return the speeds of a dilated front end, both forms and its views one by one."""
    X = noise(args.n, args.length)
    panel = Panel(X)
    kernels = DilatedEncoder().front_bank()
    thresholds = fit_thresholds(kernels, panel, FRONT_VIEWS)
    specs = {"`default`": FrontSpec(), "`default`, small": FrontSpec(n_groups=1)}
    specs |= {f"{view} alone": FrontSpec(views=(view,)) for view in FRONT_VIEWS}
    sides = minirocket(X)
    for name, spec in specs.items():
        readout = FrontReadout(kernels, spec, thresholds)
        sides[name] = partial(embed, readout, panel, device=torch.device("cpu"))
    return rates("front", sides, len(X), args.rounds)


def against_minirocket(args: argparse.Namespace) -> list[dict]:
    """Return the speeds of the paper's encoders under both readouts."""
    X = noise(args.n, args.length)
    sides = minirocket(X)
    for encoder in args.encoders:
        for name, readout in {"mean over time": PAPER, "default readout": {}}.items():
            embedder = fitted(encoder, X, **readout)
            sides[f"{encoder}, {name}"] = partial(embedder.transform, X)
    return rates("minirocket", sides, len(X), args.rounds)


def folding(args: argparse.Namespace) -> list[dict]:
    """Return the speeds of encoders with batch norm folded into the convolutions and without."""
    X = noise(args.n, args.length)
    device = torch.device("cpu")
    sides = {}
    for encoder in args.encoders:
        embedder = fitted(encoder, X, **PAPER)
        encoding = _specs.encoding_spec(embedder)
        plain = embedder.encoder_
        for name, module in {"plain": plain, "folded": fold_batch_norm(plain)}.items():
            readout = build_readout(encoding.model, encoding.readout, module)
            sides[f"{encoder}, {name}"] = partial(embed, readout, Panel(X), device=device)
    return rates("folding", sides, len(X), args.rounds)


def growth(args: argparse.Namespace) -> list[dict]:
    """Return the seconds of `transform` and of a step of `fit` by number and length of series."""
    encoder = args.encoders[0]
    sides: dict[tuple[str, Shape], Work] = {}
    for shape in chain(*growing_shapes(args.length).values()):
        X = noise(*shape)
        embedder = fitted(encoder, X, **PAPER)
        sides["transform", shape] = partial(embedder.transform, X)
        sides["step of fit", shape] = our_step(encoder, X, shape[0], "cpu", "32-true")
    medians = warm_medians(sides, max(args.rounds // 2, 1))
    if args.plot:
        plot(args.plot, growing_shapes(args.length), medians)
    return [
        {"study": "growth", "side": side, "n": n, "length": length, "seconds": seconds}
        for (side, (n, length)), seconds in medians.items()
    ]


def growing_shapes(length: int) -> dict[str, list[Shape]]:
    """Return the panels of growing number and of growing length."""
    return {
        "series": [(n, length) for n in (64, 256, 1024)],
        "time points": [(64, longer) for longer in (128, 512, 2048, 8192)],
    }


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


def rate_table(records: list[dict], study: str) -> str:
    """Return the series per second of each side, and their ratios to the first side."""
    of_study = [record for record in records if record["study"] == study]
    reference = of_study[0]["series/s"]
    rows = []
    for record in of_study:
        rate = record["series/s"]
        rows.append([record["side"], f"{rate:,.0f}", f"{rate / reference:.2f}"])
    return markdown_table(["transform", "series/s", "ratio"], rows)


def growth_table(records: list[dict]) -> str:
    """Return microseconds per value, which are level where cost grows in proportion."""
    cells: dict[Shape, dict[str, str]] = defaultdict(dict)
    for record in records:
        if record["study"] == "growth":
            shape = (record["n"], record["length"])
            microseconds = 1e6 * record["seconds"] / (shape[0] * shape[1])
            cells[shape][record["side"]] = f"{microseconds:.2f}"
    rows = []
    for (n, length), by_side in sorted(cells.items()):
        rows.append([f"{n:,}", f"{length:,}", by_side["transform"], by_side["step of fit"]])
    columns = ["series", "time points", "transform, us per value", "step of fit, us per value"]
    return markdown_table(columns, rows)


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
    parser.add_argument("--out", type=Path, help="JSON lines, one per side")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for study in args.studies:
        records = STUDIES[study](args)
        for record in records:
            append_json(args.out, record)
        print(growth_table(records) if study == "growth" else rate_table(records, study))


if __name__ == "__main__":
    main()
