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
from results import append_json, table_head, table_row
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from ucr_sets import add_set_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset


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


def measure_set(path: Path, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the measures of every head on a set."""
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
    append_json(args.out, {"set": path.stem} | measures)
    return measures


def main() -> None:
    """Print accuracy, differences to ridge regression in points, log loss and seconds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--most", type=int, default=200, help="series of each part")
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of convergence, for the weakest penalties
    by_set = {path.stem: measure_set(path, args) for path in set_paths(args)}
    columns = ("head", "accuracy", "over sets", "over families", "won", "lost")
    print(table_head([*columns, "log loss", "seconds", "sets"]))
    for name in heads(2):
        common = {title: measures for title, measures in by_set.items() if name in measures}
        accuracy = {title: measures[name]["accuracy"] for title, measures in common.items()}
        ridge = {title: measures["ridge"]["accuracy"] for title, measures in common.items()}
        losses = [measures[name].get("log loss", np.nan) for measures in common.values()]
        seconds = [measures[name]["seconds"] for measures in common.values()]
        cells = [*compare(accuracy, ridge).values()]
        cells += [f"{np.mean(losses):.3f}", f"{np.mean(seconds):.2f}", len(common)]
        print(table_row([name, *cells]))


if __name__ == "__main__":
    main()
