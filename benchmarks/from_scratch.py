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
from results import append_json, table_head, table_row
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
COLUMNS = ("way", "seconds (median)", "accuracy", "over sets", "over families", "won", "lost")
REFERENCE = "MiniRocket"

#: What follows the name of a way under the paper's readout.
BODY = ", body"

#: Accuracy, or seconds of a fit, by way and set, or by way and seed.
Figures = dict[str, dict[str, float]]


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


def measure_set(path: Path, args: argparse.Namespace) -> tuple[Figures, Figures]:
    """Return accuracies by readout and seconds by way, a dict of seeds each."""
    dataset = load_dataset(path)
    accuracy: Figures = defaultdict(dict)
    seconds: Figures = defaultdict(dict)
    for seed in args.seeds:
        rng = np.random.default_rng(seed)
        split = sample_split(dataset, rng, most_train=args.most, most_test=args.most)
        for way in (REFERENCE, *args.ways):
            of_way, seconds[way][str(seed)] = measure_way(way, split, seed)
            for readout, value in of_way.items():
                accuracy[readout][str(seed)] = value
    append_json(args.out, {"set": path.stem, "accuracy": accuracy, "seconds": seconds})
    return accuracy, seconds


def print_comparisons(accuracy: Figures, seconds: Figures, reference: str) -> None:
    """Print every way's differences to one of them."""
    print(f"\nbeside {reference}\n")
    print(table_head(COLUMNS))
    for way, by_set in accuracy.items():
        of_way = list(seconds[way.removesuffix(BODY)].values())
        cells = compare(by_set, accuracy[reference])
        print(table_row([way, f"{np.median(of_way):.2f}", *cells.values()]))


def main() -> None:
    """Print differences to MiniRocket, and to the first way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["untrained", "3 epochs"])
    parser.add_argument("--most", type=int, help="series of each part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    accuracy: Figures = defaultdict(dict)
    seconds: Figures = defaultdict(dict)
    for path in set_paths(args):
        of_set, seconds_of_set = measure_set(path, args)
        for way, by_seed in of_set.items():
            accuracy[way][path.stem] = np.mean(list(by_seed.values()))
        for way, by_seed in seconds_of_set.items():
            seconds[way][path.stem] = np.mean(list(by_seed.values()))
    print_comparisons(accuracy, seconds, REFERENCE)
    print_comparisons(accuracy, seconds, args.ways[0])


if __name__ == "__main__":
    main()
