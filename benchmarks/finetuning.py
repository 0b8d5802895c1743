"""Fine-tuning from a checkpoint beside heads on frozen features, and what it starts from.

    python benchmarks/finetuning.py DIR --checkpoint fei-tiny --sets Wine FacesUCR --most 100

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. "lean" is the mean, the
maximum and the deviation of all stages, which have a gradient; the shares of the default readout
have none.
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

#: Parameters of FEIClassifier, and of its embedder.
WAYS = {
    "frozen": ({"freeze_encoder": True}, {}),
    "first head": ({"max_epochs": 0}, {}),
    "fine-tuned": ({}, {}),
    "fine-tuned, 2e-5": ({"learning_rate": 2e-5}, {}),
    "from a head of zeros": ({"warm_head": False}, {}),
    "lean, first head": ({"max_epochs": 0}, LEAN),
    "lean, fine-tuned": ({}, LEAN),
}


def models(checkpoint: str):
    """Every way by its name, unfitted."""

    def embedder(**params):
        return FEIEmbedder(pretrained=checkpoint, random_state=0, n_jobs=1, **params)

    head = RidgeClassifierCV(np.logspace(-3, 3, 10))
    yield "frozen, ridge", make_pipeline(embedder(), StandardScaler(), head)
    for name, (params, readout) in WAYS.items():
        yield name, FEIClassifier(embedder(**readout), random_state=0, n_jobs=1, **params)


def main() -> None:
    """Print a row a set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", default="fei-tiny")
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--most", type=int, default=100, help="training series")
    parser.add_argument("--test", type=int, default=200, help="test series")
    args = parser.parse_args()
    names = [name for name, _ in models(args.checkpoint)]
    print("| set | " + " | ".join(names) + " | s |")
    print("|" + "---|" * (len(names) + 2))
    rows = []
    for name in args.sets or sorted(path.stem for path in args.folder.glob("*.npz")):
        data, rng = load_dataset(args.folder / f"{name}.npz"), np.random.default_rng(0)
        X, y = some(data.X_train, data.y_train, args.most, None, rng)
        X_test, y_test = some(data.X_test, data.y_test, args.test, None, rng)
        started = time.perf_counter()
        scores = [m.fit(X, y).score(X_test, y_test) for _, m in models(args.checkpoint)]
        rows.append(scores)
        cells = " | ".join(f"{score:.3f}" for score in scores)
        print(f"| {name} | {cells} | {time.perf_counter() - started:.0f} |", flush=True)
    print("| mean | " + " | ".join(f"{m:.3f}" for m in np.mean(rows, axis=0)) + " | |")


if __name__ == "__main__":
    main()
