"""Short embeddings: principal axes of the default checkpoint beside MiniRocket's features.

    python benchmarks/short_embeddings.py DIR --checkpoints default TWIN --numbers 64 128 256

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. The axes are those of the
checkpoint (``--calibration fixed``) or of the training part without its labels (``panel``). The
head has one scale for all numbers, since the first axes matter most: a StandardScaler before it
costs 0.7 to 1 point.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from families import compare
from heads import PENALTIES, ridge_accuracy
from minirocket import MiniRocket
from results import append_json, by_title, markdown_table
from sklearn.linear_model import RidgeClassifierCV
from ucr_sets import Split, add_checkpoint_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

COLUMNS = ("embedding", "accuracy", "over sets", "over families", "won", "lost")


def accuracy_on_one_scale(features: Split) -> float:
    """Return the accuracy of the ridge head on features divided by one number."""
    scale = features.X_train.std()
    head = RidgeClassifierCV(PENALTIES).fit(features.X_train / scale, features.y_train)
    return float(head.score(features.X_test / scale, features.y_test))


def measure_set(path: Path, args: argparse.Namespace) -> dict:
    """Return the record of a set: the accuracies of MiniRocket and of every short embedding."""
    rng = np.random.default_rng(args.seed)
    split = sample_split(load_dataset(path), rng, most_train=args.most, most_test=args.most)
    rocket = MiniRocket(0).fit(split.X_train)
    accuracies = {"MiniRocket": ridge_accuracy(embed(rocket, split))}
    for checkpoint, calibration in product(args.checkpoints, args.calibration):
        embedder = FEIEmbedder(
            pretrained=checkpoint,
            n_components=max(args.numbers),
            calibration=calibration,
            n_jobs=1,
        )
        longest = embed(embedder.fit(split.X_train), split)
        for n_numbers in args.numbers:
            first = longest._replace(
                X_train=longest.X_train[:, :n_numbers], X_test=longest.X_test[:, :n_numbers]
            )
            title = f"{checkpoint}, {calibration}: {n_numbers}"
            accuracies[title] = accuracy_on_one_scale(first)
    record = {"set": path.stem} | accuracies
    append_json(args.out, record)
    return record


def table(records: list[dict]) -> str:
    """Return the table of differences to MiniRocket in points, with standard errors."""
    accuracies = by_title(records)
    rocket = accuracies["MiniRocket"]
    rows = [[title, *compare(of_title, rocket).values()] for title, of_title in accuracies.items()]
    return markdown_table(COLUMNS, rows)


def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_checkpoint_arguments(parser)
    parser.add_argument("--calibration", nargs="+", default=["fixed", "panel"])
    parser.add_argument("--numbers", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    print(table([measure_set(path, args) for path in set_paths(args)]))


if __name__ == "__main__":
    main()
