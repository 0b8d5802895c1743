"""Recipes under which pretraining on sleep EEG pays, measured on training parts only.

Each recipe pretrains once on SLE-UCDDB. Its encoder then embeds the training and validation series
of each set in several ways, on which a head is cross-validated: a standardised logistic regression
under the best of a few penalties, or the paper's linear evaluation. Test parts are never touched.

    python benchmarks/sleep_recipe.py DIR --out OUT --recipes untrained base --seeds 0 1 2
    python benchmarks/sleep_recipe.py DIR --out OUT --table

OUT keeps the pretrained models and a line of JSON for each number. Numbers that are there are not
computed again.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from results import append_json, table_row
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.data import Panel
from fei_sklearn.datasets import load_dataset
from fei_sklearn.evaluation.models import Conditions
from fei_sklearn.evaluation.protocols import end_to_end
from fei_sklearn.evaluation.sets import Task
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser
from fei_sklearn.training.calibration import calibrate

CORPUS = "SLE-UCDDB"
SETS = ("EMG", "EPI", "GES", "HAR", "CWRU")

#: Most series of a set.
MOST = 600
#: Most series for linear evaluation, which takes thousands of steps.
MOST_LINEAR = 300

#: Candidates of the penalty `C` of logistic regression.
PENALTIES = np.logspace(-3, 1, 5)

SMALL_BATCHES = {"max_epochs": 4, "batch_size": 64}

#: Parameters of FEIEmbedder for each recipe, and "standardise", if not per time index.
RECIPES = {
    "untrained": {"max_epochs": 0},
    "20 epochs of 512": {"max_epochs": 20},
    "4 epochs of 64": SMALL_BATCHES,
    "by series": SMALL_BATCHES | {"standardise": "series"},
    "by channel": SMALL_BATCHES | {"standardise": "channel"},
    "low rate": SMALL_BATCHES | {"learning_rate": 2e-4},
    "mask 0.3-0.9": SMALL_BATCHES | {"mask_ratio": (0.3, 0.9)},
    "mask 0-0.3": SMALL_BATCHES | {"mask_ratio": (0.0, 0.3)},
    "bands": SMALL_BATCHES | {"mask_kind": "continuous"},
    "time points": SMALL_BATCHES | {"mask_kind": "temporal"},
    "time points, 20 epochs": {"max_epochs": 20, "batch_size": 64, "mask_kind": "temporal"},
    "fei-tiny": {"pretrained": "fei-tiny"},
    "fei-tiny, then time points": SMALL_BATCHES
    | {"pretrained": "fei-tiny", "mask_kind": "temporal", "learning_rate": 3e-4},
    "momentum 0.98": SMALL_BATCHES | {"momentum": 0.98},
    "stretched": SMALL_BATCHES | {"min_timepoints": 356},
    "stride 1": SMALL_BATCHES | {"stride": 1},
}

#: Recipes that are also measured with the batch norm of the target.
BOTH_NORMS = ("untrained", "20 epochs of 512")

#: Readouts of the encoder.
READOUTS = {
    "last": {"pooling": "mean", "layers": "last", "views": "level"},
    "all": {"pooling": "mean", "layers": "all", "views": "level"},
}


class Cell(NamedTuple):
    """Key of a number in the file of results."""

    recipe: str
    encoder: str
    seed: int
    set_name: str
    readout: str
    norm: str
    head: str


def standardised(X, recipe):
    """Return a panel standardised as the recipe does: per time index, channel or series."""
    how = RECIPES[recipe].get("standardise", "time-index")
    if how == "time-index":
        return TimeIndexStandardiser(X)(X).astype(np.float32)
    axis = (0, 2) if how == "channel" else 2
    centred = X - X.mean(axis=axis, keepdims=True)
    deviation = X.std(axis=axis, keepdims=True)
    scale = np.where(deviation > 1e-6, deviation, 1.0)
    return (centred / scale).astype(np.float32)


def load(name, folder):
    """Return series that may be looked at, as the paper cuts them, and their classes."""
    dataset = load_dataset(name, root=folder, paper_protocol=True)
    X = dataset.X_train
    y = dataset.y_train
    if dataset.X_val is not None and name != "GES":
        X = np.concatenate([X, dataset.X_val])
        y = np.concatenate([y, dataset.y_val])
    rows = np.random.default_rng(0).permutation(len(X))[:MOST]
    return X[rows], y[rows]


def pretrained(recipe, encoder, seed, args):
    """Return the recipe's embedder, from its folder if it was saved there."""
    path = args.out / "models" / f"{recipe.replace(' ', '-')}-{encoder}-{seed}"
    if path.is_dir():
        return FEIEmbedder.load(path)
    params = {key: value for key, value in RECIPES[recipe].items() if key != "standardise"}
    embedder = FEIEmbedder(encoder, scaling=None, random_state=seed, n_jobs=1, verbose=5, **params)
    corpus = load_dataset(CORPUS, root=args.data, paper_protocol=True)
    embedder.fit(standardised(corpus.X_train, recipe))
    path.parent.mkdir(parents=True, exist_ok=True)
    embedder.save(path)
    return embedder


