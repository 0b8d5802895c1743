"""Pretraining recipes at equal steps: corpus, masks, schedule and width.

    python benchmarks/recipes.py DIR --sets ... --variants base real --real FOLDER --out RECORDS

Each variant pretrains an encoder for `--steps` steps. Its encoder is then scored as it is on UCR
sets, under the default readout and under the paper's, by the ridge head of all benchmarks. `--start
fei-tiny` continues from a checkpoint, which takes the luck of the initial weights out of the
comparison, but keeps the checkpoint's encoder and objective. A second run measures what the file of
records lacks.

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Real corpora are windows
of the training parts of the panels in the folders or files `--real`: give it none of the families
that are scored.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from families import compare
from heads import ridge_accuracy
from results import append_json, is_measured, markdown_table, read_json
from ucr_sets import Split, add_set_arguments, embed, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset, make_corpus
from fei_sklearn.datasets.corpus_processes import log_uniform, resample, standardise
from fei_sklearn.objectives.fei import FEIObjective

LENGTH = 512

#: Pooling of the two readouts.
READOUTS = {"default": "auto", "paper": "mean"}

Paths = tuple[Path, ...]
Corpus = Callable[[int, int, Paths], np.ndarray]


@functools.lru_cache(maxsize=2)
def synthetic(n: int, seed: int, real: Paths = ()) -> np.ndarray:
    """Return the corpus of the recipes."""
    return make_corpus(n, LENGTH, random_state=seed)


def shrunk(n: int, seed: int, real: Paths) -> np.ndarray:
    """Return a corpus with half of its series shrunk to 16 to 512 points and stretched again."""
    corpus = synthetic(n, seed).copy()
    rng = np.random.default_rng([seed, 1])
    long_grid = np.arange(LENGTH)
    for i in np.flatnonzero(rng.random(n) < 0.5):
        n_points = int(log_uniform(rng, 16.0, LENGTH, (1,))[0])
        short_grid = np.arange(n_points)
        places = np.linspace(0, LENGTH - 1, n_points)
        short = np.interp(places, long_grid, corpus[i])
        places = np.linspace(0, n_points - 1, LENGTH)
        corpus[i] = np.interp(places, short_grid, short)
    return standardise(corpus).astype(np.float32)


def cropped(n: int, seed: int, real: Paths) -> np.ndarray:
    """Return a corpus with a random segment of every series, an eighth to the whole, stretched."""
    corpus = synthetic(n, seed)
    rng = np.random.default_rng([seed, 2])
    duration = log_uniform(rng, 0.125, 1.0, (n, 1))
    begin = rng.random((n, 1)) * (1.0 - duration)
    time = np.linspace(0.0, 1.0, LENGTH)
    positions = (begin + duration * time) * (LENGTH - 1)
    return standardise(resample(corpus, positions)).astype(np.float32)


def recorded(n: int, seed: int, real: Paths) -> np.ndarray:
    """Return windows of recorded series, every set equally often.

    Half of the windows are a segment of a series, the others a whole series.
    """
    rng = np.random.default_rng([seed, 3])
    panels = recorded_panels(real)
    time = np.linspace(0.0, 1.0, LENGTH)
    corpus = np.empty((n, LENGTH))
    for i in range(n):
        panel = panels[rng.integers(len(panels))]
        row = rng.integers(len(panel))
        channel = rng.integers(panel.shape[1])
        series = panel[row, channel]
        duration = 1.0
        if rng.random() < 0.5:
            duration = log_uniform(rng, 0.25, 1.0, (1,))[0]
        begin = rng.random() * (1.0 - duration)
        places = (begin + duration * time) * (len(series) - 1)
        corpus[i] = np.interp(places, np.arange(len(series)), series)
    return standardise(corpus).astype(np.float32)


def recorded_panels(real: Paths) -> list[np.ndarray]:
    """Return the training series of all files, given directly or in folders."""
    panels = []
    for path in real:
        files = sorted(path.glob("*.npz")) or [path]
        for file in files:
            with np.load(file) as arrays:
                panels.append(arrays["X_train"])
    return panels


def both(n: int, seed: int, real: Paths) -> np.ndarray:
    """Return synthetic and recorded series, half and half."""
    half = n // 2
    return np.concatenate([synthetic(n, seed)[:half], recorded(n - half, seed, real)])


@dataclass(frozen=True)
class Variant:
    """Differences of a run from the base.

    Attributes
    ----------
    params : dict
        Parameters of FEIEmbedder. A batch size is a multiple of the base's.
    corpus : callable
        Function of a number of series, a seed and the real panels that returns series of 512
        points.
    corpus_size, steps : float
        Series, and steps, as a multiple of the base's.
    weights : tuple of float
        Weights of embedding inference and of mask inference in the loss.
    """

    params: dict[str, Any] = field(default_factory=dict)
    corpus: Corpus = synthetic
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
def draw(corpus: Corpus, n: int, seed: int, real: Paths) -> np.ndarray:
    """Return a corpus with a channel axis."""
    return corpus(n, seed, real)[:, np.newaxis]


def pretrain(variant: Variant, seed: int, args: argparse.Namespace, folder: Path) -> list[dict]:
    """Pretrain, save to a folder, and return the history."""
    n_series = round(variant.corpus_size * args.series)
    X = draw(variant.corpus, n_series, args.corpus_seed, tuple(args.real))
    params = {
        "encoder": args.encoder,
        "learning_rate": args.learning_rate,
        "min_timepoints": LENGTH,
        "precision": args.precision,
    }
    params |= variant.params
    batch_size = round(variant.params.get("batch_size", 1) * args.batch_size)
    steps_per_epoch = -(-len(X) // batch_size)
    steps = round(variant.steps * args.steps)
    if 0 < steps < steps_per_epoch:
        X = X[: steps * batch_size]
        steps_per_epoch = steps
    params |= {
        "batch_size": batch_size,
        "max_epochs": round(steps / steps_per_epoch),
        "min_epoch_steps": 1,
        "pretrained": args.start,
        "validation_fraction": None,
        "random_state": seed,
        "n_jobs": 1,
    }
    embedder = FEIEmbedder(**params)
    fit_with_weights(embedder, X, variant.weights)
    # recipes do the same: each panel has a scaling of its own
    embedder.offset_ = None
    embedder.scale_ = None
    embedder.save(folder)
    return list(embedder.history_)


def fit_with_weights(embedder: FEIEmbedder, X: np.ndarray, weights: tuple[float, float]) -> None:
    """Fit with other weights of the two losses, which are no parameter for want of another use."""
    before = FEIObjective.branch_weights
    FEIObjective.branch_weights = weights
    try:
        embedder.fit(X)
    finally:
        FEIObjective.branch_weights = before


def draw_split(file: Path, most: int) -> Split:
    """Draw at most `most` series of each part, with the seed 0."""
    dataset = load_dataset(file)
    rng = np.random.default_rng(0)
    train = np.sort(rng.permutation(len(dataset.y_train))[:most])
    test = np.sort(rng.permutation(len(dataset.y_test))[:most])
    return Split(
        dataset.X_train[train],
        dataset.y_train[train],
        dataset.X_test[test],
        dataset.y_test[test],
    )


def score(folder: Path, split: Split) -> dict[str, float]:
    """Return the accuracy under both readouts."""
    embedder = FEIEmbedder(pretrained=folder, random_state=0, n_jobs=1).fit(split.X_train)
    scores = {}
    for name, pooling in READOUTS.items():
        embedder.set_params(pooling=pooling)
        scores[name] = ridge_accuracy(embed(embedder, split))
    return scores


def run(name: str, seed: int, splits: dict[str, Split], args: argparse.Namespace) -> None:
    """Write the record of a variant and a seed unless it is there."""
    cell = {"variant": name, "seed": seed, "steps": args.steps}
    if is_measured(cell, read_json(args.out)):
        return
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        history = pretrain(VARIANTS[name], seed, args, folder)
        scores = {set_name: score(folder, split) for set_name, split in splits.items()}
    seconds = sum(record["seconds"] for record in history)
    append_json(args.out, cell | {"seconds": seconds, "scores": scores})


def mean_scores(records: list[dict], readout: str) -> dict[str, float]:
    """Return the accuracy of each set under a readout, a mean over the records' seeds."""
    names = records[0]["scores"]
    return {
        name: float(np.mean([record["scores"][name][readout] for record in records]))
        for name in names
    }


def table(records: list[dict]) -> str:
    """Return accuracies of the variants, and paired differences to the base in points."""
    by_variant: dict[str, dict[int, dict]] = defaultdict(dict)
    for record in records:
        by_variant[record["variant"]][record["seed"]] = record
    base = by_variant["base"]
    rows = []
    for name, by_seed in by_variant.items():
        cells = [name, len(by_seed)]
        for readout in READOUTS:
            of_variant = mean_scores(list(by_seed.values()), readout)
            of_base = mean_scores([base[seed] for seed in by_seed], readout)
            compared = compare(of_variant, of_base)
            cells += [compared["accuracy"], compared["over sets"]]
        rows.append(cells)
    columns = ["variant", "seeds", "default readout", "minus base", "paper's readout", "minus base"]
    return markdown_table(columns, rows)


def main() -> None:
    """Measure every variant and seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
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
    parser.add_argument("--start", help="checkpoint to continue from, rather than from scratch")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per run")
    args = parser.parse_args()
    splits = {path.stem: draw_split(path, args.most) for path in set_paths(args)}
    for seed in args.seeds:
        for name in args.variants:
            run(name, seed, splits, args)
    print(table(read_json(args.out)))


if __name__ == "__main__":
    main()
