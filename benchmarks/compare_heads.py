"""Heads on frozen features: accuracy, log loss and seconds, paired with ridge regression.

    python benchmarks/compare_heads.py DIR --most 200 --longest 1500

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. All heads see the
standardised features of the checkpoint "default".
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from families import compare
from heads import PENALTIES, ridge_classifier
from results import append_json, by_title, markdown_table
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from ucr_sets import add_set_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

COLUMNS = (
    "head",
    "accuracy",
    "over sets",
    "over families",
    "won",
    "lost",
    "log loss",
    "seconds",
    "sets",
)


def logistic(C: float):
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=300))


def calibrated(method: str, smallest_class: int):
    """Return ridge regression with probabilities from decisions on held-out folds."""
    folds = min(3, smallest_class)
    head = CalibratedClassifierCV(
        RidgeClassifierCV(PENALTIES), method=method, cv=folds, ensemble=False
    )
    return make_pipeline(StandardScaler(), head)


def heads(smallest_class: int) -> dict:
    """Return unfitted heads by name; calibration needs two series of each class."""
    found = {
        "ridge": ridge_classifier(),
        "logistic, C=0.1": logistic(0.1),
        "logistic, C=0.01": logistic(0.01),
        "logistic, C=0.001": logistic(0.001),
    }
    if smallest_class >= 2:
        found["ridge, temperature"] = calibrated("temperature", smallest_class)
        found["ridge, sigmoid"] = calibrated("sigmoid", smallest_class)
    return found


def measure_set(path: Path, args: argparse.Namespace) -> dict:
    """Return the record of a set: the measures of every head."""
    split = sample_split(
        load_dataset(path), np.random.default_rng(0), most_train=args.most, most_test=args.most
    )
    features = embed(FEIEmbedder(pretrained="default", n_jobs=1).fit(split.X_train), split)
    _, counts = np.unique(features.y_train, return_counts=True)
    measures = {}
    for name, head in heads(int(counts.min())).items():
        started = time.process_time()
        head.fit(features.X_train, features.y_train)
        seconds = time.process_time() - started
        of_head = {"accuracy": head.score(features.X_test, features.y_test), "seconds": seconds}
        if hasattr(head, "predict_proba"):
            probability = head.predict_proba(features.X_test)
            of_head["log loss"] = log_loss(features.y_test, probability, labels=head.classes_)
        measures[name] = of_head
    record = {"set": path.stem} | measures
    append_json(args.out, record)
    return record


def table(records: list[dict]) -> str:
    """Return the table of heads: differences to ridge regression in points, log loss, seconds."""
    measures = by_title(records)
    ridge = {name: of_set["accuracy"] for name, of_set in measures["ridge"].items()}
    rows = []
    for head, by_set in measures.items():
        accuracy = {name: of_set["accuracy"] for name, of_set in by_set.items()}
        losses = [of_set["log loss"] for of_set in by_set.values() if "log loss" in of_set]
        loss = f"{np.mean(losses):.3f}" if losses else ""
        seconds = np.mean([of_set["seconds"] for of_set in by_set.values()])
        cells = [*compare(accuracy, ridge).values(), loss, f"{seconds:.2f}", len(by_set)]
        rows.append([head, *cells])
    return markdown_table(COLUMNS, rows)


def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--most", type=int, default=200, help="series of each part")
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of convergence, for the weakest penalties
    print(table([measure_set(path, args) for path in set_paths(args)]))


if __name__ == "__main__":
    main()
