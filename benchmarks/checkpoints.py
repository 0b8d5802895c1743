"""Bundled checkpoints as they are, beside an untrained encoder and MiniRocket on UCR sets.

Every method gives features to the same ridge head, on the archive's own split. The script needs a
folder of ``.npz`` panels with the keys X_train, y_train, X_test, y_test (or any data that
``fei_sklearn.datasets.load_dataset`` reads), and sktime with numba for MiniRocket::

    python benchmarks/checkpoints.py DIR --methods default default+small fei-small minirocket

`--labels 10` keeps at most ten labelled series per class, drawn with the seed. `--most 500` keeps
at most 500 series of each part, which makes the big sets quick.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from heads import ridge_accuracy
from minirocket import MiniRocket
from results import append_json, table_head, table_row
from ucr_sets import Split, add_set_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: Measures in the last rows of the table, and their decimals.
MEANS = {"accuracy": 4, "features": 0, "transform_seconds": 2}


def method(name: str, seed: int):
    """Return an unfitted transformer: "minirocket", "untrained" or a checkpoint.

    A name with a suffix such as "+mean" sets the pooling.
    """
    name, _, pooling = name.partition("+")
    if name == "minirocket":
        return MiniRocket(seed)
    params: dict[str, object] = {"pretrained": name}
    if name == "untrained":
        params = {"encoder": "small", "min_timepoints": 512}
    if pooling:
        params["pooling"] = pooling
    return FEIEmbedder(max_epochs=0, random_state=seed, n_jobs=1, **params)


def measure(name: str, split: Split, seed: int) -> dict[str, float]:
    """Return accuracy, number of features, and seconds of a method on a set."""
    started = time.perf_counter()
    transformer = method(name, seed).fit(split.X_train)
    fitted = time.perf_counter()
    features = embed(transformer, split)
    embedded = time.perf_counter()
    return {
        "accuracy": ridge_accuracy(features),
        "features": features.X_train.shape[1],
        "fit_seconds": fitted - started,
        "transform_seconds": embedded - fitted,
    }


def measure_set(path: Path, args: argparse.Namespace) -> list[dict[str, float]]:
    """Return the measures of each method on a set, means over the seeds."""
    dataset = load_dataset(path)
    measures: dict[str, list[dict[str, float]]] = {name: [] for name in args.methods}
    for seed in args.seeds:
        rng = np.random.default_rng(seed)
        split = sample_split(
            dataset, rng, most_train=args.most, most_test=args.most, per_class=args.labels
        )
        for name in args.methods:  # in turn, so that a busy machine is busy for all
            measures[name].append(measure(name, split, seed))
            cell = {"set": path.stem, "method": name, "seed": seed}
            append_json(args.out, cell | measures[name][-1])
    return [mean_of(of_seeds) for of_seeds in measures.values()]


def mean_of(measures: list[dict[str, float]]) -> dict[str, float]:
    return {key: np.mean([each[key] for each in measures]) for key in measures[0]}


def main() -> None:
    """Print a table of accuracies, set by set, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--methods", nargs="+", default=["default", "fei-small", "minirocket"])
    parser.add_argument("--most", type=int)
    parser.add_argument("--labels", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one per cell")
    args = parser.parse_args()
    print(table_head(["set", *args.methods]))
    results = []
    for path in set_paths(args):
        results.append(measure_set(path, args))
        accuracies = [f"{measures['accuracy']:.3f}" for measures in results[-1]]
        print(table_row([path.stem, *accuracies]), flush=True)
    by_method = [mean_of(list(of_sets)) for of_sets in zip(*results, strict=True)]
    for key, decimals in MEANS.items():
        means = [f"{measures[key]:.{decimals}f}" for measures in by_method]
        print(table_row([f"mean {key}", *means]))


if __name__ == "__main__":
    main()
