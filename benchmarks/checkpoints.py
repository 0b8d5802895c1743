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
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from families import compare
from heads import ridge_accuracy
from minirocket import MiniRocket
from results import append_json, markdown_table
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


def measure_set(path: Path, args: argparse.Namespace) -> Iterator[dict]:
    """Yield the records of a set, one per seed and method."""
    dataset = load_dataset(path)
    for seed in args.seeds:
        rng = np.random.default_rng(seed)
        split = sample_split(
            dataset, rng, most_train=args.most, most_test=args.most, per_class=args.labels
        )
        for name in args.methods:  # in turn, so that a busy machine is busy for all
            yield {"set": path.stem, "method": name, "seed": seed} | measure(name, split, seed)


def means_over_seeds(records: list[dict], key: str) -> dict[str, dict[str, float]]:
    """Return the mean of a measure over the seeds, by method and set."""
    of_seeds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        of_seeds[record["method"]][record["set"]].append(record[key])
    return {
        method: {name: float(np.mean(values)) for name, values in by_set.items()}
        for method, by_set in of_seeds.items()
    }


def table(records: list[dict]) -> str:
    """Return accuracies, set by set, their means, and differences to MiniRocket in points."""
    accuracy = means_over_seeds(records, "accuracy")
    names = list(next(iter(accuracy.values())))
    rows = [[name, *(f"{by_set[name]:.3f}" for by_set in accuracy.values())] for name in names]
    rocket = accuracy.get("minirocket")
    if rocket is not None:
        cells = [compare(by_set, rocket) for by_set in accuracy.values()]
        for measure_name in ("over sets", "over families", "won", "lost"):
            rows.append([f"**{measure_name}**", *(of_method[measure_name] for of_method in cells)])
    for key, decimals in MEANS.items():
        by_method = means_over_seeds(records, key).values()
        means = [f"{np.mean(list(by_set.values())):,.{decimals}f}" for by_set in by_method]
        title = key.replace("_", " ")
        rows.append([f"**mean {title}**", *means])
    return markdown_table(["set", *accuracy], rows)


def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--methods", nargs="+", default=["default", "fei-small", "minirocket"])
    parser.add_argument("--most", type=int)
    parser.add_argument("--labels", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one per cell")
    args = parser.parse_args()
    records = []
    for path in set_paths(args):
        for record in measure_set(path, args):
            print(json.dumps(record), flush=True)
            append_json(args.out, record)
            records.append(record)
    print(table(records))


if __name__ == "__main__":
    main()
