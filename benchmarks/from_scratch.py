"""Fits from scratch on small panels, by steps, beside MiniRocket and the default checkpoint.

    python benchmarks/from_scratch.py DIR --most 200 --longest 1500 --ways untrained "3 epochs"

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every way fits on the
training part, and the same ridge head scores its features: those of the default readout, and as
"body" the mean over time of the last stage, the paper's readout. Differences are in points, with
standard errors; seconds are CPU seconds of a fit on one thread. A second run measures what the file
of records lacks.
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
from results import append_json, is_measured, markdown_table, read_json
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


def measure(way: str, split: Split, seed: int) -> dict[str, float]:
    """Return the accuracy of a way, of its body unless it is the reference, and CPU seconds."""
    start = time.process_time()
    if way == REFERENCE:
        rocket = MiniRocket(seed).fit(split.X_train)
        seconds = time.process_time() - start
        return {"accuracy": ridge_accuracy(embed(rocket, split)), "seconds": seconds}
    embedder = FEIEmbedder(**WAYS[way], random_state=seed, n_jobs=1).fit(split.X_train)
    seconds = time.process_time() - start
    measures = {"accuracy": ridge_accuracy(embed(embedder, split)), "seconds": seconds}
    embedder.set_params(pooling="mean")
    measures["body"] = ridge_accuracy(embed(embedder, split))
    return measures


def measure_set(path: Path, seed: int, args: argparse.Namespace) -> None:
    """Write the records of a set that are not there yet, one per way."""
    records = read_json(args.out)
    split = None
    for way in (REFERENCE, *args.ways):
        cell = {"set": path.stem, "seed": seed, "fit": way}
        if is_measured(cell, records):
            continue
        if split is None:
            rng = np.random.default_rng(seed)
            dataset = load_dataset(path)
            split = sample_split(dataset, rng, most_train=args.most, most_test=args.most)
        append_json(args.out, cell | measure(way, split, seed))


def means_by_way(records: list[dict], measure: str) -> dict[str, dict[str, float]]:
    """Return the means of a measure over the seeds, by way and set."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if measure in record:
            values[record["fit"]][record["set"]].append(record[measure])
    return {
        way: {name: float(np.mean(of_seeds)) for name, of_seeds in by_set.items()}
        for way, by_set in values.items()
    }


def table(records: list[dict]) -> str:
    """Return each way's differences to MiniRocket and to the first way, under both readouts."""
    accuracy = means_by_way(records, "accuracy")
    body = means_by_way(records, "body")
    seconds = means_by_way(records, "seconds")
    rocket = accuracy[REFERENCE]
    first, *_ = body
    rows = []
    for way in (*body, REFERENCE):
        default = compare(accuracy[way], rocket)
        cells = [way, f"{np.median(list(seconds[way].values())):.2f}", default["accuracy"]]
        if way == REFERENCE:
            cells += [""] * 5
        else:
            cells += [default["over sets"], f"{default['won']}, {default['lost']}"]
            cells.append(compare(accuracy[way], accuracy[first])["over sets"])
            of_body = compare(body[way], body[first])
            cells += [of_body["accuracy"], of_body["over sets"]]
        rows.append(cells)
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
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per set and fit")
    args = parser.parse_args()
    paths = set_paths(args)
    for seed in args.seeds:
        for path in paths:
            measure_set(path, seed, args)
    print(table(read_json(args.out)))


if __name__ == "__main__":
    main()
