"""Fits from scratch on small panels, by steps, beside MiniRocket and the default checkpoint.

    python benchmarks/from_scratch.py DIR --most 200 --longest 1500 --ways untrained "3 epochs"

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every way fits on the
training part, and the same ridge head scores its features: those of the default readout, and as
"body" the mean over time of the last stage, the paper's readout. Differences are in points, with
standard errors; seconds are those of a fit on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from families import compare
from heads import ridge_accuracy
from minirocket import MiniRocket
from results import append_json, markdown_table
from ucr_sets import Split, add_set_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

UNTRAINED = {"encoder": "dilated", "max_epochs": 0}

#: Parameters of FEIEmbedder by way.
WAYS: dict[str, dict[str, Any]] = {
    "default checkpoint": {"pretrained": "default"},
    "checkpoint, panel": {"pretrained": "default", "calibration": "panel"},
    "untrained": UNTRAINED,
    "untrained, not stretched": UNTRAINED | {"min_timepoints": None},
    "untrained, 32 points": UNTRAINED | {"min_timepoints": 32},
    "untrained, 96 points": UNTRAINED | {"min_timepoints": 96},
    "untrained, 128 points": UNTRAINED | {"min_timepoints": 128},
    "1 epoch": {"encoder": "dilated", "max_epochs": 1},
    "3 epochs": {"encoder": "dilated", "max_epochs": 3},
    "5 epochs": {"encoder": "dilated", "max_epochs": 5},
    "20 epochs": {"encoder": "dilated", "max_epochs": 20},
}

REFERENCE = "MiniRocket"

#: What follows the name of a way under the paper's readout.
BODY = ", body"


def measure_way(way: str, split: Split, seed: int) -> tuple[dict[str, float], float]:
    """Return the accuracy of each readout of a way, and the seconds of its fit."""
    start = time.perf_counter()
    if way == REFERENCE:
        rocket = MiniRocket(seed).fit(split.X_train)
        seconds = time.perf_counter() - start
        return {way: ridge_accuracy(embed(rocket, split))}, seconds
    embedder = FEIEmbedder(**WAYS[way], random_state=seed, n_jobs=1).fit(split.X_train)
    seconds = time.perf_counter() - start
    accuracies = {way: ridge_accuracy(embed(embedder, split))}
    embedder.set_params(pooling="mean")
    accuracies[way + BODY] = ridge_accuracy(embed(embedder, split))
    return accuracies, seconds


def measure_set(path: Path, args: argparse.Namespace) -> dict:
    """Return the record of a set: accuracies by readout and seconds by way, by seed."""
    dataset = load_dataset(path)
    accuracy: dict[str, dict[str, float]] = defaultdict(dict)
    seconds: dict[str, dict[str, float]] = defaultdict(dict)
    for seed in args.seeds:
        rng = np.random.default_rng(seed)
        split = sample_split(dataset, rng, most_train=args.most, most_test=args.most)
        for way in (REFERENCE, *args.ways):
            of_way, seconds[way][str(seed)] = measure_way(way, split, seed)
            for readout, value in of_way.items():
                accuracy[readout][str(seed)] = value
    record = {"set": path.stem, "accuracy": accuracy, "seconds": seconds}
    append_json(args.out, record)
    return record


def means_by_title(records: list[dict], measure: str) -> dict[str, dict[str, float]]:
    """Return the means of a measure over the seeds, by title and set."""
    means: dict[str, dict[str, float]] = defaultdict(dict)
    for record in records:
        for title, by_seed in record[measure].items():
            means[title][record["set"]] = float(np.mean(list(by_seed.values())))
    return dict(means)


def table(records: list[dict]) -> str:
    """Return each way's differences to MiniRocket and to the first way, under both readouts."""
    accuracy = means_by_title(records, "accuracy")
    seconds = means_by_title(records, "seconds")
    rocket, first, *others = seconds
    rows = []
    for way in (first, *others):
        default = compare(accuracy[way], accuracy[rocket])
        body = compare(accuracy[way + BODY], accuracy[first + BODY])
        cells = [way, f"{np.median(list(seconds[way].values())):.1f}", default["accuracy"]]
        cells += [default["over sets"], f"{default['won']}, {default['lost']}"]
        cells.append(compare(accuracy[way], accuracy[first])["over sets"])
        cells += [body["accuracy"], body["over sets"]]
        rows.append(cells)
    accuracy_of_rocket = compare(accuracy[rocket], accuracy[rocket])["accuracy"]
    rows.append([rocket, f"{np.median(list(seconds[rocket].values())):.1f}", accuracy_of_rocket])
    minus = f"minus {first}"
    columns = ["fit", "seconds", "accuracy", "above MiniRocket", "won, lost", minus]
    return markdown_table([*columns, "body", f"body, {minus}"], rows)


def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["untrained", "3 epochs"])
    parser.add_argument("--most", type=int, help="series of each part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    print(table([measure_set(path, args) for path in set_paths(args)]))


if __name__ == "__main__":
    main()
