"""Fine-tuning from a checkpoint beside heads on frozen features, and what it starts from.

    python benchmarks/finetuning.py DIR --checkpoint fei-tiny --sets Wine FacesUCR --most 100

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. "lean" is the mean, the
maximum and the deviation of all stages, which have a gradient; the shares of the default readout
have none. "from scratch" is the same encoder with random weights. Each seed has its
own series.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from checkpoints import some
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIClassifier, FEIEmbedder
from fei_sklearn.datasets import load_dataset

LEAN = {"pooling": ("mean", "max", "std"), "layers": "all", "views": "level"}

UNTRAINED = {"max_epochs": 0}

#: Parameters of FEIClassifier, and of its embedder.
WAYS = {
    "frozen": ({"freeze_encoder": True}, {}),
    "first head": ({"max_epochs": 0}, {}),
    "fine-tuned": ({}, {}),
    "fine-tuned, 2e-5": ({"learning_rate": 2e-5}, {}),
    "from a head of zeros": ({"warm_head": False}, {}),
    "lean, first head": ({"max_epochs": 0}, LEAN),
    "lean, fine-tuned": ({}, LEAN),
    "from scratch, first head": ({"max_epochs": 0}, UNTRAINED),
    "from scratch, fine-tuned": ({}, UNTRAINED),
    "from scratch, fine-tuned, 1e-3": ({"learning_rate": 1e-3}, UNTRAINED),
}
RIDGE = "frozen, ridge"


def model(name: str, checkpoint: str, seed: int):
    """A way by its name, unfitted."""
    params, changes = WAYS.get(name, ({}, {}))
    size = {"encoder": checkpoint.removeprefix("fei-"), "min_timepoints": 512}
    start = {"pretrained": checkpoint} if changes is not UNTRAINED else size
    embedder = FEIEmbedder(**start | changes, random_state=seed, n_jobs=1)
    if name != RIDGE:
        return FEIClassifier(embedder, random_state=seed, n_jobs=1, **params)
    return make_pipeline(embedder, StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))


def main() -> None:
    """Print a row a set, means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", default="fei-tiny")
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--most", type=int, default=100, help="training series")
    parser.add_argument("--test", type=int, default=200, help="test series")
    parser.add_argument("--ways", nargs="+", default=[RIDGE, *WAYS], help=f"of {[RIDGE, *WAYS]}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    names = args.ways
    print("| set | " + " | ".join(names) + " | s |")
    print("|" + "---|" * (len(names) + 2))
    rows = []
    for name in args.sets or sorted(path.stem for path in args.folder.glob("*.npz")):
        data, started = load_dataset(args.folder / f"{name}.npz"), time.perf_counter()
        scores = np.zeros(len(names))
        for seed in args.seeds:
            rng = np.random.default_rng(seed)
            X, y = some(data.X_train, data.y_train, args.most, None, rng)
            X_test, y_test = some(data.X_test, data.y_test, args.test, None, rng)
            fitted = (model(way, args.checkpoint, seed).fit(X, y) for way in names)
            scores += [m.score(X_test, y_test) / len(args.seeds) for m in fitted]
        rows.append(scores)
        cells = " | ".join(f"{score:.3f}" for score in scores)
        print(f"| {name} | {cells} | {time.perf_counter() - started:.0f} |", flush=True)
    print("| mean | " + " | ".join(f"{m:.3f}" for m in np.mean(rows, axis=0)) + " | |")


if __name__ == "__main__":
    main()