def recalibrate(embedder, X):
    """Give the embedder the batch-norm statistics of these series."""
    encoder = embedder.encoder_
    calibrate(encoder, Panel(X), batch_size=64, device="cpu", seed=0)
    state = {f"encoder.{name}": value.numpy() for name, value in encoder.state_dict().items()}
    embedder.weights_ = embedder.weights_ | state


def logistic(embedder, X, y):
    """Return the cross-validated accuracy of logistic regression under the best penalty."""
    features = embedder.transform(X).astype(np.float64)
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    accuracies = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for penalty in PENALTIES:
            head = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=500))
            scores = cross_val_score(head, features, y, cv=folds)
            accuracies.append(scores.mean())
    return max(accuracies)


def linear(embedder, X, y):
    """Return the cross-validated accuracy under the paper's linear evaluation."""
    X = X[:MOST_LINEAR]
    y = y[:MOST_LINEAR]
    is_correct = []
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    for train, test in folds.split(X, y):
        task = Task(True, X[train], y[train], X[test], y[test], None, None, None)
        outcome = end_to_end(task, embedder, "linear", 0, Conditions("cpu", 1))
        is_correct.extend(outcome.predicted == y[test])
    return float(np.mean(is_correct))


HEADS = {"logistic": logistic, "linear": linear}


def cells_of(recipe, seed, args):
    """Return the cells of a recipe that have no number yet."""
    norms = ("corpus", "target") if recipe in BOTH_NORMS else ("corpus",)
    done = {Cell(*line["key"]) for line in lines(args.out)}
    cells = [
        Cell(recipe, args.encoder, seed, set_name, readout, norm, head)
        for set_name in SETS
        for readout in READOUTS
        for norm in norms
        for head in args.heads
    ]
    return [cell for cell in cells if cell not in done]


def measure(recipe, seed, args):
    """Append a line for each cell of a recipe that has no number yet."""
    cells = cells_of(recipe, seed, args)
    if not cells:
        return
    model = pretrained(recipe, args.encoder, seed, args)
    for set_name in SETS:
        X, y = load(set_name, args.data)
        X = standardised(X, recipe)
        for cell in cells:
            if cell.set_name != set_name:
                continue
            embedder = copy.deepcopy(model).set_params(n_jobs=1, **READOUTS[cell.readout])
            if cell.norm == "target":
                recalibrate(embedder, X)
            accuracy = HEADS[cell.head](embedder, X, y)
            append_json(results_file(args.out), {"key": cell, "accuracy": accuracy})
            print(*cell, f"{accuracy:.4f}", flush=True)


def results_file(out):
    return out / "recipes.jsonl"


def lines(out):
    """Return the lines of the results so far."""
    file = results_file(out)
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def print_table(out):
    """Print means over seeds as Markdown."""
    accuracies = {}
    for line in lines(out):
        cell = Cell(*line["key"])
        row = (cell.encoder, cell.head, cell.norm, cell.readout, cell.recipe)
        by_set = accuracies.setdefault(row, {})
        by_set.setdefault(cell.set_name, []).append(line["accuracy"])
    print(table_row(["encoder", "head", "batch norm", "readout", "recipe", *SETS, "mean"]))
    print("|" + "---|" * 5 + "---:|" * (len(SETS) + 1))
    for row, by_set in sorted(accuracies.items()):
        means = [100 * np.mean(by_set.get(name, np.nan)) for name in SETS]
        means.append(np.mean(means))
        print(table_row([*row, *(f"{mean:.1f}" for mean in means)]))


def main():
    """Measure the recipes that are named, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=[])
    parser.add_argument("--encoder", default="tiny")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--heads", nargs="+", choices=list(HEADS), default=["logistic", "linear"])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    for recipe in args.recipes:
        for seed in args.seeds:
            measure(recipe, seed, args)
    if args.table:
        print_table(args.out)


if __name__ == "__main__":
    main()
