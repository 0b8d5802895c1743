"""What a pretraining recipe is worth: corpus, masks, schedule and width, at equal steps.

    python benchmarks/recipes.py DIR --sets ... --variants base real both --real FOLDER ...

Each variant pretrains an encoder for `--steps` steps and is scored on UCR sets as it is, under the
default readout and under the paper's, by StandardScaler and RidgeClassifierCV. `--start fei-tiny`
goes on from a checkpoint, which takes the luck of the initial weights out of the comparison, but
keeps its encoder and objective.

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Real corpora are windows
of the training parts of the panels in the folders or files `--real`: give it none of the families
that are scored.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset, make_corpus
from fei_sklearn.datasets.corpus_processes import log_uniform, resample, standardise
from fei_sklearn.objectives.fei import FEIObjective

LENGTH = 512


@functools.lru_cache(maxsize=2)
def synthetic(n: int, seed: int, real: tuple[Path, ...] = ()) -> np.ndarray:
    """The corpus of the recipes."""
    return make_corpus(n, LENGTH, random_state=seed)


def shrunk(n: int, seed: int, real: tuple[Path, ...], low: float = 16.0) -> np.ndarray:
    """Half of the series shrunk to `low` to 512 points and stretched again, as short ones are."""
    corpus = synthetic(n, seed).copy()
    rng = np.random.default_rng([seed, 1])
    for i in np.flatnonzero(rng.random(n) < 0.5):
        short = int(log_uniform(rng, low, LENGTH, (1,))[0])
        knots = np.interp(np.linspace(0, LENGTH - 1, short), np.arange(LENGTH), corpus[i])
        corpus[i] = np.interp(np.linspace(0, short - 1, LENGTH), np.arange(short), knots)
    return standardise(corpus).astype(np.float32)


def cropped(n: int, seed: int, real: tuple[Path, ...]) -> np.ndarray:
    """A random part of every series, an eighth to the whole, stretched."""
    corpus = synthetic(n, seed)
    rng = np.random.default_rng([seed, 2])
    part = log_uniform(rng, 0.125, 1.0, (n, 1))
    begin = rng.random((n, 1)) * (1.0 - part)
    positions = (begin + part * np.linspace(0.0, 1.0, LENGTH)) * (LENGTH - 1)
    return standardise(resample(corpus, positions)).astype(np.float32)


def recorded(n: int, seed: int, real: tuple[Path, ...]) -> np.ndarray:
    """Windows of recorded series, every set as often, half of them a part of a series alone."""
    rng = np.random.default_rng([seed, 3])
    files = [file for path in real for file in (sorted(path.glob("*.npz")) or [path])]
    panels = []
    for file in files:
        with np.load(file) as arrays:
            panels.append(arrays["X_train"])
    out = np.empty((n, LENGTH))
    for i in range(n):
        panel = panels[rng.integers(len(panels))]
        series = panel[rng.integers(len(panel)), rng.integers(panel.shape[1])]
        part = log_uniform(rng, 0.25, 1.0, (1,))[0] if rng.random() < 0.5 else 1.0
        begin = rng.random() * (1.0 - part)
        places = (begin + part * np.linspace(0.0, 1.0, LENGTH)) * (len(series) - 1)
        out[i] = np.interp(places, np.arange(len(series)), series)
    return standardise(out).astype(np.float32)


def both(n: int, seed: int, real: tuple[Path, ...]) -> np.ndarray:
    """Synthetic and recorded series, half and half."""
    return np.concatenate([synthetic(n, seed)[: n // 2], recorded(n - n // 2, seed, real)])


@dataclass(frozen=True)
class Variant:
    """How a run differs from the base.

    Attributes
    ----------
    params : dict
        Parameters of FEIEmbedder.
    corpus : callable
        From a number of series, a seed and the real panels to series of 512 points.
    corpus_size, steps : float
        Series, and steps, as a multiple of the base's.
    weights : tuple of float
        Weights of embedding inference and of mask inference in the loss.
    """

    params: dict[str, Any] = field(default_factory=dict)
    corpus: Callable[..., np.ndarray] = synthetic
    corpus_size: float = 1.0
    steps: float = 1.0
    weights: tuple[float, float] = (1.0, 1.0)


VARIANTS = {
    "base": Variant(),
    "untrained": Variant(steps=0.0),
    "real": Variant(corpus=recorded),
    "both": Variant(corpus=both),
    "shrunk": Variant(corpus=shrunk),
    "cropped": Variant(corpus=cropped),
    "quarter of the series": Variant(corpus_size=0.25),
    "four times the series": Variant(corpus_size=4.0),
    "continuous": Variant({"mask_kind": "continuous"}),
    "temporal": Variant({"mask_kind": "temporal"}),
    "temporal, ratio 0-0.3": Variant({"mask_kind": "temporal", "mask_ratio": (0.0, 0.3)}),
    "temporal, ratio 0.3-0.7": Variant({"mask_kind": "temporal", "mask_ratio": (0.3, 0.7)}),
    "temporal, ratio 0-0.9": Variant({"mask_kind": "temporal", "mask_ratio": (0.0, 0.9)}),
    "ratio 0-0.3": Variant({"mask_ratio": (0.0, 0.3)}),
    "ratio 0-0.9": Variant({"mask_ratio": (0.0, 0.9)}),
    "ratio 0.3-0.7": Variant({"mask_ratio": (0.3, 0.7)}),
    "momentum 0.99": Variant({"momentum": 0.99}),
    "momentum 0.999": Variant({"momentum": 0.999}),
    "rate 3e-4": Variant({"learning_rate": 3e-4}),
    "rate 3e-3": Variant({"learning_rate": 3e-3}),
    "two targets": Variant({"n_targets": 2}),
    "batch / 2, steps x 2": Variant({"batch_size": 0.5}, steps=2.0),
    "batch x 2, steps / 2": Variant({"batch_size": 2}, steps=0.5),
    "steps x 4": Variant(steps=4.0, corpus_size=4.0),
    "width 256, steps / 3": Variant({"encoder": "small"}, steps=1 / 3),
    "width 256": Variant({"encoder": "small"}),
    "width 64, steps x 2": Variant({"encoder": 64}, steps=2.0),
    "stride 1, steps / 8": Variant({"stride": 1}, steps=1 / 8),
    "mask loss x 0.25": Variant(weights=(1.0, 0.25)),
    "mask loss x 4": Variant(weights=(1.0, 4.0)),
    "mask loss x 0": Variant(weights=(1.0, 0.0)),
    "no mask inference": Variant({"objective": "fei-no-mask-inference"}),
    "no embedding inference": Variant({"objective": "fei-no-embedding-inference"}),
    "no momentum": Variant({"objective": "fei-no-momentum"}),
    "no subspace": Variant({"objective": "fei-no-subspace"}),
    "no stop-gradient": Variant({"objective": "fei-no-detach"}),
}


@functools.lru_cache(maxsize=3)
def draw(
    corpus: Callable[..., np.ndarray], n: int, seed: int, real: tuple[Path, ...]
) -> np.ndarray:
    """A corpus, with a channel axis."""
    return corpus(n, seed, real)[:, np.newaxis]


def pretrain(
    variant: Variant, seed: int, args: argparse.Namespace, folder: Path
) -> list[dict[str, float]]:
    """Pretrain, save to a folder, and return the history."""
    n_series = round(variant.corpus_size * args.series)
    X = draw(variant.corpus, n_series, args.corpus_seed, tuple(args.real))
    params = {"encoder": args.encoder, "batch_size": 1} | variant.params
    params["batch_size"] = round(params["batch_size"] * args.batch_size)
    steps_an_epoch = -(-len(X) // params["batch_size"])
    steps = round(variant.steps * args.steps)
    if 0 < steps < steps_an_epoch:
        X, steps_an_epoch = X[: steps * params["batch_size"]], steps
    params |= {"max_epochs": round(steps / steps_an_epoch), "min_epoch_steps": 1}
    params = {"learning_rate": args.learning_rate, "min_timepoints": LENGTH} | params
    params["pretrained"] = args.start
    params |= {"validation_fraction": None, "random_state": seed, "n_jobs": 1}
    before = FEIObjective.branch_weights
    FEIObjective.branch_weights = variant.weights  # no parameter: nothing else has a use for it
    try:
        embedder = FEIEmbedder(precision=args.precision, **params).fit(X)
    finally:
        FEIObjective.branch_weights = before
    embedder.offset_ = embedder.scale_ = None  # as recipes do: each panel has a scaling of its own
    embedder.save(folder)
    return list(embedder.history_)


def parts(file: Path, most: int) -> tuple[np.ndarray, ...]:
    """At most so many series of each part, drawn with the seed 0."""
    dataset, rng = load_dataset(file), np.random.default_rng(0)
    out = []
    for X, y in ((dataset.X_train, dataset.y_train), (dataset.X_test, dataset.y_test)):
        rows = np.sort(rng.permutation(len(y))[:most])
        out += [X[rows], y[rows]]
    return tuple(out)


def score(folder: Path, data: tuple[np.ndarray, ...]) -> dict[str, float]:
    """Accuracy under both readouts."""
    X_train, y_train, X_test, y_test = data
    embedder = FEIEmbedder(pretrained=folder, random_state=0, n_jobs=1).fit(X_train)
    out = {}
    for name, pooling in (("default", "auto"), ("paper", "mean")):
        embedder.set_params(pooling=pooling)
        train, test = embedder.transform(X_train), embedder.transform(X_test)
        head = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
        out[name] = float(head.fit(train, y_train).score(test, y_test))
    return out


def main() -> None:
    """Print a row for each variant and seed: means over the sets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--variants", nargs="+", default=["base"], help=f"of {list(VARIANTS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders or .npz files")
    parser.add_argument("--encoder", default="tiny")
    parser.add_argument("--series", type=int, default=16_384)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--most", type=int, default=150, help="series of each part of a set")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--corpus-seed", type=int, default=0)
    parser.add_argument("--start", help="checkpoint to go on from, rather than from scratch")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, help="JSON lines, one a run")
    args = parser.parse_args()
    names = args.sets or sorted(path.stem for path in args.folder.glob("*.npz"))
    data = {name: parts(args.folder / f"{name}.npz", args.most) for name in names}
    print("| variant | seed | seconds | default readout | paper's |\n|---|---|---|---|---|")
    for variant in args.variants:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                history = pretrain(VARIANTS[variant], seed, args, Path(folder))
                scores = {name: score(Path(folder), data[name]) for name in names}
            means = [np.mean([s[k] for s in scores.values()]) for k in ("default", "paper")]
            seconds = sum(record["seconds"] for record in history)
            row = f"| {variant} | {seed} | {seconds:.0f} | {means[0]:.4f} | {means[1]:.4f} |"
            print(row, flush=True)
            if args.out:
                line = {"variant": variant, "seed": seed, "steps": args.steps, "seconds": seconds}
                line |= {"last": history[-1] if history else None, "scores": scores}
                with args.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
