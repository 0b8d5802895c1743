"""Under which recipe does pretraining on sleep EEG pay? Measured on training parts only.

Each recipe pretrains once on SLE-UCDDB. Its encoder then embeds the training and validation series
of each set in several ways, on which a head is cross-validated: a standardised logistic regression
under the best of a few penalties, or the paper's linear evaluation. Test parts are never touched.

    python benchmarks/sleep_recipe.py DIR --out OUT --recipes untrained base --seeds 0 1 2
    python benchmarks/sleep_recipe.py DIR --out OUT --table

OUT keeps the pretrained models and a line of JSON for each number: what is there is not computed
again.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from pathlib import Path

import numpy as np
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

#: Most series of a set, and most for linear evaluation, which takes thousands of steps.
MOST, MOST_LINEAR = 600, 300

PENALTIES = np.logspace(-3, 1, 5)

SMALL_BATCHES = {"max_epochs": 4, "batch_size": 64}

#: Recipe -> parameters of FEIEmbedder, and "standardise", if not per time index.
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

#: Recipes that are measured with the batch norm of the target, too.
BOTH_NORMS = ("untrained", "20 epochs of 512")

#: Way of use -> readout of the encoder.
READOUTS = {
    "last": {"pooling": "mean", "layers": "last", "views": "level"},
    "all": {"pooling": "mean", "layers": "all", "views": "level"},
}


def standardised(X, how):
    """A panel per time index, per channel or per series."""
    if how == "time-index":
        return TimeIndexStandardiser(X)(X)
    axis = (0, 2) if how == "channel" else 2
    spread = X.std(axis=axis, keepdims=True)
    return (X - X.mean(axis=axis, keepdims=True)) / np.where(spread > 1e-6, spread, 1.0)


def load(name, folder):
    """Series that may be looked at, as the paper cuts them, and their classes."""
    dataset = load_dataset(name, root=folder, paper_protocol=True)
    X, y = dataset.X_train, dataset.y_train
    if dataset.X_val is not None and name != "GES":
        X, y = np.concatenate([X, dataset.X_val]), np.concatenate([y, dataset.y_val])
    rows = np.random.default_rng(0).permutation(len(X))[:MOST]
    return X[rows], y[rows]


def pretrained(recipe, encoder, seed, folder, out):
    """The recipe's embedder, from its folder if it is there."""
    params = {k: v for k, v in RECIPES[recipe].items() if k != "standardise"}
    own = FEIEmbedder(encoder, scaling=None, random_state=seed, n_jobs=1, verbose=5, **params)
    path = out / "models" / f"{recipe.replace(' ', '-')}-{encoder}-{seed}"
    if path.is_dir():
        return FEIEmbedder.load(path)
    X = load_dataset(CORPUS, root=folder, paper_protocol=True).X_train
    own.fit(standardised(X, RECIPES[recipe].get("standardise", "time-index")).astype(np.float32))
    path.parent.mkdir(parents=True, exist_ok=True)
    own.save(path)
    return own


def recalibrated(embedder, X):
    """The embedder with the batch-norm statistics of these series."""
    encoder = embedder.encoder_
    calibrate(encoder, Panel(X), batch_size=64, device="cpu", seed=0)
    state = {f"encoder.{name}": value.numpy() for name, value in encoder.state_dict().items()}
    embedder.weights_ = embedder.weights_ | state


def logistic(embedder, X, y):
    """Cross-validated accuracy of logistic regression, under the best of a few penalties."""
    features = embedder.transform(X).astype(np.float64)
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    heads = [LogisticRegression(C=penalty, max_iter=500) for penalty in PENALTIES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return max(
            cross_val_score(make_pipeline(StandardScaler(), head), features, y, cv=folds).mean()
            for head in heads
        )


def linear(embedder, X, y):
    """Cross-validated accuracy under the paper's linear evaluation, early stopping included."""
    X, y, correct = X[:MOST_LINEAR], y[:MOST_LINEAR], []
    for rows, out in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
        task = Task(True, X[rows], y[rows], X[out], y[out], None, None, None)
        outcome = end_to_end(task, embedder, "linear", 0, Conditions("cpu", 1))
        correct.extend(outcome.predicted == y[out])
    return float(np.mean(correct))


HEADS = {"logistic": logistic, "linear": linear}


def measure(recipe, encoder, seed, folder, out, heads):
    """Append a line for each set and way of use that is not there yet."""
    done = {tuple(line["key"]) for line in lines(out)}
    ways = [
        (recipe, encoder, seed, name, readout, norm, head)
        for name in SETS
        for readout in READOUTS
        for norm in ("corpus", "target")
        for head in heads
        if norm == "corpus" or recipe in BOTH_NORMS
    ]
    ways = [way for way in ways if way not in done]
    if not ways:
        return
    model = pretrained(recipe, encoder, seed, folder, out)
    how = RECIPES[recipe].get("standardise", "time-index")
    for name in SETS:
        X, y = load(name, folder)
        X = standardised(X, how).astype(np.float32)
        for way in (way for way in ways if way[3] == name):
            readout, norm, head = way[4:]
            embedder = copy.deepcopy(model).set_params(n_jobs=1, **READOUTS[readout])
            if norm == "target":
                recalibrated(embedder, X)
            accuracy = HEADS[head](embedder, X, y)
            with (out / "recipes.jsonl").open("a") as stream:
                stream.write(json.dumps({"key": way, "accuracy": accuracy}) + "\n")
            print(*way, f"{accuracy:.4f}", flush=True)


def lines(out):
    """What was measured."""
    file = out / "recipes.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def table(out):
    """Mean over seeds, as Markdown."""
    found = {}
    for line in lines(out):
        recipe, encoder, _, name, *way = line["key"]
        row = found.setdefault((encoder, *reversed(way), recipe), {})
        row.setdefault(name, []).append(line["accuracy"])
    print("| encoder | head | batch norm | readout | recipe | " + " | ".join(SETS) + " | mean |")
    print("|" + "---|" * 5 + "---:|" * (len(SETS) + 1))
    for key, row in sorted(found.items()):
        means = [100 * float(np.mean(row[name])) if name in row else np.nan for name in SETS]
        cells = [f"{value:.1f}" for value in [*means, np.mean(means)]]
        print(f"| {' | '.join(key)} | {' | '.join(cells)} |")


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
    arguments = parser.parse_args()
    for recipe in arguments.recipes:
        for seed in arguments.seeds:
            measure(recipe, arguments.encoder, seed, arguments.data, arguments.out, arguments.heads)
    if arguments.table:
        table(arguments.out)


if __name__ == "__main__":
    main()
