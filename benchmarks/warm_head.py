"""Does a fitted head to start from help fine-tuning? Measured on training parts only.

A checkpoint is fine-tuned on two thirds of a set's training series and scored on the rest, three
times. The head starts from zero, or from logistic regression on the embeddings; "head alone" is
that regression without any fine-tuning.

    python benchmarks/warm_head.py DIR --checkpoint fei-tiny
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.model_selection import StratifiedKFold

from fei_sklearn import FEIClassifier, FEIEmbedder
from fei_sklearn.datasets import load_dataset

SETS = ("EMG", "EPI", "UCR:ArrowHead", "UCR:ItalyPowerDemand", "UCR:GunPoint", "UCR:Wine")

WAYS = {
    "from zero": {"warm_head": False},
    "from zero, 1e-3": {"warm_head": False, "learning_rate": 1e-3},
    "warm": {},
    "warm, 1e-3": {"learning_rate": 1e-3},
    "head alone": {"max_epochs": 0},
}


def score(name, folder, checkpoint, params):
    """Accuracy over the three folds."""
    dataset = load_dataset(name, root=folder, paper_protocol=True)
    X, y, correct = dataset.X_train, np.asarray(dataset.y_train), []
    for rows, out in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
        embedder = FEIEmbedder(pretrained=checkpoint, n_jobs=1)
        model = FEIClassifier(embedder, random_state=0, n_jobs=1, **params).fit(X[rows], y[rows])
        correct.extend(model.predict(X[out]) == y[out])
    return np.mean(correct)


def main():
    """Print a row a set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--checkpoint", default="fei-tiny")
    parser.add_argument("--sets", nargs="+", default=SETS)
    arguments = parser.parse_args()
    print("| set | " + " | ".join(WAYS) + " | s |")
    print("|" + "---|" * (len(WAYS) + 2))
    rows = []
    for name in arguments.sets:
        started = time.perf_counter()
        rows.append(
            [score(name, arguments.data, arguments.checkpoint, way) for way in WAYS.values()]
        )
        cells = " | ".join(f"{100 * accuracy:.1f}" for accuracy in rows[-1])
        print(f"| {name} | {cells} | {time.perf_counter() - started:.0f} |", flush=True)
    print("| mean | " + " | ".join(f"{100 * m:.1f}" for m in np.mean(rows, axis=0)) + " | |")


if __name__ == "__main__":
    main()
