"""A checkpoint used as it is, or pretrained further on panels of growing size, without labels.

    python benchmarks/adapting.py DIR/Wafer.npz DIR/Crop.npz --checkpoint fei-tiny --sizes 60 1000

Takes ``.npz`` panels with the keys X_train, y_train, X_test, y_test; of several channels the first.
Of each, so many training series are drawn, pretrained on and given to the same head, StandardScaler
and RidgeClassifierCV; sizes beyond a set's are left out.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: Ways to use a checkpoint: parameters of FEIEmbedder.
WAYS = {
    "as it is": {"max_epochs": 0},
    "1e-3": {"learning_rate": 1e-3},
    "1e-4": {"learning_rate": 1e-4},
    "2e-5": {"learning_rate": 2e-5},
    "1e-3, temporal": {"learning_rate": 1e-3, "mask_kind": "temporal"},
    "1e-4, temporal": {"learning_rate": 1e-4, "mask_kind": "temporal"},
}


def cell(way: str, parts, args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Accuracy under both readouts, and seconds of pretraining."""
    X_train, y_train, X_test, y_test = parts
    params = {"max_epochs": args.epochs} | WAYS[way]
    started = time.perf_counter()
    embedder = FEIEmbedder(pretrained=args.checkpoint, random_state=seed, n_jobs=1, **params)
    embedder.fit(X_train)
    out = {"seconds": time.perf_counter() - started}
    for name, pooling in (("default", "auto"), ("paper", "mean")):
        embedder.set_params(pooling=pooling)
        head = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
        head.fit(embedder.transform(X_train), y_train)
        out[name] = float(head.score(embedder.transform(X_test), y_test))
    return out


def main() -> None:
    """Print accuracies of default and paper's readout, set by set, and means by size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("panels", type=Path, nargs="+", help=".npz files")
    parser.add_argument("--checkpoint", default="fei-tiny")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 60, 200, 1000, 5000])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), help=f"of {list(WAYS)}")
    parser.add_argument("--epochs", type=int, default=10, help="of at least 10 steps")
    parser.add_argument("--test", type=int, default=300, help="series of the test part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one a cell")
    args = parser.parse_args()
    print("| set | series |", " | ".join(args.ways), "|\n|---|---|" + "---|" * len(args.ways))
    for size in args.sizes:
        rows = []
        for path in args.panels:
            dataset = load_dataset(path)
            if len(dataset.y_train) < size:
                continue
            cells = {way: [] for way in args.ways}
            for seed in args.seeds:
                rng = np.random.default_rng(seed)
                train = rng.permutation(len(dataset.y_train))[:size]
                test = rng.permutation(len(dataset.y_test))[: args.test]
                parts = (
                    *(dataset.X_train[train][:, :1], dataset.y_train[train]),
                    *(dataset.X_test[test][:, :1], dataset.y_test[test]),
                )
                for way in args.ways:
                    cells[way].append(cell(way, parts, args, seed))
                    if args.out:
                        line = {"set": path.stem, "size": size, "way": way, "seed": seed}
                        with args.out.open("a") as file:
                            file.write(json.dumps(line | cells[way][-1]) + "\n")
            keys = ("default", "paper")
            rows.append([[np.mean([c[k] for c in cs]) for k in keys] for cs in cells.values()])
            print(_row(path.stem, size, rows[-1]), flush=True)
        if rows:
            print(_row(f"mean of {len(rows)}", size, np.mean(rows, axis=0)), flush=True)


def _row(name: str, size: int, scores) -> str:
    cells = " | ".join(f"{default:.3f} ({paper:.3f})" for default, paper in scores)
    return f"| {name} | {size} | {cells} |"


if __name__ == "__main__":
    main()
