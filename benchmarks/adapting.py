"""A checkpoint as it is, or pretrained further on panels of growing size, without labels.

    python benchmarks/adapting.py DIR/Wafer.npz DIR/Crop.npz --checkpoint fei-tiny --sizes 60 1000

The panels are ``.npz`` files with the keys X_train, y_train, X_test, y_test; only the first channel
is used. For each size, that number of training series is drawn, pretrained on, and given to the
ridge head of all benchmarks. Sizes beyond a set's are left out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from heads import ridge_accuracy
from results import append_json, table_head, table_row
from ucr_sets import Split, embed

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import Dataset, load_dataset

#: Parameters of FEIEmbedder for each way to use a checkpoint.
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


def measure(way: str, split: Split, args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Return accuracy under both readouts, and seconds of pretraining."""
    params = {"max_epochs": args.epochs} | WAYS[way]
    started = time.perf_counter()
    embedder = FEIEmbedder(pretrained=args.checkpoint, random_state=seed, n_jobs=1, **params)
    embedder.fit(split.X_train)
    measures = {"seconds": time.perf_counter() - started}
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


def measure_set(path: Path, dataset: Dataset, size: int, args: argparse.Namespace) -> np.ndarray:
    """Return the accuracy of each way under each readout, a mean over the seeds."""
    accuracies: dict[str, list[list[float]]] = {way: [] for way in args.ways}
    for seed in args.seeds:
        split = draw_split(dataset, size, args.test, seed)
        for way in args.ways:
            measures = measure(way, split, args, seed)
            accuracies[way].append([measures[name] for name in READOUTS])
            cell = {"set": path.stem, "size": size, "way": way, "seed": seed}
            append_json(args.out, cell | measures)
    return np.array([np.mean(of_seeds, axis=0) for of_seeds in accuracies.values()])


def row(name: str, size: int, scores: np.ndarray) -> str:
    cells = [f"{default:.3f} ({paper:.3f})" for default, paper in scores]
    return table_row([name, size, *cells])


def main() -> None:
    """Print accuracies under the default and the paper's readout, set by set, and their means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("panels", type=Path, nargs="+", help=".npz files")
    parser.add_argument("--checkpoint", default="fei-tiny")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 60, 200, 1000, 5000])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), help=f"of {list(WAYS)}")
    parser.add_argument("--epochs", type=int, default=10, help="of at least 10 steps")
    parser.add_argument("--test", type=int, default=300, help="series of the test part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one per cell")
    args = parser.parse_args()
    print(table_head(["set", "series", *args.ways]))
    for size in args.sizes:
        scores = []
        for path in args.panels:
            dataset = load_dataset(path)
            if len(dataset.y_train) < size:
                continue
            scores.append(measure_set(path, dataset, size, args))
            print(row(path.stem, size, scores[-1]), flush=True)
        if scores:
            print(row(f"mean of {len(scores)}", size, np.mean(scores, axis=0)), flush=True)


if __name__ == "__main__":
    main()
