"""Sets of several channels: checkpoints channel by channel, beside multivariate MiniRocket.

    python benchmarks/channels.py DIR/har.npz DIR/uwave_gesture.npz --methods default minirocket

The panels are ``.npz`` files with the keys X_train, y_train, X_test, y_test. A suffix such as
"default+small" sets the pooling. The head is the ridge head of all benchmarks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from heads import ridge_accuracy
from minirocket import MiniRocket
from results import append_json, table_head, table_row
from ucr_sets import Split, embed, sample_split

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset


def method(name: str):
    """Return an unfitted transformer: "minirocket", or a checkpoint and its pooling."""
    if name == "minirocket":
        return MiniRocket(0)
    checkpoint, _, pooling = name.partition("+")
    return FEIEmbedder(pretrained=checkpoint, pooling=pooling or "auto", n_jobs=1)


def measure(name: str, split: Split) -> dict[str, float]:
    """Return the accuracy of a method, and its number of features."""
    features = embed(method(name).fit(split.X_train), split)
    return {"accuracy": ridge_accuracy(features), "features": features.X_train.shape[1]}


def main() -> None:
    """Print accuracies, set by set, and their means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--methods", nargs="+", default=["default", "default+small", "minirocket"])
    parser.add_argument("--most-train", type=int, default=600)
    parser.add_argument("--most-test", type=int, default=500)
    parser.add_argument("--out", type=Path, help="JSON lines, one per set and method")
    args = parser.parse_args()
    print(table_head(["set", *args.methods]))
    accuracies = []
    for path in args.files:
        rng = np.random.default_rng(0)
        split = sample_split(
            load_dataset(path), rng, most_train=args.most_train, most_test=args.most_test
        )
        of_set = []
        for name in args.methods:
            measures = measure(name, split)
            append_json(args.out, {"set": path.stem, "method": name} | measures)
            of_set.append(measures["accuracy"])
        accuracies.append(of_set)
        print(table_row([path.stem, *(f"{accuracy:.3f}" for accuracy in of_set)]), flush=True)
    means = np.mean(accuracies, axis=0)
    print(table_row(["mean", *(f"{mean:.4f}" for mean in means)]))


if __name__ == "__main__":
    main()
