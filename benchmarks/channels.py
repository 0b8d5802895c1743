"""Sets of several channels: checkpoints channel by channel, beside multivariate MiniRocket.

    python benchmarks/channels.py DIR/har.npz DIR/uwave_gesture.npz

The panels are ``.npz`` files with the keys X_train, y_train, X_test, y_test. A suffix such as
"default+small" sets the pooling, and one such as "default+level,change" the views. The head is the
ridge head of all benchmarks. It is scored on test parts, and by cross-validation on training parts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from families import mean_with_error
from heads import cross_validated, ridge_accuracy
from minirocket import MiniRocket
from results import append_json, markdown_table
from ucr_sets import Split, embed, sample_split

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

METHODS = (
    "default",
    "default+level,change,halved",
    "default+level,shape,change,halved",
    "minirocket",
)


def method(name: str):
    """Return an unfitted transformer: "minirocket", or a checkpoint and its pooling or views."""
    if name == "minirocket":
        return MiniRocket(0)
    checkpoint, _, option = name.partition("+")
    embedder = FEIEmbedder(pretrained=checkpoint, n_jobs=1)
    if option == "small":
        return embedder.set_params(pooling="small")
    if option:
        return embedder.set_params(views=tuple(option.split(",")))
    return embedder


def measure(name: str, split: Split) -> dict[str, float]:
    """Return the accuracies of a method, on the test part and on folds, and its features."""
    features = embed(method(name).fit(split.X_train), split)
    return {
        "test": ridge_accuracy(features),
        "folds": cross_validated(features.X_train, features.y_train, seed=0),
        "features": features.X_train.shape[1],
    }


def table(records: list[dict]) -> str:
    """Return the table: accuracies on test parts, and differences to MiniRocket in points."""
    names = list(dict.fromkeys(record["set"] for record in records))
    rows = []
    for title in dict.fromkeys(record["method"] for record in records):
        of_title = [record for record in records if record["method"] == title]
        rocket = [record for record in records if record["method"] == "minirocket"]
        cells = [f"{record['test']:.3f}" for record in of_title]
        for part in ("test", "folds"):
            accuracies = np.array([record[part] for record in of_title])
            references = np.array([record[part] for record in rocket])
            cells.append(f"{accuracies.mean():.4f}")
            cells.append(str(mean_with_error(100 * (accuracies - references))))
        rows.append([title, *cells, f"{of_title[-1]['features']:,}"])
    columns = ["method", *names]
    for part in ("test", "folds"):
        columns += [f"mean, {part}", f"over MiniRocket, {part}"]
    return markdown_table([*columns, f"features, {names[-1]}"], rows)


def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--methods", nargs="+", default=METHODS, help="with minirocket")
    parser.add_argument("--most-train", type=int, default=600)
    parser.add_argument("--most-test", type=int, default=500)
    parser.add_argument("--out", type=Path, help="JSON lines, one per set and method")
    args = parser.parse_args()
    records = []
    for path in args.files:
        rng = np.random.default_rng(0)
        split = sample_split(
            load_dataset(path), rng, most_train=args.most_train, most_test=args.most_test
        )
        for name in args.methods:
            record = {"set": path.stem, "method": name} | measure(name, split)
            append_json(args.out, record)
            records.append(record)
    print(table(records))


if __name__ == "__main__":
    main()
