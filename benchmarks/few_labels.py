"""Few labels: checkpoints as they are, beside MiniRocket and TS2Vec, from 1 to 20 labels per class.

    python benchmarks/few_labels.py DIR --methods default fei-small minirocket ts2vec

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every method is fitted
without labels on the training part: checkpoints take scaling and biases from it, MiniRocket takes
its biases, and TS2Vec pretrains. A ridge head is then fitted on the labelled series alone, for
several draws of them. ``--heads`` names where it takes the scale of the features and its penalty
from, see `HEADS`. The table compares each method with the last one under the same head. TS2Vec has
the settings of its article, 200 steps of 8 series at 1e-3 and maxima over time, on this package's
encoder.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from families import compare
from heads import PENALTIES, ridge_accuracy
from minirocket import MiniRocket
from results import append_json, is_measured, markdown_table, read_json
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.preprocessing import StandardScaler
from ucr_sets import Split, add_set_arguments, embed, sample, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: TS2Vec's steps and batch (Yue et al., AAAI 2022, for sets of up to 100,000 values).
TS2VEC_STEPS = 200
TS2VEC_BATCH = 8

COLUMNS = (
    "head",
    "labels per class",
    "method",
    "accuracy",
    "over sets",
    "over families",
    "won",
    "lost",
)

#: Penalty of the head "fixed", as a share of the number of standardised features.
FIXED_PENALTY = 0.1


def fixed_head(n_features: int) -> RidgeClassifier:
    return RidgeClassifier(alpha=FIXED_PENALTY * n_features)


def chosen_head(n_features: int) -> RidgeClassifierCV:
    return RidgeClassifierCV(PENALTIES)


#: Heads on features that are standardised on all series. The head "labelled" of the command line
#: takes the scale from the labelled series too, as a pipeline does that is fitted on them alone.
HEADS = {"chosen": chosen_head, "fixed": fixed_head}


def method(name: str, n_series: int, encoder: str):
    """Return an unfitted transformer: "minirocket", "ts2vec", or a checkpoint."""
    if name == "minirocket":
        return MiniRocket(0)
    if name != "ts2vec":
        return FEIEmbedder(pretrained=name, random_state=0, n_jobs=1)
    steps_per_epoch = math.ceil(n_series / TS2VEC_BATCH)
    return FEIEmbedder(
        encoder,
        objective="ts2vec",
        stride=1,
        batch_size=TS2VEC_BATCH,
        max_epochs=math.ceil(TS2VEC_STEPS / steps_per_epoch),
        min_epoch_steps=1,
        learning_rate=1e-3,
        lr_decay=1.0,
        validation_fraction=None,
        pooling="max",
        random_state=0,
        n_jobs=1,
    )


def accuracy(labelled: Split, head: str) -> float:
    """Return the test accuracy of a head; the labelled series are the training part."""
    if head == "labelled":
        return ridge_accuracy(labelled)
    model = HEADS[head](labelled.X_train.shape[1])
    model.fit(labelled.X_train, labelled.y_train)
    return float(model.score(labelled.X_test, labelled.y_test))


def mean_accuracies(features: Split, head: str, args: argparse.Namespace) -> list[float]:
    """Return the accuracy of a head for each number of labels, as a mean over draws of them."""
    if head != "labelled":
        features = embed(StandardScaler().fit(features.X_train), features)
    all_rows = np.arange(len(features.y_train))
    means = []
    for n_labels in args.labels:
        scores = []
        for draw in range(args.draws):
            rng = np.random.default_rng([draw, n_labels])
            rows, y = sample(all_rows, features.y_train, None, rng, per_class=n_labels)
            labelled = features._replace(X_train=features.X_train[rows], y_train=y)
            scores.append(accuracy(labelled, head))
        means.append(float(np.mean(scores)))
    return means


def measure(name: str, path: Path, split: Split, args: argparse.Namespace) -> None:
    """Write the records of a method on a set that are not there yet, one per head."""
    records = read_json(args.out)
    cell = {"set": path.stem, "method": name, "labels": args.labels}
    heads = [head for head in args.heads if not is_measured(cell | {"head": head}, records)]
    if not heads:
        return
    started = time.perf_counter()
    transformer = method(name, len(split.X_train), args.encoder)
    features = embed(transformer.fit(split.X_train), split)
    seconds = time.perf_counter() - started
    for head in heads:
        record = cell | {"head": head, "seconds": seconds}
        record["accuracy"] = mean_accuracies(features, head, args)
        append_json(args.out, record)


def table(records: list[dict]) -> str:
    """Return the table of accuracies by head and labels, against the last method in points."""
    by_head: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        by_head[record["head"]][record["method"]][record["set"]] = record["accuracy"]
    rows = []
    for head, by_method in by_head.items():
        *_, last = by_method
        for i, n_labels in enumerate(records[0]["labels"]):
            accuracies = {
                name: {title: of_set[i] for title, of_set in by_set.items()}
                for name, by_set in by_method.items()
            }
            for name, by_set in accuracies.items():
                rows.append([head, n_labels, name, *compare(by_set, accuracies[last]).values()])
    return markdown_table(COLUMNS, rows)


def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--methods", nargs="+", default=["default", "fei-small", "minirocket"])
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--draws", type=int, default=3, help="draws of the labelled series")
    parser.add_argument("--most", type=int, help="series of each part")
    parser.add_argument("--encoder", default="tiny", help="encoder of ts2vec")
    parser.add_argument(
        "--heads", nargs="+", choices=["labelled", *HEADS], default=["labelled", *HEADS]
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON lines, one per set, method and head"
    )
    args = parser.parse_args()
    for path in set_paths(args):
        rng = np.random.default_rng(0)
        split = sample_split(load_dataset(path), rng, most_train=args.most, most_test=args.most)
        for name in args.methods:
            measure(name, path, split, args)
    print(table(read_json(args.out)))


if __name__ == "__main__":
    main()
