"""A checkpoint as it is, or pretrained further on panels of growing size, without labels.

    python benchmarks/adapting.py DIR/Crop.npz --checkpoints default fei-tiny --sizes 200 1000 \
        --out RECORDS

The panels are ``.npz`` files with the keys X_train, y_train, X_test, y_test; only the first channel
is used. For each size, that number of training series is drawn, pretrained on, and given to the
ridge head of all benchmarks. Sizes beyond a set's are left out. A second run measures what the file
of records lacks.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from families import mean_with_error
from heads import ridge_accuracy
from results import append_json, is_measured, markdown_table, read_json
from ucr_sets import Split, embed

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import Dataset, load_dataset

#: Parameters of FEIEmbedder for each way to use a checkpoint. The others are compared with the
#: first.
WAYS = {
    "as it is": {"max_epochs": 0},
    "1e-3": {"learning_rate": 1e-3},
    "1e-4": {"learning_rate": 1e-4},
    "2e-5": {"learning_rate": 2e-5},
    "1e-3, temporal": {"learning_rate": 1e-3, "mask_kind": "temporal"},
    "1e-4, temporal": {"learning_rate": 1e-4, "mask_kind": "temporal"},
}

#: Pooling of the two readouts.
READOUTS = {"default": "auto", "paper": "mean"}


def measure(checkpoint: str, way: str, split: Split, seed: int, n_epochs: int) -> dict[str, float]:
    """Return accuracy under both readouts, and CPU seconds of pretraining."""
    params = {"max_epochs": n_epochs} | WAYS[way]
    started = time.process_time()
    embedder = FEIEmbedder(pretrained=checkpoint, random_state=seed, n_jobs=1, **params)
    embedder.fit(split.X_train)
    measures = {"seconds": time.process_time() - started}
    for name, pooling in READOUTS.items():
        embedder.set_params(pooling=pooling)
        measures[name] = ridge_accuracy(embed(embedder, split))
    return measures


def draw_split(dataset: Dataset, size: int, n_test: int, seed: int) -> Split:
    """Draw series of both parts and keep their first channel."""
    rng = np.random.default_rng(seed)
    train = rng.permutation(len(dataset.y_train))[:size]
    test = rng.permutation(len(dataset.y_test))[:n_test]
    return Split(
        dataset.X_train[train][:, :1],
        dataset.y_train[train],
        dataset.X_test[test][:, :1],
        dataset.y_test[test],
    )


def measure_draw(
    name: str, dataset: Dataset, size: int, seed: int, args: argparse.Namespace
) -> None:
    """Write the records of a draw from a set that are not there yet."""
    records = read_json(args.out)
    split = draw_split(dataset, size, args.test, seed)
    for checkpoint in args.checkpoints:
        for way in args.ways:
            cell = {"checkpoint": checkpoint, "set": name, "size": size, "seed": seed, "way": way}
            if not is_measured(cell, records):
                append_json(args.out, cell | measure(checkpoint, way, split, seed, args.epochs))


def mean_accuracies(records: list[dict], readout: str) -> dict[tuple, dict[str, float]]:
    """Return the accuracy of each way, a mean over the seeds, by checkpoint, series and set."""
    values: dict[tuple, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        panel = (record["checkpoint"], record["size"], record["set"])
        values[panel][record["way"]].append(record[readout])
    return {
        panel: {way: float(np.mean(of_seeds)) for way, of_seeds in by_way.items()}
        for panel, by_way in values.items()
    }


def table(records: list[dict], readout: str) -> str:
    """Return accuracies of the first way, and the gains of the others in points, set by set."""
    accuracies = mean_accuracies(records, readout)
    first, *others = next(iter(accuracies.values()))
    of_sizes: dict[tuple, dict[str, dict[str, float]]] = defaultdict(dict)
    for (checkpoint, size, name), by_way in sorted(accuracies.items()):
        of_sizes[checkpoint, size][name] = by_way
    rows = []
    for (checkpoint, size), by_set in of_sizes.items():
        start = np.array([by_way[first] for by_way in by_set.values()])
        means = [f"{start.mean():.4f}"]
        gains_of_sets = []
        for way in others:
            gains = 100 * (np.array([by_way[way] for by_way in by_set.values()]) - start)
            gains_of_sets.append(gains)
            means.append(str(mean_with_error(gains)))
        for i, name in enumerate(by_set):
            cells = [f"{gains[i]:+.2f}" for gains in gains_of_sets]
            rows.append([checkpoint, f"{size:,}", name, f"{start[i]:.4f}", *cells])
        rows.append([checkpoint, f"{size:,}", "**mean**", *means])
    return markdown_table(["checkpoint", "series", "set", first, *others], rows)


def main() -> None:
    """Measure every panel, and print a table for each readout."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("panels", type=Path, nargs="+", help=".npz files")
    parser.add_argument("--checkpoints", nargs="+", default=["default", "fei-tiny"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), help=f"of {list(WAYS)}")
    parser.add_argument("--epochs", type=int, default=10, help="of at least 10 steps")
    parser.add_argument("--test", type=int, default=300, help="series of the test part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per cell")
    args = parser.parse_args()
    for seed in args.seeds:
        for path in args.panels:
            dataset = load_dataset(path)
            for size in args.sizes:
                if len(dataset.y_train) >= size:
                    measure_draw(path.stem, dataset, size, seed, args)
    records = read_json(args.out)
    for readout in READOUTS:
        print(f"{readout}\n\n{table(records, readout)}\n")


if __name__ == "__main__":
    main()
